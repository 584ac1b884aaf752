//! Lists, counts and look-ups by declared fields go by an index on both databases.

use serde_json::{Value, json};
use tinybase_model::{
    Collection, CollectionId, Comparison, Filter, OnDelete, RecordId, ReferenceTarget, Referrer,
    Search, SearchFields, SearchWord, SortKey,
};

use super::TestStore;
use crate::database::Place;
use crate::filter::{explain, explain_count, explain_referring};
use crate::sql::Dialect;
use crate::testing::TestDatabase;
use crate::{
    CollectionUpdate, CollectionWrite, CollectionWritten, FieldIndex, ListHints, PageStart,
    RecordQuery, Scope, Store, StoreOptions,
};

/// Opens a store. `PostgreSQL` goes by statistics and reads small tables in full; here it only does
/// where it has to, and only sorts where it has to.
async fn open(database: &TestDatabase) -> Store {
    let mut url = database.url();
    if let Place::Server(server) = &mut url.place {
        **server = server.clone().options([("enable_seqscan", "off"), ("enable_sort", "off")]);
    }
    Store::open(StoreOptions::new(url)).await.expect("a store")
}

/// A collection with an index over `status` and `rank`, and unique values of `slug`.
async fn collection(test: &TestStore) -> Collection {
    let collection = test.collection("notes").await;
    let index = |field: &str, is_unique| {
        FieldIndex::new(collection.id, vec![field.to_owned()], is_unique).expect("an index")
    };
    let indexes = vec![index("status", false), index("rank", false), index("slug", true)];
    let write = CollectionWrite { indexes, ..collection.clone().into() };
    let update = CollectionUpdate { write, version: 1, recheck: None, refill: None };
    let updated = test.store.update_collection(update).await.expect("a write");
    assert_eq!(updated, CollectionWritten::Done);
    collection
}

fn is(field: &str, comparison: Comparison, value: Value) -> Filter {
    Filter::value(format!("data.{field}"), comparison, value)
}

fn by(field: &str, descending: bool) -> Vec<SortKey> {
    vec![SortKey { field: field.to_owned(), descending }]
}

/// How often a plan sorts more than what is equal.
fn sorts(plan: &str) -> usize {
    let plan = plan.replace("Incremental Sort", "");
    plan.matches("Sort  (").count() + plan.matches("TEMP B-TREE FOR ORDER BY").count()
}

fn reads_all(plan: &str) -> bool {
    plan.contains("Seq Scan on records")
        || plan.contains("SCAN r\n")
        || plan.contains("SCAN records")
}

async fn lists_go_by_an_index(database: TestDatabase) {
    let store = open(&database).await;
    let mut test = TestStore { store, database };
    let collection = collection(&test).await;
    // A statement that is only explained doesn't notice that the schema has changed.
    test.store = open(&test.database).await;
    let is_sqlite = test.store.dialect() == Dialect::Sqlite;
    let newest = by("created_at", true);
    let equal = |field, value: &str| is(field, Comparison::Equal, json!(value));
    let own = "f_";
    let lists = [
        (Filter::always(), newest.clone(), Vec::new(), "records_by_collection"),
        (equal("status", "open"), newest.clone(), Vec::new(), own),
        (equal("slug", "one"), newest.clone(), Vec::new(), own),
        (is("rank", Comparison::Equal, json!(7)), newest.clone(), Vec::new(), own),
        (is("rank", Comparison::Greater, json!(1.5)), by("data.rank", false), vec![json!(7)], own),
        (Filter::always(), by("data.rank", false), vec![json!(7)], own),
        (Filter::always(), by("data.rank", true), vec![json!(7)], own),
        (Filter::always(), by("data.rank", true), vec![json!(null)], own),
        (Filter::always(), by("data.rank", false), vec![json!(null)], own),
        (Filter::always(), by("data.slug", false), vec![json!("one")], own),
        (Filter::always(), by("data.slug", true), vec![json!("one")], own),
        (equal("status", "open"), by("id", false), Vec::new(), own),
    ];
    for (filter, sort, values, index) in lists {
        let after = PageStart::After { values, id: RecordId::generate() };
        for from in [PageStart::Offset(0), after] {
            let (scope, filter) = (Scope::Collection(collection.id), filter.clone());
            let order_has_index = sort.iter().any(|key| key.field.starts_with("data."));
            let hints = ListHints { order_has_index, is_long: false };
            let query = RecordQuery { scope, filter, sort: sort.clone(), from, limit: 5, hints };
            let plan = explain(&test.store, &query).await;
            // SQLite's unique indexes have no ids, so that it sorts the records without a value.
            let by_unique = is_sqlite && sort.iter().any(|key| key.field == "data.slug");
            assert!(sorts(&plan) <= usize::from(by_unique), "{query:?}\n{plan}");
            // In an empty table any index in the right order is as good to PostgreSQL.
            let is_whole = matches!(query.from, PageStart::Offset(_));
            let decides = is_sqlite || order_has_index && is_whole;
            assert!(plan.contains(index) || !decides, "{query:?}\n{plan}");
            assert!(!reads_all(&plan), "{query:?}\n{plan}");
            let count = explain_count(&test.store, &query).await;
            assert!(!reads_all(&count), "{query:?}\n{count}");
        }
    }
    let referrer = Referrer {
        target: ReferenceTarget::Record(collection.id),
        collection_id: collection.id,
        collection: collection.name.clone(),
        field: "status".to_owned(),
        on_delete: OnDelete::Restrict,
    };
    let id = RecordId::generate().to_string();
    let plan = explain_referring(&test.store, &referrer, &id).await;
    assert!(plan.contains("f_") && sorts(&plan) == 0, "{plan}");
    if is_sqlite {
        unordered_lists_go_by_an_index(&test.store, collection.id).await;
    }
}

/// `PostgreSQL` decides by statistics whether it does this.
async fn unordered_lists_go_by_an_index(store: &Store, collection: CollectionId) {
    let one_of = is("status", Comparison::In, json!(["open", "new"]));
    let words = SearchWord::read("tea pot*");
    let fields = SearchFields { shown: vec!["title".to_owned()], hidden: Vec::new() };
    let search = Filter::Search(Search { collection, fields, words });
    for (filter, index) in [(one_of, "f_"), (search, "SCAN record_search VIRTUAL TABLE INDEX")] {
        let (scope, from) = (Scope::Collection(collection), PageStart::Offset(0));
        let (sort, hints) = (by("created_at", true), ListHints::default());
        let query = RecordQuery { scope, filter, sort, from, limit: 5, hints };
        for plan in [explain(store, &query).await, explain_count(store, &query).await] {
            assert!(plan.contains(index) && !reads_all(&plan), "{query:?}\n{plan}");
            // It doesn't look at every record of the collection.
            assert!(!plan.contains("(collection_id=?)"), "{query:?}\n{plan}");
        }
    }
}

#[tokio::test]
async fn lists_by_declared_fields_go_by_an_index() {
    lists_go_by_an_index(TestDatabase::on_sqlite()).await;
    if let Some(database) = TestDatabase::on_postgres().await {
        lists_go_by_an_index(database).await;
    }
}
