//! Batches: all of it or nothing.

use anyhow::Result;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tinybase_tests::{Api, TestServer};

const NOTES: &str = "/api/collections/notes/records";

async fn server() -> Result<TestServer> {
    let server = TestServer::start().await?;
    for name in ["notes", "orders"] {
        let fields = json!([
            { "name": "title", "type": "string", "required": true },
            { "name": "n", "type": "int" },
        ]);
        let body = json!({ "name": name, "label": name, "schema": { "fields": fields } });
        server.admin.post("/api/collections", &body).await?;
    }
    Ok(server)
}

async fn batch(api: &Api, operations: Value) -> Result<(StatusCode, Value)> {
    let body = json!({ "operations": operations });
    api.send(Method::POST, "/api/batch", Some(&body)).await
}

async fn total(api: &Api, collection: &str) -> Result<Value> {
    let path = format!("/api/collections/{collection}/records/count");
    Ok(api.get(&path).await?["count"].clone())
}

#[tokio::test]
async fn a_batch_of_several_collections_takes_place_as_a_whole() -> Result<()> {
    let server = server().await?;
    let api = &server.admin;
    let old = api.post(NOTES, &json!({ "data": { "title": "old", "n": 1 } })).await?["id"].clone();
    let gone = api.post(NOTES, &json!({ "data": { "title": "gone" } })).await?["id"].clone();
    let (status, answer) = batch(api, json!([
        { "op": "create", "collection": "notes", "data": { "title": "a" } },
        { "op": "create", "collection": "orders", "data": { "title": "b", "n": "5" } },
        { "op": "update", "collection": "notes", "id": old, "data": { "n": 2 }, "if_match": "\"1\"" },
        { "op": "update", "collection": "notes", "id": old, "data": { "title": "new" }, "if_match": "\"2\"" },
        { "op": "delete", "collection": "notes", "id": gone },
    ])).await?;
    assert_eq!(status, 200, "{answer}");
    let results = answer["results"].as_array().cloned().unwrap_or_default();
    assert_eq!(results.len(), 5);
    assert_eq!(results[1]["data"], json!({ "title": "b", "n": 5 }));
    assert_eq!(results[3]["data"], json!({ "title": "new", "n": 2 }));
    assert_eq!(results[4], Value::Null);
    let path = format!("{NOTES}/{}", old.as_str().unwrap_or_default());
    assert_eq!(api.get(&path).await?, results[3]);
    assert_eq!((total(api, "notes").await?, total(api, "orders").await?), (json!(2), json!(1)));
    let many: Vec<_> =
        (0..300).map(|n| json!({ "op": "create", "data": { "title": "m", "n": n } })).collect();
    let body = json!({ "operations": many });
    let (status, _) = api.send(Method::POST, &format!("{NOTES}/batch"), Some(&body)).await?;
    assert_eq!(status, 200);
    assert_eq!(total(api, "notes").await?, 302);
    server.stop().await
}

#[tokio::test]
async fn a_batch_with_one_wrong_operation_leaves_nothing() -> Result<()> {
    let server = server().await?;
    let api = &server.admin;
    let old = api.post(NOTES, &json!({ "data": { "title": "old" } })).await?["id"].clone();
    let create = json!({ "op": "create", "collection": "notes", "data": { "title": "a" } });
    let nobody = "00000000-0000-7000-8000-000000000000";
    for (wrong, expected) in [
        (json!({ "op": "create", "collection": "notes", "data": {} }), 400),
        (json!({ "op": "create", "collection": "nothing", "data": {} }), 404),
        (json!({ "op": "create", "collection": "notes" }), 422),
        (json!({ "op": "create", "collection": "notes", "data": {}, "id": nobody }), 422),
        (json!({ "op": "create", "data": { "title": "a" } }), 422),
        (json!({ "op": "update", "collection": "notes", "id": nobody, "data": {} }), 404),
        (json!({ "op": "update", "collection": "orders", "id": old, "data": {} }), 404),
        (json!({ "op": "update", "collection": "notes", "id": old, "data": { "n": "x" } }), 400),
        (json!({ "op": "delete", "collection": "notes", "id": old, "if_match": "\"9\"" }), 412),
        (json!({ "op": "delete", "collection": "notes", "id": old, "data": {} }), 422),
    ] {
        let delete = json!({ "op": "delete", "collection": "notes", "id": old });
        let operations = json!([create, delete, wrong]);
        let operations =
            if wrong["id"] == old { json!([create, create, wrong]) } else { operations };
        let (status, problem) = batch(api, operations).await?;
        assert_eq!(status, expected, "{wrong}: {problem}");
        let field = problem["errors"][0]["field"].as_str().unwrap_or_default();
        assert!(field.starts_with("/operations/2"), "{wrong}: {problem}");
        assert_eq!(total(api, "notes").await?, 1, "{wrong}");
    }
    // What an operation has deleted isn't there for the next one.
    let (status, _) = batch(
        api,
        json!([
            { "op": "delete", "collection": "notes", "id": old },
            { "op": "update", "collection": "notes", "id": old, "data": { "n": 1 } },
        ]),
    )
    .await?;
    assert_eq!((status.as_u16(), total(api, "notes").await?), (404, json!(1)));
    server.stop().await
}

#[tokio::test]
async fn a_batch_is_under_the_same_rules() -> Result<()> {
    let server = server().await?;
    let id = server.admin.post(NOTES, &json!({ "data": { "title": "a" } })).await?["id"].clone();
    let mine = json!({ "op": "create", "collection": "notes", "data": { "title": "b" } });
    let update = json!({ "op": "update", "collection": "notes", "id": id, "data": { "n": 1 } });
    let (status, _) = batch(&server.api, json!([mine])).await?;
    assert_eq!(status, 401);
    let user = server.api.register("user@example.com").await?;
    let (status, problem) = batch(&user, json!([mine, update])).await?;
    assert_eq!((status.as_u16(), &problem["errors"][0]["field"]), (403, &json!("/operations/1")));
    assert_eq!(total(&user, "notes").await?, 1);
    let (status, answer) = batch(&user, json!([mine])).await?;
    assert_eq!(status, 200);
    let me = user.get("/api/auth/me").await?;
    assert_eq!(answer["results"][0]["owner_id"], me["id"]);
    let (status, _) = batch(&user, json!([])).await?;
    assert_eq!(status, 422);
    let (status, _) = batch(&user, json!(vec![mine; 1001])).await?;
    assert_eq!(status, 422);
    let listed = json!(["create", "notes", null, { "title": "c" }, null]);
    let (status, problem) = batch(&user, json!([listed])).await?;
    assert_eq!(status, 422, "an operation is an object: {problem}");
    server.stop().await
}

#[tokio::test]
async fn batches_at_once_are_each_whole() -> Result<()> {
    let server = server().await?;
    let api = &server.admin;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let body = json!({ "data": { "title": "counter", "n": 0 } });
        ids.push(api.post(NOTES, &body).await?["id"].clone());
    }
    let set = |n: usize| {
        let both = ids.iter().map(move |id| {
            json!({ "op": "update", "collection": "notes", "id": id, "data": { "n": n } })
        });
        Value::Array(both.collect())
    };
    let (one, two, three) =
        tokio::try_join!(batch(api, set(1)), batch(api, set(2)), batch(api, set(3)))?;
    for (status, answer) in [one, two, three] {
        assert!(matches!(status.as_u16(), 200 | 409), "{status}: {answer}");
    }
    let mut values = Vec::new();
    for id in &ids {
        let path = format!("{NOTES}/{}", id.as_str().unwrap_or_default());
        values.push(api.get(&path).await?["data"]["n"].clone());
    }
    assert_eq!(values[0], values[1], "no batch is in between another");
    server.stop().await
}
