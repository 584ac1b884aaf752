//! Indexes over fields of collections: each is partial, for one collection, and over the same
//! expression by which lists filter and sort, so that the database uses it for them.

use tinybase_model::{CollectionId, Record, Referrer};

use super::Statement;
use super::statement::FieldValue;
use crate::collection::FIELD_INDEXES;
use crate::event::NewEvent;
use crate::record::decode;
use crate::sql::{Connection, Dialect, Row, Source, query};
use crate::write::Write;
use crate::{Store, StoreError};

/// An index over fields of a collection's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldIndex {
    collection: CollectionId,
    fields: Vec<String>,
    is_unique: bool,
}

/// Values that several records have and only one may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicates {
    /// The fields.
    pub fields: Vec<String>,
    /// Some of the values, as JSON, and how many records have each.
    pub values: Vec<(String, u64)>,
}

impl FieldIndex {
    /// An index over fields, each of whose names is letters, digits and `_`; none if one isn't.
    pub fn new(collection: CollectionId, fields: Vec<String>, is_unique: bool) -> Option<Self> {
        let is_name = |field: &String| {
            !field.is_empty() && field.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        let valid = !fields.is_empty() && fields.iter().all(is_name);
        valid.then_some(Self { collection, fields, is_unique })
    }

    /// The fields.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Whether no two records may have the same values.
    pub const fn is_unique(&self) -> bool {
        self.is_unique
    }

    /// Its name in the database: made from the collection's id and a hash of the rest, since names
    /// there are short.
    pub fn name(&self) -> String {
        let kind = if self.is_unique { "u" } else { "i" };
        let hash = hash(kind, &self.fields);
        format!("{}{hash:016x}", prefix(self.collection))
    }

    fn create(&self, dialect: Dialect) -> Statement {
        let mut statement = Statement::new(dialect);
        statement.push(if self.is_unique { "create unique index \"" } else { "create index \"" });
        statement.push(&self.name());
        statement.push("\" on records (");
        for (index, field) in self.fields.iter().enumerate() {
            statement.push(if index > 0 { ", " } else { "" });
            push_field(&mut statement, field);
            // As orders have them.
            statement.push_each("", " nulls first");
        }
        statement.push(if self.is_unique { "" } else { ", id" });
        statement.push(") where ");
        push_collection(&mut statement, self.collection);
        statement
    }

    fn duplicates(&self, dialect: Dialect) -> Statement {
        let mut statement = Statement::new(dialect);
        statement.push("select ");
        for field in &self.fields {
            statement.push_each("json_quote", "cast");
            statement.push("(");
            push_field(&mut statement, field);
            statement.push_each("), ", " as text), ");
        }
        statement.push("count(*) from records where ");
        push_collection(&mut statement, self.collection);
        for field in &self.fields {
            statement.push(" and ");
            push_field(&mut statement, field);
            statement.push(" is not null");
        }
        statement.push(" group by ");
        self.push_fields(&mut statement);
        statement.push(" having count(*) > 1 order by count(*) desc limit ");
        statement.bind(DUPLICATES_MAX);
        statement
    }

    /// Whether it is unique and not there.
    fn is_missing_in(&self, there: &[String]) -> bool {
        self.is_unique && !there.contains(&self.name())
    }

    fn found(&self, rows: Result<Vec<Row>, sqlx::Error>) -> Result<Option<Duplicates>, StoreError> {
        let rows = rows.map_err(StoreError::read("duplicates"))?;
        let values = rows.iter().map(|row| self.duplicate(row)).collect::<Result<Vec<_>, _>>();
        let values = values.map_err(StoreError::read("duplicates"))?;
        Ok((!values.is_empty()).then(|| Duplicates { fields: self.fields.clone(), values }))
    }

    fn duplicate(&self, row: &Row) -> Result<(String, u64), sqlx::Error> {
        let count = self.fields.len();
        let values: Vec<&str> =
            (0..count).map(|index| row.text(index)).collect::<Result<_, _>>()?;
        Ok((values.join(", "), row.count(count)?))
    }

    fn push_fields(&self, statement: &mut Statement) {
        for (index, field) in self.fields.iter().enumerate() {
            if index > 0 {
                statement.push(", ");
            }
            push_field(statement, field);
        }
    }
}

/// How many values a report shows.
const DUPLICATES_MAX: u32 = 5;

fn prefix(collection: CollectionId) -> String {
    format!("f_{}_", collection.uuid().as_simple())
}

/// FNV-1a, which is the same in every version of the server.
fn hash(kind: &str, fields: &[String]) -> u64 {
    let texts = std::iter::once(kind).chain(fields.iter().map(String::as_str));
    texts.flat_map(|text| text.bytes().chain([0])).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A literal, since an index takes no values and lists have to look the same.
pub(super) fn push_collection(statement: &mut Statement, collection: CollectionId) {
    statement.push("collection_id = '");
    statement.push(&collection.to_string());
    statement.push("'");
}

/// Adds a field's value as lists have it, so that the index serves them.
pub(super) fn push_field(statement: &mut Statement, field: &str) {
    statement.push_each("(data ->> '$.\"", "(nullif(data -> '");
    statement.push(field);
    statement.push_each("\"')", "', 'null'::jsonb))");
}

impl Store {
    /// The names of the indexes over a collection's fields that are there.
    pub async fn field_indexes(&self, collection: CollectionId) -> Result<Vec<String>, StoreError> {
        existing(self.reader(), collection).await
    }

    /// Values that would break unique indexes that aren't there yet.
    pub async fn duplicates(
        &self,
        collection: CollectionId,
        indexes: &[FieldIndex],
    ) -> Result<Vec<Duplicates>, StoreError> {
        let there = self.field_indexes(collection).await?;
        let mut found = Vec::new();
        for index in indexes.iter().filter(|index| index.is_missing_in(&there)) {
            let statement = index.duplicates(self.dialect());
            found.extend(index.found(statement.query().fetch_all(self.reader()).await)?);
        }
        Ok(found)
    }

    /// Makes the indexes of a collection those that it should have. They come with every change of
    /// it; this is for a database that was copied or restored without them.
    pub async fn repair_field_indexes(
        &self,
        collection: CollectionId,
        indexes: Vec<FieldIndex>,
    ) -> Result<(), StoreError> {
        let there = self.field_indexes(collection).await?;
        let complete = indexes.iter().all(|index| there.contains(&index.name()));
        if complete && there.len() == indexes.len() {
            return Ok(());
        }
        self.write(Repair { collection, indexes }).await
    }
}

struct Repair {
    collection: CollectionId,
    indexes: Vec<FieldIndex>,
}

impl Write for Repair {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        set_indexes(connection, self.collection, &self.indexes).await
    }
}

async fn existing<'c>(
    source: impl Into<Source<'c>>,
    collection: CollectionId,
) -> Result<Vec<String>, StoreError> {
    let rows = query(FIELD_INDEXES).bind(prefix(collection)).fetch_all(source).await;
    let rows = rows.map_err(StoreError::read("indexes"))?;
    let names = rows.iter().map(|row| row.text(0).map(str::to_owned));
    names.collect::<Result<_, _>>().map_err(StoreError::read("indexes"))
}

/// Values that would break an index that isn't there yet.
pub(crate) async fn find_duplicates(
    connection: &mut Connection,
    collection: CollectionId,
    indexes: &[FieldIndex],
) -> Result<Vec<Duplicates>, StoreError> {
    let there = existing(&mut *connection, collection).await?;
    let mut found = Vec::new();
    for index in indexes.iter().filter(|index| index.is_missing_in(&there)) {
        let statement = index.duplicates(connection.dialect());
        found.extend(index.found(statement.query().fetch_all(&mut *connection).await)?);
    }
    Ok(found)
}

/// Makes the indexes of a collection these.
pub(crate) async fn set_indexes(
    connection: &mut Connection,
    collection: CollectionId,
    indexes: &[FieldIndex],
) -> Result<(), StoreError> {
    let there = existing(&mut *connection, collection).await?;
    let wanted: Vec<String> = indexes.iter().map(FieldIndex::name).collect();
    let dialect = connection.dialect();
    for name in there.iter().filter(|name| !wanted.contains(name)) {
        run(connection, drop_index(dialect, name)).await?;
    }
    for index in indexes.iter().filter(|index| !there.contains(&index.name())) {
        run(connection, index.create(dialect)).await?;
    }
    Ok(())
}

async fn run(connection: &mut Connection, statement: Statement) -> Result<(), StoreError> {
    let done = statement.query().execute(connection).await;
    done.map(drop).map_err(StoreError::write("an index"))
}

fn drop_index(dialect: Dialect, name: &str) -> Statement {
    let mut statement = Statement::new(dialect);
    statement.push("drop index \"");
    statement.push(name);
    statement.push("\"");
    statement
}

/// The records whose field has an id, at most `limit`.
pub(crate) async fn referring(
    connection: &mut Connection,
    referrer: &Referrer,
    id: &str,
    limit: u32,
) -> Result<Vec<Record>, StoreError> {
    let mut statement = select_referring(connection.dialect(), referrer, id, limit);
    statement.push_each("", " for update of r");
    let rows = statement.query().fetch_all(connection).await;
    let rows = rows.map_err(StoreError::read("records that refer to one"))?;
    rows.iter().map(decode).collect()
}

pub(super) fn select_referring(
    dialect: Dialect,
    referrer: &Referrer,
    id: &str,
    limit: u32,
) -> Statement {
    let mut statement = Statement::new(dialect);
    statement.push(
        "select r.id, r.collection_id, c.name, r.owner_id, cast(r.data as text), r.created_at, \
         r.updated_at, r.version from records r join collections c on c.id = r.collection_id where ",
    );
    push_collection(&mut statement, referrer.collection_id);
    statement.push(" and ");
    push_field(&mut statement, &referrer.field);
    statement.push(" = ");
    let value = match statement.dialect {
        Dialect::Sqlite => FieldValue::Column(id.to_owned().into()),
        Dialect::Postgres => FieldValue::Json(format!("\"{id}\"")),
    };
    statement.bind_field(value);
    statement.push(" order by r.id limit ");
    statement.bind(limit);
    statement
}
