//! Every statement prepares against the migrated schema.

use std::collections::BTreeSet;

use serde_json::json;
use sqlx::{Executor, SqlStr};
use tinybase_model::{CollectionId, Comparison, Filter, RecordId, SortKey, UserId};

use super::TestStore;
use crate::filter::explain;
use crate::sql::{Connection, Sql};
use crate::testing::TestDatabase;
use crate::write::Write;
use crate::{
    ListHints, NewEvent, PageStart, RecordQuery, Scope, StoreError, activity, application_token,
    call_log, call_result, cascade, collection, collection_removal, collection_size, creation,
    delivery, event, file, file_change, idempotency, lease, migration, node, password_change,
    record, reference, schedule_log, schedule_run, search, session, setting, store, token,
    transaction, upkeep, user, user_admin, value,
};

macro_rules! statements {
    ($($module:ident::$name:ident),* $(,)?) => {
        &[$((stringify!($name), $module::$name)),*]
    };
}

const STATEMENTS: &[(&str, Sql)] = statements![
    activity::APPEND_ACTIVITIES,
    activity::ACTIVITIES,
    activity::COUNT_ACTIVITIES,
    activity::CLEAN_UP_ACTIVITIES,
    application_token::COUNT_APPLICATION_TOKENS,
    application_token::INSERT_APPLICATION_TOKEN,
    application_token::APPLICATION_TOKENS,
    application_token::APPLICATION_TOKEN_BY_ID,
    application_token::APPLICATION_TOKEN_BY_HASH,
    application_token::UPDATE_APPLICATION_TOKEN,
    application_token::USE_APPLICATION_TOKEN,
    application_token::DELETE_APPLICATION_TOKEN,
    cascade::IS_VERSION,
    cascade::DELETE_REFERRING,
    cascade::CLEAR_REFERENCE,
    call_log::START_CALL,
    call_log::FINISH_CALL,
    call_log::ABANDONED_CALLS,
    call_log::CALL_BY_ID,
    call_log::CALLS,
    call_log::COUNT_CALLS,
    call_log::CALL_COUNTS,
    call_result::KEEP_RESULT,
    call_result::RESULT,
    call_result::REQUEST_CANCEL,
    call_result::CANCELS,
    call_result::EXPIRE_RESULTS,
    call_result::TRIM_RESULTS,
    call_result::CLEAN_UP_CALLS,
    call_result::CALL_AT,
    node::FORGET_NODES,
    node::NOTE_NODE,
    schedule_log::INSERT_SCHEDULE,
    schedule_log::UPDATE_SCHEDULE,
    schedule_log::DELETE_SCHEDULE,
    schedule_log::DELETE_QUEUED_RUNS,
    schedule_log::SCHEDULE_BY_ID,
    schedule_log::SCHEDULES,
    schedule_log::COUNT_SCHEDULES,
    schedule_log::SCHEDULES_OF,
    schedule_log::SCHEDULE_OWNERS,
    schedule_log::DUE_SCHEDULES,
    schedule_run::BUSY_RUNS,
    schedule_run::MOVE_ON,
    schedule_run::TAKE_TICK,
    schedule_run::STARTABLE_RUNS,
    schedule_run::HOLD,
    schedule_run::NOTE_RUN,
    schedule_run::START_RUN,
    schedule_run::NEXT_AT,
    schedule_run::RUNS,
    schedule_run::COUNT_RUNS,
    schedule_run::CLEAN_UP_RUNS,
    collection::INSERT_COLLECTION,
    collection::COLLECTION_BY_NAME,
    collection::COLLECTIONS,
    collection::UPDATE_COLLECTION,
    collection::FIELD_INDEXES,
    collection::LOCK_COLLECTION,
    collection::COLLECTION_EXISTS,
    collection::TOUCH_COLLECTION,
    collection::CHANGED_RECORDS,
    collection_removal::CONDEMN_COLLECTION,
    collection_removal::CONDEMNED_COLLECTIONS,
    collection_removal::STEP_END,
    collection_removal::LOG_DELETED_RECORDS,
    collection_removal::DELETE_RECORDS,
    collection_removal::DELETE_COLLECTION,
    collection_removal::DROP_FIELD,
    collection_size::COLLECTION_SIZES,
    creation::INSERT_RECORDS,
    creation::FIND_RECORDS,
    delivery::INSERT_SUBSCRIPTION,
    delivery::CURSOR,
    delivery::PARKED,
    delivery::UNSUBSCRIBE,
    delivery::ADVANCE,
    delivery::PARK,
    delivery::UNPARK,
    delivery::BURY,
    delivery::DEAD_LETTERS,
    event::APPEND_EVENTS,
    event::HEAD,
    event::FIRST_EVENT,
    event::READ_EVENTS,
    event::READ_EVENT,
    event::CLEAN_UP_EVENTS,
    idempotency::USE_KEY,
    idempotency::KEY,
    idempotency::COUNT_KEYS,
    idempotency::CLEAN_UP_KEYS,
    idempotency::TRIM_KEYS,
    file_change::ANNOUNCE_FILE,
    file_change::MEASURE_FILE,
    file_change::NOTE_UPLOAD,
    file_change::EMPTY_FILE,
    file_change::FINISH_FILE,
    file_change::CONDEMN_FILE,
    file_change::FORGET_FILE,
    upkeep::BUCKETS,
    file::FILE_BY_KEY,
    file::FILES,
    file::COUNT_FILES,
    file::UNFINISHED_FILES,
    file::UNFINISHED_FILE,
    file::FILES_SECRET,
    migration::HAS_STEPS,
    password_change::CHANGE_PASSWORD,
    password_change::SET_PASSWORD,
    password_change::REVOKE_OTHERS,
    password_change::COUNT_RESETS,
    password_change::INSERT_RESET,
    password_change::RESET_BY_HASH,
    password_change::TAKE_RESET,
    password_change::DELETE_RESETS_OF_USER,
    password_change::CLEAN_UP_RESETS,
    lease::LEASE_IS_FREE,
    lease::TAKE_LEASE,
    lease::GIVE_LEASE_UP,
    record::RECORD_BY_ID,
    record::RECORDS_BY_ID,
    record::UPDATE_RECORD,
    record::DELETE_RECORD,
    search::SET_TERMS,
    search::DELETE_TERMS,
    search::RECORDS_TO_READ,
    session::REVOKE_LOGIN,
    setting::SETTINGS_VERSION,
    setting::RAISE_VERSION,
    setting::SETTINGS,
    setting::PUT_SETTING,
    reference::FIND_TARGETS,
    reference::FIND_TARGET_USERS,
    store::EPOCH,
    store::INSTANCE_ID,
    token::INSERT_TOKEN,
    token::ACCESS_TOKEN,
    token::TOKEN_FOR_ROTATION,
    token::USE_UP_TOKEN,
    token::REVOKE_FAMILY,
    token::REVOKE_USER,
    token::CLEAN_UP_TOKENS,
    transaction::BEGIN,
    transaction::COMMIT,
    transaction::ROLLBACK,
    transaction::SAVEPOINT,
    transaction::RELEASE,
    transaction::ROLLBACK_TO,
    transaction::SAVEPOINT_BATCH,
    transaction::ROLLBACK_TO_BATCH,
    transaction::RELEASE_BATCH,
    transaction::IS_SOUND,
    upkeep::BEGIN_EPOCH,
    upkeep::BEGIN_SNAPSHOT,
    upkeep::VACUUM_INTO,
    upkeep::BROKEN_INDEXES,
    upkeep::BROKEN_POSITIONS,
    upkeep::COLUMNS,
    upkeep::FOREIGN_KEYS,
    upkeep::INSERT_NUMBER,
    upkeep::INTEGRITY,
    upkeep::IN_TEMPORARY_TABLES,
    upkeep::NUMBERED,
    upkeep::NUMBERS,
    upkeep::OBJECTS,
    upkeep::PARENTS,
    upkeep::SET_EVENT_HEAD,
    upkeep::SET_NUMBER,
    user::INSERT_USER,
    user::USER_BY_ID,
    user::USERS_BY_ID,
    user::USER_BY_EMAIL,
    user_admin::USERS,
    user_admin::COUNT_USERS,
    user_admin::ANY_USER,
    user_admin::ADMINS,
    user_admin::UPDATE_USER,
    user_admin::DELETE_USER,
    value::VALUE,
    value::REPLACE_VALUE,
    value::INSERT_VALUE,
    value::DELETE_VALUE,
];

struct PrepareAll;

impl Write for PrepareAll {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        for (name, sql) in STATEMENTS {
            let text = SqlStr::from_static(sql.text(connection.dialect()));
            let failure = match connection {
                Connection::Sqlite(connection) => connection.prepare(text).await.err(),
                Connection::Postgres(connection) => connection.prepare(text).await.err(),
            };
            assert!(failure.is_none(), "{name}: {failure:?}");
        }
        Ok(())
    }
}

#[tokio::test]
async fn sql_prepares() {
    let mut databases = vec![TestDatabase::on_sqlite()];
    databases.extend(TestDatabase::on_postgres().await);
    for database in databases {
        let test = TestStore::on(database).await;
        test.store.write(PrepareAll).await.expect("every statement prepares");
    }
}

/// The names of all statements in this crate's source.
fn names_in_source() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the source") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(path).expect("a source file");
            for line in text.lines() {
                let constant = line.trim().strip_prefix("pub(crate) const ");
                if let Some((name, _)) = constant.and_then(|rest| rest.split_once(": Sql =")) {
                    names.insert(name.to_owned());
                }
            }
        }
    }
    names
}

#[test]
fn every_statement_of_the_source_is_in_the_list() {
    let listed: BTreeSet<_> = STATEMENTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed, names_in_source());
}

fn every_condition() -> Filter {
    let fields = [
        ("id", json!(RecordId::generate())),
        ("collection_id", json!(CollectionId::generate())),
        ("owner_id", json!(null)),
        ("created_at", json!("2026-01-02T03:04:05Z")),
        ("updated_at", json!("2026-01-02T03:04:05+01:00")),
        ("data.a", json!(1)),
        ("data.a.b-c", json!(1.5)),
        ("data.ä", json!("'; drop table users; --")),
        ("data._", json!(true)),
        ("data.0", json!(7)),
    ];
    let comparisons = [
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
        Comparison::In,
        Comparison::Like,
        Comparison::Contains,
    ];
    let mut filters = Vec::new();
    for (field, value) in fields {
        for comparison in comparisons {
            let is_data = field.starts_with("data.");
            let value = match comparison {
                Comparison::Like | Comparison::Contains if !is_data => continue,
                Comparison::Like => json!("%_\\%*[?x"),
                Comparison::In => json!([value, null]),
                Comparison::Contains
                | Comparison::Equal
                | Comparison::NotEqual
                | Comparison::Less
                | Comparison::LessOrEqual
                | Comparison::Greater
                | Comparison::GreaterOrEqual => value.clone(),
            };
            filters.push(Filter::value(field, comparison, value));
        }
        let pairs = [("data.n", true), ("data.a.b", true), ("id", false), ("created_at", false)];
        for (other, is_data) in pairs {
            let is_time = |name: &str| name.ends_with("_at");
            for comparison in comparisons {
                if matches!(comparison, Comparison::In | Comparison::Like)
                    || is_time(field) != is_time(other)
                    || (comparison == Comparison::Contains
                        && !(is_data && field.starts_with("data.")))
                {
                    continue;
                }
                let (left, right) = (field.to_owned(), other.to_owned());
                filters.push(Filter::Fields { left, comparison, right });
            }
        }
    }
    Filter::Any(vec![Filter::Not(Box::new(Filter::All(filters))), Filter::never()])
}

/// With and without values for every key of an order.
fn every_place(id: RecordId) -> [Vec<serde_json::Value>; 2] {
    let (id, at) = (json!(id), json!("2026-01-31T00:00:00Z"));
    [
        vec![id.clone(), id.clone(), at.clone(), json!("x"), json!(0.1), id.clone()],
        vec![id.clone(), json!(null), at, json!(null), json!(7), id],
    ]
}

#[tokio::test]
async fn every_list_that_can_be_asked_for_prepares() {
    let test = TestStore::open().await;
    let (collection, owner) = (CollectionId::generate(), UserId::generate());
    let scopes = [
        Scope::Collection(collection),
        Scope::Owned(collection, owner),
        Scope::Everything,
        Scope::Several { full: vec![collection], owned: vec![collection], owner: Some(owner) },
        Scope::Several { full: Vec::new(), owned: Vec::new(), owner: None },
    ];
    let sorts = ["collection_id", "owner_id", "updated_at", "data.a.b", "data.n", "id"];
    for scope in scopes {
        for descending in [false, true] {
            let sort = sorts.map(|field| SortKey { field: field.to_owned(), descending });
            let query = RecordQuery {
                scope: scope.clone(),
                filter: every_condition(),
                sort: sort.to_vec(),
                from: PageStart::Offset(3),
                limit: 5,
                hints: ListHints::default(),
            };
            assert!(test.store.list_records(&query).await.expect("a list").is_empty());
            let id = RecordId::generate();
            for values in every_place(id) {
                let from = PageStart::After { values, id };
                let query = RecordQuery { from, ..query.clone() };
                assert!(test.store.list_records(&query).await.expect("a list").is_empty());
            }
        }
        for at_most in [None, Some(7)] {
            let filter = every_condition();
            let total = test.store.count_records(&scope, &filter, at_most).await;
            assert_eq!(total.expect("a count"), 0);
        }
    }
}

#[tokio::test]
async fn the_usual_lists_use_an_index() {
    // PostgreSQL goes by statistics, and reads tables as small as this one in full.
    let test = TestStore::on(TestDatabase::on_sqlite()).await;
    let (collection, owner) = (CollectionId::generate(), UserId::generate());
    let newest_first = vec![SortKey { field: "created_at".to_owned(), descending: true }];
    let lists = [
        (Scope::Collection(collection), Vec::new(), "records_by_collection"),
        (Scope::Collection(collection), newest_first.clone(), "records_by_collection"),
        (Scope::Owned(collection, owner), newest_first, "records_by_owner"),
        (Scope::Everything, Vec::new(), "sqlite_autoindex_records_1"),
    ];
    for (scope, sort, index) in lists {
        let from = PageStart::After { values: vec![json!(null)], id: RecordId::generate() };
        let query = RecordQuery {
            scope,
            filter: Filter::always(),
            sort,
            from,
            limit: 5,
            hints: ListHints::default(),
        };
        let plan = explain(&test.store, &query).await;
        assert!(plan.contains(index), "{query:?}\n{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{query:?}\n{plan}");
    }
}
