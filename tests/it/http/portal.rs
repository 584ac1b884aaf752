//! The login pages.

use anyhow::Result;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::json;
use tinybase_tests::TestServer;

async fn get(server: &TestServer, path: &str) -> Result<Response> {
    let client = Client::builder().redirect(Policy::none()).build()?;
    Ok(client.get(format!("{}{path}", server.api.base)).send().await?)
}

async fn page(server: &TestServer, path: &str) -> Result<String> {
    let answer = get(server, path).await?;
    assert_eq!(answer.status(), 200, "{path}");
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    let policy = answer.headers()["content-security-policy"].to_str()?.to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
    assert_eq!(answer.headers()["x-frame-options"], "DENY");
    let text = answer.text().await?;
    // Everything comes from this server, and there is nothing that the policy would forbid.
    for forbidden in ["src=\"http", "href=\"http", "<style", "style=\"", " onclick", "<script>"] {
        assert!(!text.contains(forbidden), "{path}: {forbidden}\n{text}");
    }
    Ok(text)
}

#[tokio::test]
async fn the_pages_are_there_and_need_nothing_from_elsewhere() -> Result<()> {
    let server = TestServer::start().await?;
    for (path, view, fields) in [
        ("/auth/login", "login", &["email", "password"][..]),
        ("/auth/register", "register", &["email", "password"]),
        ("/auth/password-reset", "reset-request", &["email"]),
        ("/auth/password-reset/abc", "reset", &["password"]),
    ] {
        let text = page(&server, path).await?;
        assert!(text.contains(&format!("data-view=\"{view}\"")), "{text}");
        for field in fields {
            assert!(text.contains(&format!("name=\"{field}\"")), "{path} {field}");
        }
    }
    for (path, media_type) in [
        ("/auth/portal.js", "text/javascript; charset=utf-8"),
        ("/auth/portal.css", "text/css; charset=utf-8"),
    ] {
        let answer = get(&server, path).await?;
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["content-type"].to_str()?),
            (200, media_type)
        );
        let text = answer.text().await?;
        assert!(!text.contains("localStorage.") && !text.contains("document.cookie"), "{text}");
    }
    let index = get(&server, "/auth").await?;
    assert_eq!(
        (index.status().as_u16(), index.headers()["location"].to_str()?),
        (303, "/auth/login")
    );
    server.stop().await
}

#[tokio::test]
async fn the_pages_look_as_the_settings_say_and_lead_nowhere_else() -> Result<()> {
    let server = TestServer::start().await?;
    let settings = json!({
        "instance_name": "Shop <b>",
        "auth_portal_enabled": true,
        "auth_portal_logo_url": "https://cdn.example/logo.png",
        "auth_portal_primary_color": "#123456",
        "auth_portal_background_image_url": "https://cdn.example/back.jpg",
        "auth_portal_login_redirect_url": "https://app.example/home",
        "auth_portal_register_redirect_url": "https://app.example/welcome",
    });
    server.admin.patch("/api/admin/settings", &settings).await?;
    let config = server.api.get("/api/auth/portal-config").await?;
    assert_eq!(config["instance_name"], "Shop <b>");
    assert_eq!(config["primary_color"], "#123456");
    assert_eq!(config["registration_enabled"], true);
    assert_eq!(config["login_redirect_url"], "https://app.example/home");
    let answer = get(&server, "/auth/login").await?.text().await?;
    assert!(answer.contains("Shop &lt;b&gt;") && !answer.contains("Shop <b>"), "{answer}");
    assert!(answer.contains("cdn.example"), "{answer}");
    let style = get(&server, "/auth/portal.css").await?.text().await?;
    assert!(
        style.contains("--primary: #123456;") && style.contains("cdn.example/back.jpg"),
        "{style}"
    );
    for (wanted, leads_to) in [
        ("", "app.example"),
        ("?redirect=https%3A%2F%2Fevil.example", "app.example"),
        ("?redirect=%2F%2Fevil.example", "app.example"),
        ("?redirect=javascript%3Aalert(1)", "app.example"),
        ("?redirect=%2Fhere", "here\""),
    ] {
        let text = get(&server, &format!("/auth/login{wanted}")).await?.text().await?;
        let target = text.split("data-target=\"").nth(1).and_then(|rest| rest.split('>').next());
        assert!(target.is_some_and(|target| target.contains(leads_to)), "{wanted}: {target:?}");
        assert!(!text.contains("evil"), "{wanted}: {text}");
    }
    server
        .admin
        .patch("/api/admin/settings", &json!({ "allow_public_registration": false }))
        .await?;
    let text = get(&server, "/auth/register").await?.text().await?;
    assert!(text.contains("switched off") && !text.contains("<form"), "{text}");
    server.stop().await
}

#[tokio::test]
async fn looks_are_tried_out_by_administrators_only() -> Result<()> {
    let server = TestServer::start().await?;
    let ann = server.api.register("ann@example.com").await?;
    let path = "/api/auth/portal-config?preview=true&primary_color=red";
    for api in [&server.api, &ann] {
        assert_eq!(api.send(reqwest::Method::GET, path, None).await?.0, 403);
    }
    assert_eq!(server.admin.get(path).await?["primary_color"], "red");
    assert_eq!(server.api.get("/api/auth/portal-config").await?["primary_color"], json!(null));
    server.stop().await
}
