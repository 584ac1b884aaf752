//! Expanding references: what one may read, and nothing of what one may not.

use anyhow::{Context, Result};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use tinybase_tests::{Api, TestServer};

const POSTS: &str = "/api/collections/posts/records";

/// Teams, authors in them, and posts by them that a user has checked. Teams called "closed" are for
/// administrators.
async fn server() -> Result<TestServer> {
    let server = TestServer::start().await?;
    let reference =
        |name: &str, to: &str| json!({ "name": name, "type": "reference", "collection": to });
    let name = json!({ "name": "name", "type": "string" });
    let fact = json!({ "name": "fact", "type": "string", "hidden": true });
    for (collection, fields, access) in [
        (
            "teams",
            json!([name, fact, reference("parent", "teams")]),
            json!({ "read": "record.name != 'closed'" }),
        ),
        (
            "authors",
            json!([name, reference("team", "teams"), reference("agent", "users")]),
            json!({}),
        ),
        (
            "posts",
            json!([
                name,
                reference("author", "authors"),
                reference("checker", "users"),
                { "name": "source", "type": "reference", "collection": "authors", "hidden": true },
            ]),
            json!({}),
        ),
    ] {
        let body = json!({ "name": collection, "label": collection,
                           "schema": { "fields": fields }, "options": { "access": access } });
        server.admin.post("/api/collections", &body).await?;
    }
    Ok(server)
}

async fn create(api: &Api, collection: &str, data: Value) -> Result<Value> {
    let path = format!("/api/collections/{collection}/records");
    Ok(api.post(&path, &json!({ "data": data })).await?["id"].clone())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[tokio::test]
async fn references_are_followed_as_far_as_one_may_read() -> Result<()> {
    let server = server().await?;
    let (api, admin) = (&server.api, &server.admin);
    let ann = server.api.register("ann@example.com").await?;
    let me = ann.get("/api/auth/me").await?;
    let top = create(admin, "teams", json!({ "name": "top" })).await?;
    let open =
        create(admin, "teams", json!({ "name": "open", "fact": "secret", "parent": top })).await?;
    let closed = create(admin, "teams", json!({ "name": "closed", "parent": top })).await?;
    let mut posts = Vec::new();
    for (name, team) in [("a", &open), ("b", &closed), ("c", &Value::Null)] {
        let author = create(admin, "authors", json!({ "name": name, "team": team })).await?;
        let data = json!({ "name": name, "author": author, "checker": me["id"], "source": author });
        posts.push(create(admin, "posts", data).await?);
    }
    let query = "?expand=author.team.parent,%20checker&sort=name";
    let list = api.get(&format!("{POSTS}{query}")).await?;
    let seen = |index: usize| &list["records"][index]["expand"];
    let team = &seen(0)["author"]["expand"]["team"];
    assert_eq!(team["data"]["name"], "open");
    assert_eq!(team["data"].get("fact"), None, "a hidden field of the target");
    assert_eq!(team["expand"]["parent"]["data"]["name"], "top");
    assert_eq!(team["expand"]["parent"].get("expand"), None, "nothing was asked for there");
    for index in [1, 2] {
        let author = &seen(index)["author"];
        assert_eq!(author["expand"], json!({}), "a closed team looks like none");
        assert_eq!(author["data"]["name"], ["a", "b", "c"][index]);
    }
    assert_eq!(seen(0).get("checker"), None, "a user isn't for everybody");
    // The data stays as it is without.
    let plain = api.get(&format!("{POSTS}?sort=name")).await?;
    assert_eq!(plain["records"][0].get("expand"), None);
    assert_eq!(plain["records"][0]["data"], list["records"][0]["data"]);
    // One's own user, and the same on a single record.
    let path = format!("{POSTS}/{}", text(&posts[1]));
    let mine = ann.get(&format!("{path}?expand=author.team,checker&fields=id,name")).await?;
    assert_eq!(mine["expand"]["checker"]["id"], me["id"]);
    assert_eq!(mine["expand"]["checker"].get("password_hash"), None);
    assert_eq!(mine["expand"]["author"]["expand"], json!({}));
    assert_eq!(mine["data"], json!({ "name": "b" }), "fields are about the record itself");
    let all = admin.get(&format!("{path}?expand=author.team,checker,source")).await?;
    assert_eq!(all["expand"]["author"]["expand"]["team"]["data"]["name"], "closed");
    assert_eq!(all["expand"]["source"]["id"], all["expand"]["author"]["id"]);
    assert_eq!(all["expand"]["checker"]["email"], "ann@example.com");
    server.stop().await
}

#[tokio::test]
async fn what_is_no_reference_is_refused_with_those_that_are() -> Result<()> {
    let server = server().await?;
    let long = "expand=author.team.parent.parent";
    for (query, part) in [
        ("expand=name", "here are author, checker"),
        ("expand=nosuch", "here are author, checker"),
        ("expand=source", "here are author, checker"),
        ("expand=author.name", "here are team, agent"),
        ("expand=checker.email", "there are none here"),
        ("expand=", "no reference"),
        ("expand=author..team", "no reference"),
        (long, "at most 3"),
    ] {
        let path = format!("{POSTS}?{query}");
        let (status, problem) = server.api.send(Method::GET, &path, None).await?;
        assert_eq!(status, 400, "{query}: {problem}");
        let detail = text(&problem["detail"]);
        assert!(detail.contains(part) && !detail.contains("checker, source"), "{detail}");
    }
    // Of a collection that isn't for one, one doesn't learn the fields.
    let closed =
        json!({ "options": { "access": { "list": "admin", "read": "admin", "create": "admin" } } });
    server.admin.patch("/api/collections/authors", &closed).await?;
    for field in ["team", "nosuch"] {
        let path = format!("{POSTS}?expand=author.{field}");
        let (status, problem) = server.api.send(Method::GET, &path, None).await?;
        assert_eq!(status, 400);
        assert!(text(&problem["detail"]).ends_with("there are none here"), "{problem}");
    }
    let list = server.api.get(&format!("{POSTS}?expand=author")).await?;
    assert_eq!(list["total"], 0);
    server.stop().await
}

#[tokio::test]
async fn a_tag_is_of_all_that_is_shown() -> Result<()> {
    let server = server().await?;
    let admin = &server.admin;
    let author = create(admin, "authors", json!({ "name": "a" })).await?;
    let post = create(admin, "posts", json!({ "name": "p", "author": author })).await?;
    let path = format!("{POSTS}/{}?expand=author", text(&post));
    let get = async |known: &str| -> Result<(StatusCode, String)> {
        let request = server.api.request(Method::GET, &path).header(header::IF_NONE_MATCH, known);
        let response = request.send().await?;
        let tag = response.headers().get(header::ETAG).context("a tag")?.to_str()?.to_owned();
        Ok((response.status(), tag))
    };
    let (status, tag) = get("\"1\"").await?;
    assert_eq!(status, 200, "the version alone says nothing of the author");
    assert!(tag.starts_with("W/\""), "{tag}");
    assert_eq!(get(&tag).await?, (StatusCode::NOT_MODIFIED, tag.clone()));
    let changed = format!("/api/collections/authors/records/{}", text(&author));
    admin.patch(&changed, &json!({ "data": { "name": "b" } })).await?;
    let (status, other) = get(&tag).await?;
    assert_eq!(status, 200);
    assert_ne!(other, tag);
    let plain = format!("{POSTS}/{}", text(&post));
    let request = admin.request(Method::PATCH, &plain).header(header::IF_MATCH, &other);
    let response = request.json(&json!({ "data": { "name": "q" } })).send().await?;
    assert_eq!(response.status(), StatusCode::PRECONDITION_FAILED, "it isn't a version");
    server.stop().await
}

#[tokio::test]
async fn the_document_says_what_a_record_refers_to() -> Result<()> {
    let server = server().await?;
    let document = server.api.get("/openapi.json").await?;
    let schemas = &document["components"]["schemas"];
    let expand = &schemas["posts.Record"]["properties"]["expand"]["properties"];
    assert_eq!(
        expand,
        &json!({
            "author": { "$ref": "#/components/schemas/authors.Record" },
            "checker": { "$ref": "#/components/schemas/User" },
        })
    );
    assert!(schemas["Record"]["properties"]["expand"].is_object());
    server.stop().await
}
