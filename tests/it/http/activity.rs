//! The activity log: what is noted, for whom, and from where.

use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tinybase_tests::{Api, TestServer, Zoo, wait_for};

const PATH: &str = "/api/admin/activity";

/// The newest activity of a kind. What isn't an event is noted right after it was done.
async fn newest(admin: &Api, action: &str) -> Value {
    wait_for(&format!("{action} is noted"), Duration::from_secs(10), || async {
        let page = admin.get(&format!("{PATH}?action={action}&limit=1")).await.ok()?;
        page["activities"].get(0).cloned()
    })
    .await
}

#[tokio::test]
async fn what_users_do_is_noted_with_who_and_from_where() -> Result<()> {
    let server = TestServer::start().await?;
    server.admin.make_collection("notes", &["title"]).await?;
    let user = server.api.register("a@example.com").await?;
    let me = user.get("/api/auth/me").await?;
    let records = "/api/collections/notes/records";
    let record = user.post(records, &json!({ "data": { "title": "x" } })).await?;
    let id = record["id"].as_str().context("an id")?;
    user.patch(&format!("{records}/{id}"), &json!({ "data": { "title": "y" } })).await?;
    user.delete(&format!("{records}/{id}")).await?;
    for action in ["record.create", "record.update", "record.delete"] {
        // The event's own commit notes it, so that it is there when the answer is.
        let page = server.admin.get(&format!("{PATH}?action={action}")).await?;
        let noted = &page["activities"][0];
        assert_eq!(page["total"], 1, "{page}");
        assert_eq!(noted["resource_type"], "record");
        assert_eq!(noted["resource_id"], id);
        assert_eq!(noted["user_id"], me["id"]);
        assert_eq!(noted["user_email"], "a@example.com");
        assert_eq!(noted["metadata"]["collection"], "notes");
        assert_eq!(noted["ip_address"], "127.0.0.1");
        assert!(noted["created_at"].is_string(), "{noted}");
    }
    let login = newest(&server.admin, "user.login").await;
    assert_eq!(login["user_email"], "a@example.com");
    assert_eq!(login["metadata"], json!({}));
    assert_eq!(newest(&server.admin, "user.register").await["resource_id"], me["id"]);
    server.stop().await
}

#[tokio::test]
async fn what_administrators_do_is_noted_without_secrets() -> Result<()> {
    let server = TestServer::start().await?;
    let change = json!({ "storage_secret_key": "hunter2", "instance_name": "Shop" });
    server.admin.patch("/api/admin/settings", &change).await?;
    let noted = newest(&server.admin, "settings.update").await;
    assert_eq!(noted["metadata"]["settings"], json!(["instance_name", "storage_secret_key"]));
    assert!(!noted.to_string().contains("hunter2"), "{noted}");
    assert_eq!(noted["user_email"], "admin@example.com");
    server.stop().await
}

#[tokio::test]
async fn the_log_is_listed_in_parts_the_newest_first() -> Result<()> {
    let server = TestServer::start().await?;
    server.admin.make_collection("notes", &["title"]).await?;
    for title in ["1", "2", "3"] {
        let record = json!({ "data": { "title": title } });
        server.admin.post("/api/collections/notes/records", &record).await?;
    }
    let all = server.admin.get(&format!("{PATH}?resource_type=record")).await?;
    assert_eq!((&all["total"], &all["limit"], &all["offset"]), (&json!(3), &json!(50), &json!(0)));
    let part = format!("{PATH}?resource_type=record&limit=1&offset=1");
    assert_eq!(server.admin.get(&part).await?["activities"][0], all["activities"][1]);
    let recent = server.admin.get(&format!("{PATH}/recent?limit=2")).await?;
    assert_eq!(recent.as_array().map(Vec::len), Some(2));
    assert_eq!(recent[0], all["activities"][0]);
    for query in ["limit=0", "limit=501", "user_id=x", "recent?limit=51"] {
        let path = match query.strip_prefix("recent") {
            Some(rest) => format!("{PATH}/recent{rest}"),
            None => format!("{PATH}?{query}"),
        };
        assert_eq!(server.admin.send(Method::GET, &path, None).await?.0, 422, "{path}");
    }
    let user = server.api.register("a@example.com").await?;
    for path in [PATH.to_owned(), format!("{PATH}/recent")] {
        assert_eq!(server.api.send(Method::GET, &path, None).await?.0, 401);
        assert_eq!(user.send(Method::GET, &path, None).await?.0, 403);
    }
    server.stop().await
}

#[tokio::test]
async fn changes_of_records_are_not_noted_if_that_is_switched_off() -> Result<()> {
    let server = TestServer::start_with(&[("TINYBASE_ACTIVITY_RECORDS", "false")]).await?;
    server.admin.make_collection("notes", &["title"]).await?;
    let record = json!({ "data": { "title": "x" } });
    server.admin.post("/api/collections/notes/records", &record).await?;
    let noted = server.admin.get(PATH).await?;
    assert!(noted.to_string().contains("user.login"), "{noted}");
    assert!(!noted.to_string().contains("record.create"), "{noted}");
    server.stop().await
}

const NOTES: &str = r#"
from tinybase.extensions import create_activity_logger, log_extension_activity
from tinybase.functions import register

log = create_activity_logger("notes")


@register(name="ship")
def ship(ctx, payload):
    log("order.shipped", "order", "o1", None, {"weight": 2}, "192.0.2.7")
    log_extension_activity("no good name")
    return "shipped"
"#;

#[tokio::test]
async fn what_an_extension_notes_is_there_and_what_it_can_not_note_is_in_its_log() -> Result<()> {
    let (server, zoo) = (TestServer::start().await?, Zoo::new()?);
    let manifest = "[extension]\nname = \"notes\"\nversion = \"1.0.0\"\n";
    let denied = format!("{manifest}\n[extension.permissions]\ncapabilities = []\n");
    let granted = denied.replace("[]", "[\"activity:write\"]");
    let ann = server.api.register("ann@example.com").await?;
    for (manifest, count) in [(denied.as_str(), 0), (&granted, 1), (manifest, 2)] {
        let files = [("extension.toml", manifest), ("__init__.py", NOTES)];
        server.install(&zoo.folder("notes", &files)?).await?;
        let answer = ann.post("/api/functions/ship", &json!({})).await?;
        assert_eq!(answer["result"], "shipped", "{answer}");
        let page = wait_for("they are noted", Duration::from_secs(10), || async {
            let page = server.admin.get(&format!("{PATH}?action=ext.notes.order.shipped")).await;
            page.ok().filter(|page| page["total"] == count)
        })
        .await;
        if let Some(noted) = page["activities"].get(0) {
            assert_eq!(noted["user_email"], "ann@example.com");
            assert_eq!(noted["metadata"], json!({ "weight": 2, "extension": "notes" }));
            assert_eq!(
                (&noted["resource_id"], &noted["ip_address"]),
                (&json!("o1"), &json!("192.0.2.7"))
            );
        }
        server.cli(&["extensions", "uninstall", "--yes", "notes"]).await?;
    }
    server.stop().await
}
