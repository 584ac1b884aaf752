//! The settings of the instance: who sees them, what is refused, and that they hold at once.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};
use tinybase_tests::TestServer;

const PATH: &str = "/api/admin/settings";

#[tokio::test]
async fn settings_have_the_defaults_and_the_fields_of_the_original() -> Result<()> {
    let server = TestServer::start().await?;
    let mut settings = server.admin.get(PATH).await?;
    let changed = settings.as_object_mut().and_then(|all| all.remove("updated_at"));
    assert!(changed.as_ref().is_some_and(Value::is_string), "{changed:?}");
    let expected = json!({
        "instance_name": "TinyBase",
        "server_timezone": "UTC",
        "allow_public_registration": true,
        "auth_portal_enabled": false,
        "auth_portal_logo_url": null,
        "auth_portal_primary_color": null,
        "auth_portal_background_image_url": null,
        "auth_portal_login_redirect_url": null,
        "auth_portal_register_redirect_url": null,
        "storage_enabled": false,
        "storage_url": null,
        "storage_bucket": null,
        "storage_region": null,
        "scheduler_function_timeout_seconds": 1800,
        "scheduler_max_schedules_per_tick": 100,
        "scheduler_max_concurrent_executions": 10,
        "max_concurrent_functions_per_user": 10,
        "token_cleanup_interval": 60,
        "metrics_collection_interval": 360,
        "admin_report_email_enabled": true,
        "admin_report_email_interval_days": 7,
    });
    assert_eq!(settings, expected);
    server.stop().await
}

#[tokio::test]
async fn a_change_holds_at_once_and_after_a_restart_and_null_takes_it_back() -> Result<()> {
    let mut server = TestServer::start().await?;
    let change = json!({ "allow_public_registration": false, "instance_name": "Shop" });
    let changed = server.admin.patch(PATH, &change).await?;
    assert_eq!(changed["instance_name"], "Shop");
    assert_eq!(changed, server.admin.get(PATH).await?);
    let user = json!({ "email": "a@example.com", "password": "long enough" });
    let (status, _) = server.api.send(Method::POST, "/api/auth/register", Some(&user)).await?;
    assert_eq!(status, 403);
    server.kill().await?;
    server.start_again().await?;
    let (status, _) = server.api.send(Method::POST, "/api/auth/register", Some(&user)).await?;
    assert_eq!(status, 403);
    let back = json!({ "allow_public_registration": null, "instance_name": null });
    let settings = server.admin.patch(PATH, &back).await?;
    assert_eq!(settings["instance_name"], "TinyBase");
    server.api.post("/api/auth/register", &user).await?;
    server.stop().await
}

#[tokio::test]
async fn one_wrong_setting_keeps_all_others_as_they_were() -> Result<()> {
    let server = TestServer::start().await?;
    let before = server.admin.get(PATH).await?;
    for wrong in [
        json!({ "server_timezone": "Mars/Olympus" }),
        json!({ "token_cleanup_interval": 0 }),
        json!({ "admin_report_email_interval_days": -1 }),
        json!({ "auth_portal_enabled": true }),
        json!({
            "auth_portal_enabled": true,
            "auth_portal_login_redirect_url": "https://example.com/admin",
            "auth_portal_register_redirect_url": "https://example.com/",
        }),
    ] {
        let mut change = wrong.clone();
        change["instance_name"] = json!("Half");
        let (status, problem) = server.admin.send(Method::PATCH, PATH, Some(&change)).await?;
        assert_eq!(status, 400, "{wrong}: {problem}");
        assert!(problem["errors"][0]["field"].is_string(), "{problem}");
    }
    for misshapen in [json!({ "instance_nmae": "x" }), json!({ "allow_public_registration": "x" })]
    {
        let (status, problem) = server.admin.send(Method::PATCH, PATH, Some(&misshapen)).await?;
        assert_eq!(status, 422, "{misshapen}: {problem}");
    }
    assert_eq!(server.admin.get(PATH).await?, before);
    server.stop().await
}

#[tokio::test]
async fn the_storages_keys_are_taken_and_never_given_back() -> Result<()> {
    let server = TestServer::start().await?;
    let keys = json!({ "storage_access_key": "AKIA1", "storage_secret_key": "hunter2" });
    let settings = server.admin.patch(PATH, &keys).await?.to_string();
    assert!(!settings.contains("AKIA1") && !settings.contains("hunter2"), "{settings}");
    let settings = server.admin.get(PATH).await?.to_string();
    assert!(!settings.contains("AKIA1") && !settings.contains("hunter2"), "{settings}");
    let log = std::fs::read_to_string(server.folder().join("server.log"))?;
    assert!(!log.contains("hunter2"), "{log}");
    server.stop().await
}

#[tokio::test]
async fn settings_are_for_administrators() -> Result<()> {
    let server = TestServer::start().await?;
    let user = server.api.register("a@example.com").await?;
    for (api, expected) in [(&server.api, 401), (&user, 403)] {
        let change = json!({ "instance_name": "Mine" });
        assert_eq!(api.send(Method::GET, PATH, None).await?.0, expected);
        assert_eq!(api.send(Method::PATCH, PATH, Some(&change)).await?.0, expected);
    }
    server.stop().await
}
