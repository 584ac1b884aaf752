//! Collections: fields, uniqueness, references, changes of schemas, status.

use anyhow::Result;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tinybase_tests::TestServer;

fn collection(name: &str, fields: &Value) -> Value {
    json!({ "name": name, "label": name, "schema": { "fields": fields } })
}

#[tokio::test]
async fn values_of_every_type_come_back_as_they_are_kept() -> Result<()> {
    let server = TestServer::start().await?;
    let fields = json!([
        {"name": "day", "type": "date"},
        {"name": "at", "type": "datetime", "required": true},
        {"name": "mail", "type": "string", "format": "email"},
        {"name": "size", "type": "string", "enum": ["s", "m", "l"], "default": "m"},
        {"name": "numbers", "type": "list", "items": {"type": "int", "min": 0}, "max_items": 3},
        {"name": "place", "type": "object", "properties": {
            "city": {"type": "string", "required": true}, "zip": {"type": "string"}}},
    ]);
    server.admin.post("/api/collections", &collection("things", &fields)).await?;
    let data = json!({"day": "2026-01-31T00:00:00", "at": "2026-01-31T08:00:00+02:00",
        "mail": "a@example.com", "numbers": ["1", 2], "place": {"city": "Ulm"}});
    let path = "/api/collections/things/records";
    let created = server.admin.post(path, &json!({ "data": data })).await?;
    let kept = json!({"day": "2026-01-31", "at": "2026-01-31T06:00:00.000000Z",
        "mail": "a@example.com", "size": "m", "numbers": [1, 2],
        "place": {"city": "Ulm", "zip": null}});
    assert_eq!(created["data"], kept);
    let wrong = json!({"data": {"at": "soon", "mail": "a", "size": "xl", "numbers": [1, -1],
        "place": {"zip": 1}}});
    let (status, problem) = server.admin.send(Method::POST, path, Some(&wrong)).await?;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    let places: Vec<_> = errors.iter().filter_map(|error| error["field"].as_str()).collect();
    let expected = [
        "/data/at",
        "/data/mail",
        "/data/size",
        "/data/numbers/1",
        "/data/place/city",
        "/data/place/zip",
    ];
    assert_eq!(places, expected, "{problem}");
    server.stop().await
}

#[tokio::test]
async fn a_wrong_schema_says_where_and_what_was_meant() -> Result<()> {
    let server = TestServer::start().await?;
    let cases = [
        (json!([{"name": "a", "type": "strng"}]), "/schema/fields/0/type", "\"string\""),
        (
            json!([{"name": "a", "type": "int", "uniqe": true}]),
            "/schema/fields/0/uniqe",
            "\"unique\"",
        ),
        (
            json!([{"name": "a", "type": "reference", "collection": "nowhere"}]),
            "/schema/fields/0/collection",
            "nowhere",
        ),
        (
            json!([{"name": "a", "type": "list", "unique": true}]),
            "/schema/fields/0/unique",
            "single",
        ),
    ];
    for (fields, place, part) in cases {
        let body = collection("x", &fields);
        let answer = server.admin.send(Method::POST, "/api/collections", Some(&body)).await?;
        let (status, problem) = answer;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
        assert_eq!(problem["errors"][0]["field"], place, "{problem}");
        let message = problem["errors"][0]["message"].as_str().unwrap_or_default();
        assert!(message.contains(part), "{problem}");
    }
    server.stop().await
}

#[tokio::test]
async fn what_is_unique_stays_so_and_references_hold() -> Result<()> {
    let server = TestServer::start().await?;
    let admin = &server.admin;
    admin
        .post(
            "/api/collections",
            &collection("authors", &json!([{"name": "name", "type": "string", "unique": true}])),
        )
        .await?;
    let books = json!([{"name": "author", "type": "reference", "collection": "authors"}]);
    admin.post("/api/collections", &collection("books", &books)).await?;
    let author = json!({"data": {"name": "ann"}});
    let path = "/api/collections/authors/records";
    let ann = admin.post(path, &author).await?;
    let (status, problem) = admin.send(Method::POST, path, Some(&author)).await?;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.starts_with("Field 'name' must be unique"), "{problem}");
    let id = ann["id"].as_str().unwrap_or_default();
    let book = json!({"data": {"author": id}});
    let book = admin.post("/api/collections/books/records", &book).await?;
    let dangling = json!({"data": {"author": book["id"]}});
    let answer =
        admin.send(Method::POST, "/api/collections/books/records", Some(&dangling)).await?;
    assert_eq!(answer.0, StatusCode::BAD_REQUEST);
    assert!(answer.1["detail"].to_string().contains("does not exist"), "{}", answer.1);
    let (status, _) = admin.send(Method::DELETE, &format!("{path}/{id}"), None).await?;
    assert_eq!(status, StatusCode::CONFLICT, "a book refers to it");
    let (status, _) = admin.send(Method::DELETE, "/api/collections/authors", None).await?;
    assert_eq!(status, StatusCode::CONFLICT, "a collection refers to it");
    server.stop().await
}

#[tokio::test]
async fn a_change_is_tried_first_and_refused_if_records_do_not_fit() -> Result<()> {
    let server = TestServer::start().await?;
    let admin = &server.admin;
    let notes = collection("notes", &json!([{"name": "n", "type": "int"}]));
    let tried = admin.send(Method::POST, "/api/collections?dry_run=true", Some(&notes)).await?;
    assert_eq!(tried.0, StatusCode::OK, "{}", tried.1);
    let (status, _) = admin.send(Method::GET, "/api/collections/notes", None).await?;
    assert_eq!(status, StatusCode::NOT_FOUND, "nothing was made");
    admin.post("/api/collections", &notes).await?;
    for n in 0..3 {
        admin.post("/api/collections/notes/records", &json!({"data": {"n": n}})).await?;
    }
    let change = json!({"schema": {"fields": [{"name": "n", "type": "int", "max": 0}]}});
    let path = "/api/collections/notes";
    let report = admin.patch(&format!("{path}?dry_run=true"), &change).await?;
    assert_eq!(report["records"], 3);
    assert_eq!(
        report["problems"][0],
        json!({"field": "/data/n", "reason": "must be at most 0", "records": 2})
    );
    let (status, problem) = admin.send(Method::PATCH, path, Some(&change)).await?;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    assert_eq!(problem["errors"][0]["field"], "/data/n", "{problem}");
    let unchanged = admin.get(path).await?;
    assert_eq!(unchanged["schema"], notes["schema"]);
    server.stop().await
}

#[tokio::test]
async fn administrators_see_how_collections_are_doing() -> Result<()> {
    let server = TestServer::start().await?;
    let fields = json!([{"name": "slug", "type": "string", "unique": true},
                        {"name": "by", "type": "reference", "collection": "users"}]);
    server.admin.post("/api/collections", &collection("posts", &fields)).await?;
    let status = server.admin.get("/api/admin/collections/posts/status").await?;
    assert_eq!(status["health_status"], "healthy", "{status}");
    assert_eq!(status["unique_fields"], json!(["slug"]));
    assert_eq!(status["indexes"][0]["has_index"], true);
    assert_eq!(status["references"][0]["target_collection"], "users");
    let all = server.admin.get("/api/admin/collections/status").await?;
    assert_eq!(all["total_collections"], 1);
    assert_eq!(all["collections"][0]["name"], "posts");
    let user = server.api.register("u@example.com").await?;
    for path in ["/api/admin/collections/status", "/api/admin/collections/posts/status"] {
        assert_eq!(user.send(Method::GET, path, None).await?.0, StatusCode::FORBIDDEN);
        assert_eq!(server.api.send(Method::GET, path, None).await?.0, StatusCode::UNAUTHORIZED);
    }
    let missing = server.admin.send(Method::GET, "/api/admin/collections/no/status", None).await?;
    assert_eq!(missing.0, StatusCode::NOT_FOUND);
    server.stop().await
}
