//! Users as administrators manage them.

use anyhow::{Context, Result};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tinybase_tests::{Api, TestServer};

const USERS: &str = "/api/admin/users";

async fn send(
    api: &Api,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<(StatusCode, Value)> {
    api.send(method, path, body.as_ref()).await
}

fn path_of(user: &Value) -> Result<String> {
    Ok(format!("{USERS}/{}", user["id"].as_str().context("no id")?))
}

#[tokio::test]
async fn users_are_listed_made_changed_and_deleted() -> Result<()> {
    let server = TestServer::start().await?;
    let admin = &server.admin;
    let new = json!({ "email": "Bob@example.com", "password": "a long password" });
    let (created, bob) = send(admin, Method::POST, USERS, Some(new.clone())).await?;
    assert_eq!(
        (created, &bob["email"], &bob["is_admin"]),
        (StatusCode::CREATED, &json!("bob@example.com"), &json!(false))
    );
    assert_eq!(send(admin, Method::POST, USERS, Some(new)).await?.0, 400, "the address is taken");
    for bad in [
        json!({ "email": "bob", "password": "a long password" }),
        json!({ "email": "eve@example.com", "password": "short" }),
        json!({ "email": "eve@example.com" }),
        json!({ "email": "eve@example.com", "password": "a long password", "id": "1" }),
    ] {
        assert_eq!(send(admin, Method::POST, USERS, Some(bad.clone())).await?.0, 422, "{bad}");
    }
    let list = admin.get(&format!("{USERS}?limit=1&offset=1")).await?;
    assert_eq!(
        (&list["total"], &list["limit"], &list["offset"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!(list["users"][0], bob, "the oldest first");
    assert_eq!(send(admin, Method::GET, &format!("{USERS}?limit=0"), None).await?.0, 422);
    let path = path_of(&bob)?;
    assert_eq!(admin.get(&path).await?, bob);
    let changed =
        admin.patch(&path, &json!({ "email": "Rob@example.com", "is_admin": true })).await?;
    assert_eq!(
        (&changed["email"], &changed["is_admin"]),
        (&json!("rob@example.com"), &json!(true))
    );
    assert_ne!(changed["updated_at"], bob["updated_at"]);
    let taken = json!({ "email": "admin@example.com" });
    let (status, problem) = send(admin, Method::PATCH, &path, Some(taken)).await?;
    assert_eq!(
        (status, &problem["detail"]),
        (StatusCode::BAD_REQUEST, &json!("Email already registered"))
    );
    assert_eq!(send(admin, Method::DELETE, &path, None).await?.0, 204);
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(send(admin, method, &path, None).await?.0, 404);
    }
    assert_eq!(send(admin, Method::PATCH, &path, Some(json!({}))).await?.0, 404);
    server.stop().await
}

#[tokio::test]
async fn only_administrators_manage_users() -> Result<()> {
    let server = TestServer::start().await?;
    let ann = server.api.register("ann@example.com").await?;
    let me = ann.get("/api/auth/me").await?;
    let path = path_of(&me)?;
    let promote = json!({ "is_admin": true });
    for (api, expected) in [(&server.api, 401), (&ann, 403)] {
        for (method, path, body) in [
            (Method::GET, USERS, None),
            (
                Method::POST,
                USERS,
                Some(
                    json!({ "email": "eve@example.com", "password": "a long password", "is_admin": true }),
                ),
            ),
            (Method::GET, path.as_str(), None),
            (Method::PATCH, path.as_str(), Some(promote.clone())),
            (Method::DELETE, path.as_str(), None),
        ] {
            let (status, _) = send(api, method.clone(), path, body).await?;
            assert_eq!(status, expected, "{method} {path}");
        }
    }
    assert_eq!(ann.get("/api/auth/me").await?["is_admin"], false);
    server.stop().await
}

#[tokio::test]
async fn there_is_always_an_administrator() -> Result<()> {
    let server = TestServer::start().await?;
    let me = server.admin.get("/api/auth/me").await?;
    let (status, problem) =
        send(&server.admin, Method::PATCH, &path_of(&me)?, Some(json!({ "is_admin": false })))
            .await?;
    assert_eq!(
        (status, &problem["detail"]),
        (StatusCode::BAD_REQUEST, &json!("Cannot demote the last admin user"))
    );
    let (status, problem) = send(&server.admin, Method::DELETE, &path_of(&me)?, None).await?;
    assert_eq!(
        (status, &problem["detail"]),
        (StatusCode::BAD_REQUEST, &json!("Cannot delete your own account"))
    );

    // (I15) Two who demote each other at once: one of them stays.
    let new =
        json!({ "email": "second@example.com", "password": "a long password", "is_admin": true });
    let second = server.admin.post(USERS, &new).await?;
    let other = server.api.login("second@example.com", "a long password").await?;
    let (second, me) = (path_of(&second)?, path_of(&me)?);
    let (one, two) = tokio::join!(
        send(&server.admin, Method::PATCH, &second, Some(json!({ "is_admin": false }))),
        send(&other, Method::DELETE, &me, None),
    );
    let done = [one?.0, two?.0].iter().filter(|status| status.is_success()).count();
    assert_eq!(done, 1);
    let left = if server.admin.get(USERS).await.is_ok() { &server.admin } else { &other };
    let users = left.get(USERS).await?;
    let admins = users["users"].as_array().context("users")?;
    assert_eq!(admins.iter().filter(|user| user["is_admin"] == true).count(), 1);
    server.stop().await
}

#[tokio::test]
async fn what_an_administrator_changes_holds_for_the_users_logins_at_once() -> Result<()> {
    let server = TestServer::start().await?;
    let ann = server.api.register("ann@example.com").await?;
    let path = path_of(&ann.get("/api/auth/me").await?)?;
    assert_eq!(send(&ann, Method::GET, USERS, None).await?.0, 403);
    server.admin.patch(&path, &json!({ "is_admin": true })).await?;
    assert_eq!(send(&ann, Method::GET, USERS, None).await?.0, 200);
    server.admin.patch(&path, &json!({ "is_admin": false })).await?;
    assert_eq!(send(&ann, Method::GET, USERS, None).await?.0, 403);
    server.admin.patch(&path, &json!({ "password": "another password" })).await?;
    assert_eq!(send(&ann, Method::GET, "/api/auth/me", None).await?.0, 401, "logged out");
    let ann = server.api.login("ann@example.com", "another password").await?;
    server.admin.delete(&path).await?;
    assert_eq!(send(&ann, Method::GET, "/api/auth/me", None).await?.0, 401, "gone");
    server.stop().await
}

#[tokio::test]
async fn records_of_a_deleted_user_stay_and_belong_to_nobody() -> Result<()> {
    let server = TestServer::start().await?;
    server.admin.make_collection("notes", &["text"]).await?;
    let ann = server.api.register("ann@example.com").await?;
    let records = "/api/collections/notes/records";
    let record = ann.post(records, &json!({ "data": { "text": "hello" } })).await?;
    let me = ann.get("/api/auth/me").await?;
    assert_eq!(record["owner_id"], me["id"]);
    server.admin.delete(&path_of(&me)?).await?;
    let path = format!("{records}/{}", record["id"].as_str().context("no id")?);
    let found = server.admin.get(&path).await?;
    assert_eq!((&found["owner_id"], &found["data"]["text"]), (&Value::Null, &json!("hello")));
    server.stop().await
}
