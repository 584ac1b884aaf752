//! Rules as expressions: who sees and changes what.

use anyhow::Result;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tinybase_tests::TestServer;

const PATH: &str = "/api/collections/posts/records";

async fn server() -> Result<TestServer> {
    let server = TestServer::start().await?;
    let seen = "record.status == 'public' || record.owner_id == user.id";
    let body = json!({
        "name": "posts", "label": "Posts",
        "schema": {"fields": [{"name": "status", "type": "string"}]},
        "options": {"access": {
            "list": seen, "read": seen,
            "create": "user.is_authenticated && record.status == 'draft'",
            "update": "record.owner_id == user.id", "delete": "false",
        }},
    });
    server.admin.post("/api/collections", &body).await?;
    Ok(server)
}

fn id(record: &Value) -> &str {
    record["id"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn lists_and_reads_show_the_same_records() -> Result<()> {
    let server = server().await?;
    let ann = server.api.register("ann@example.com").await?;
    let bob = server.api.register("bob@example.com").await?;
    let draft = ann.post(PATH, &json!({"data": {"status": "draft"}})).await?;
    let public = server.admin.post(PATH, &json!({"data": {"status": "public"}})).await?;
    for (api, total) in [(&server.api, 1), (&bob, 1), (&ann, 2), (&server.admin, 2)] {
        let list = api.get(PATH).await?;
        assert_eq!(list["total"], total, "{list}");
        let read = api.send(Method::GET, &format!("{PATH}/{}", id(&draft)), None).await?;
        let expected = if total == 2 { StatusCode::OK } else { StatusCode::NOT_FOUND };
        assert_eq!(read.0, expected, "{}", read.1);
        api.get(&format!("{PATH}/{}", id(&public))).await?;
    }
    server.stop().await
}

#[tokio::test]
async fn writes_are_held_to_their_expressions() -> Result<()> {
    let server = server().await?;
    let ann = server.api.register("ann@example.com").await?;
    let bob = server.api.register("bob@example.com").await?;
    let public = json!({"data": {"status": "public"}});
    let draft = json!({"data": {"status": "draft"}});
    assert_eq!(
        server.api.send(Method::POST, PATH, Some(&draft)).await?.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(ann.send(Method::POST, PATH, Some(&public)).await?.0, StatusCode::FORBIDDEN);
    let post = ann.post(PATH, &draft).await?;
    let path = format!("{PATH}/{}", id(&post));
    assert_eq!(bob.send(Method::PATCH, &path, Some(&public)).await?.0, StatusCode::NOT_FOUND);
    ann.patch(&path, &public).await?;
    assert_eq!(bob.send(Method::PATCH, &path, Some(&draft)).await?.0, StatusCode::FORBIDDEN);
    assert_eq!(ann.send(Method::DELETE, &path, None).await?.0, StatusCode::FORBIDDEN);
    server.admin.delete(&path).await?;
    server.stop().await
}

#[tokio::test]
async fn a_wrong_expression_says_where() -> Result<()> {
    let server = server().await?;
    for (rule, part) in [
        ("record.stats == 'x'", "at character 8: there is no field \"stats\"; did you mean"),
        ("everybody", "use public, auth, owner, admin or an expression"),
        ("record.status = 'x'", "use == to compare"),
    ] {
        let change = json!({"options": {"access": {"read": rule}}});
        let answer =
            server.admin.send(Method::PATCH, "/api/collections/posts", Some(&change)).await?;
        assert_eq!(answer.0, StatusCode::BAD_REQUEST, "{}", answer.1);
        assert_eq!(answer.1["errors"][0]["field"], "/options/access/read");
        assert!(answer.1["errors"][0]["message"].to_string().contains(&part.replace('"', "\\\"")));
    }
    server.stop().await
}
