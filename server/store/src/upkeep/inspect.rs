//! What tables, columns, indexes and constraints a database has.

use std::collections::{BTreeMap, BTreeSet};

use crate::sql::{Connection, Sql, query};

/// Everything in the schema, by what it is and its name, with a definition to compare.
pub(crate) const OBJECTS: Sql = Sql::each(
    "
    select type || ' ' || case when name = tbl_name then '' else tbl_name || '.' end || name,
           coalesce(sql, '')
    from sqlite_schema where name not like 'sqlite\\_%' escape '\\' and name <> '_sqlx_migrations'",
    "
    select 'column ' || c.relname || '.' || a.attname,
           concat_ws(' ', format_type(a.atttypid, a.atttypmod),
               (select 'collate ' || l.collname from pg_collation l
                where l.oid = a.attcollation and l.collname <> 'default'),
               case when a.attnotnull then 'not null' end, nullif(a.attidentity::text, ''),
               pg_get_expr(d.adbin, d.adrelid))
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p')
      and c.relname <> '_sqlx_migrations'
    union all
    select 'index ' || tablename || '.' || indexname,
           replace(replace(indexdef, quote_ident(schemaname) || '.', ''), 'pg_temp.', '')
    from pg_indexes where schemaname = current_schema() and tablename <> '_sqlx_migrations'
    union all
    select 'constraint ' || c.relname || '.' || k.conname,
           replace(replace(pg_get_constraintdef(k.oid), quote_ident(current_schema()) || '.', ''),
                   'pg_temp.', '')
    from pg_constraint k join pg_class c on c.oid = k.conrelid
    where c.relnamespace = current_schema()::regnamespace and c.relname <> '_sqlx_migrations'
    union all
    select 'trigger ' || c.relname || '.' || t.tgname,
           replace(replace(pg_get_triggerdef(t.oid), quote_ident(current_schema()) || '.', ''),
                   'pg_temp.', '')
    from pg_trigger t join pg_class c on c.oid = t.tgrelid
    where c.relnamespace = current_schema()::regnamespace and not t.tgisinternal",
);

/// The columns that hold data: table, column, type.
pub(crate) const COLUMNS: Sql = Sql::each(
    "
    select t.name, c.name, lower(c.type)
    from pragma_table_list t join pragma_table_xinfo(t.name) c
    where t.schema = 'main' and t.type = 'table' and t.name not like 'sqlite\\_%' escape '\\'
      and t.name <> '_sqlx_migrations' and c.hidden = 0
    order by t.name, c.name",
    "
    select c.relname::text, a.attname::text, format_type(a.atttypid, null)
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r'
      and c.relname <> '_sqlx_migrations' and a.attgenerated = ''
    order by c.relname::text collate \"C\", a.attname::text collate \"C\"",
);

/// Which table refers to which.
pub(crate) const PARENTS: Sql = Sql::each(
    "
    select t.name, f.\"table\"
    from pragma_table_list t join pragma_foreign_key_list(t.name) f
    where t.schema = 'main' and t.type = 'table'",
    "
    select c.relname::text, p.relname::text
    from pg_constraint k
    join pg_class c on c.oid = k.conrelid join pg_class p on p.oid = k.confrelid
    where k.contype = 'f' and c.relnamespace = current_schema()::regnamespace",
);

/// The last number that a table gave to a row by itself.
pub(crate) const NUMBERS: Sql = Sql::each(
    "select name, seq from sqlite_sequence",
    "
    select c.relname::text, coalesce(pg_sequence_last_value(d.objid), 0)
    from pg_depend d
    join pg_class c on c.oid = d.refobjid join pg_class s on s.oid = d.objid
    where s.relkind = 'S' and d.deptype in ('i', 'a')
      and c.relnamespace = current_schema()::regnamespace
    union all
    select 'events', position from event_head",
);

/// The columns that `PostgreSQL` numbers.
pub(crate) const NUMBERED: Sql = Sql::each(
    "select name, '' from sqlite_sequence",
    "
    select c.relname::text, a.attname::text
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
    where c.relnamespace = current_schema()::regnamespace and a.attidentity <> ''",
);

/// A column's type, as far as copying goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Json,
    Integer,
    Boolean,
    Real,
    Blob,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        match name {
            "text" | "character varying" => Some(Self::Text),
            "json" | "jsonb" => Some(Self::Json),
            "integer" | "bigint" | "smallint" => Some(Self::Integer),
            "boolean" => Some(Self::Boolean),
            "real" | "double precision" => Some(Self::Real),
            "blob" | "bytea" => Some(Self::Blob),
            _ => None,
        }
    }
}

/// The tables with data, each with its columns by name; of an unknown type if none is given.
pub(super) type Tables = BTreeMap<String, BTreeMap<String, Option<Kind>>>;

pub(super) async fn tables(connection: &mut Connection) -> Result<Tables, sqlx::Error> {
    let mut tables = Tables::new();
    for row in query(COLUMNS).fetch_all(connection).await? {
        let columns = tables.entry(row.text(0)?.to_owned()).or_default();
        columns.insert(row.text(1)?.to_owned(), Kind::of(row.text(2)?));
    }
    Ok(tables)
}

pub(super) async fn objects(
    connection: &mut Connection,
) -> Result<BTreeMap<String, String>, sqlx::Error> {
    let rows = query(OBJECTS).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned()))).collect()
}

/// Tables in an order in which each comes after those that it refers to.
pub(super) async fn in_order(
    connection: &mut Connection,
    tables: &Tables,
) -> Result<Vec<String>, sqlx::Error> {
    let mut waits: BTreeMap<&str, BTreeSet<String>> =
        tables.keys().map(|table| (table.as_str(), BTreeSet::new())).collect();
    let rows = query(PARENTS).fetch_all(connection).await?;
    for row in &rows {
        let (table, parent) = (row.text(0)?, row.text(1)?);
        if table != parent
            && let Some(parents) = waits.get_mut(table)
        {
            parents.insert(parent.to_owned());
        }
    }
    let mut order: Vec<String> = Vec::with_capacity(waits.len());
    while !waits.is_empty() {
        let ready = waits.iter().find(|(_, parents)| parents.iter().all(|p| order.contains(p)));
        // A circle could only be broken by constraints that are checked later; there is none.
        let Some((table, _)) = ready.or(waits.iter().next()) else { break };
        let table = *table;
        waits.remove(table);
        order.push(table.to_owned());
    }
    Ok(order)
}

pub(super) async fn numbers(
    connection: &mut Connection,
) -> Result<BTreeMap<String, i64>, sqlx::Error> {
    let rows = query(NUMBERS).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.integer(1)?))).collect()
}
