//! Registering, logging in and out, and new passwords.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tinybase_tests::{Api, TestServer, Zoo, wait_for};

const PASSWORD: &str = "a long enough password";

async fn login(api: &Api, email: &str, password: &str) -> Result<Value> {
    api.post("/api/auth/login", &json!({ "email": email, "password": password })).await
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().context("no text")
}

/// The API with the access and with the refresh token of a new login.
async fn device(api: &Api, email: &str) -> Result<(Api, Api)> {
    let login = login(api, email, PASSWORD).await?;
    let access = api.with_token(text(&login["access_token"])?);
    Ok((access, api.with_token(text(&login["refresh_token"])?)))
}

async fn status(api: &Api, method: Method, path: &str, body: Option<&Value>) -> Result<StatusCode> {
    Ok(api.send(method, path, body).await?.0)
}

async fn is_in(api: &Api) -> Result<bool> {
    Ok(status(api, Method::GET, "/api/auth/me", None).await? == 200)
}

async fn post(api: &Api, path: &str, body: &Value) -> Result<(StatusCode, Value)> {
    api.send(Method::POST, path, Some(body)).await
}

#[tokio::test]
async fn a_user_registers_once_whatever_the_case_and_becomes_no_administrator() -> Result<()> {
    let server = TestServer::start().await?;
    let body = json!({
        "email": "Ann@Example.com", "password": PASSWORD, "is_admin": true,
        "id": "00000000-0000-0000-0000-000000000000",
    });
    let (created, user) = post(&server.api, "/api/auth/register", &body).await?;
    assert_eq!(created, 201);
    assert_eq!(user["email"], "ann@example.com");
    assert_eq!(user["message"], "User registered successfully");
    assert_ne!(user["id"], body["id"], "(I5) the id is the server's");
    let (taken, problem) = post(&server.api, "/api/auth/register", &body).await?;
    assert_eq!(
        (taken, &problem["detail"]),
        (StatusCode::BAD_REQUEST, &json!("Email already registered"))
    );
    for (email, password) in [("nonsense", PASSWORD), ("bob@example.com", "short")] {
        let body = json!({ "email": email, "password": password });
        assert_eq!(post(&server.api, "/api/auth/register", &body).await?.0, 422, "{email}");
    }
    let login = login(&server.api, "ANN@example.COM", PASSWORD).await?;
    assert_eq!(login["token_type"], "bearer");
    assert_eq!((&login["is_admin"], &login["admin_created"]), (&json!(false), &json!(false)));
    let me = server.api.with_token(text(&login["access_token"])?).get("/api/auth/me").await?;
    assert_eq!((&me["id"], &me["is_admin"]), (&user["id"], &json!(false)), "(I5)");
    server.stop().await
}

#[tokio::test]
async fn each_token_works_for_its_purpose_only_and_a_stolen_refresh_token_ends_the_login()
-> Result<()> {
    let server = TestServer::start().await?;
    server.api.register("ann@example.com").await?;
    let (access, refresh) = device(&server.api, "ann@example.com").await?;
    assert!(!is_in(&refresh).await?, "(I1) a refresh token is no access token");
    let (wrong, problem) = access.send(Method::POST, "/api/auth/refresh", None).await?;
    assert_eq!(
        (wrong, &problem["detail"]),
        (StatusCode::BAD_REQUEST, &json!("Not a refresh token"))
    );
    let second = refresh.send(Method::POST, "/api/auth/refresh", None).await?.1;
    let second_access = server.api.with_token(text(&second["access_token"])?);
    assert!(is_in(&second_access).await?);
    let (reused, _) = refresh.send(Method::POST, "/api/auth/refresh", None).await?;
    assert_eq!(reused, 401, "it was used up");
    assert!(!is_in(&second_access).await?, "and its second use ended the login");
    let second_refresh = server.api.with_token(text(&second["refresh_token"])?);
    assert_eq!(status(&second_refresh, Method::POST, "/api/auth/refresh", None).await?, 401);
    server.stop().await
}

#[tokio::test]
async fn what_is_no_token_of_this_server_is_refused() -> Result<()> {
    let server = TestServer::start().await?;
    let other = TestServer::start().await?;
    let digits = "0123456789abcdef".repeat(4);
    let foreign = login(&other.api, "admin@example.com", "correct horse battery").await?;
    let tokens = [
        // (I2) {"alg":"none"} and the like are no tokens here.
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIiwiaXNfYWRtaW4iOnRydWV9.".to_owned(),
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln".to_owned(),
        digits.clone(),
        digits.to_uppercase(),
        format!("tba_{digits}"),
        "x".repeat(8000),
        // (I10) The token of an invocation, and that of an extension's session.
        format!("7.12c.{}", &digits[..32]),
        format!("{digits}0123456789abcdef"),
        // (I3) Of another server.
        text(&foreign["access_token"])?.to_owned(),
    ];
    for token in tokens {
        let api = server.api.with_token(&token);
        for path in ["/api/auth/me", "/api/collections", "/api/admin/users"] {
            assert_eq!(status(&api, Method::GET, path, None).await?, 401, "{path} {token}");
        }
        let expected = if token.starts_with("tba_") { 400 } else { 401 };
        let refreshed = status(&api, Method::POST, "/api/auth/refresh", None).await?;
        assert_eq!(refreshed, expected, "{token}");
    }
    other.stop().await?;
    server.stop().await
}

#[tokio::test]
async fn an_extensions_tokens_are_refused_over_http_while_they_live() -> Result<()> {
    let (folder, zoo) = (tempfile::tempdir()?, Zoo::new()?);
    let out = folder.path().join("tokens");
    let variables = [("ZOO_OUT", out.to_str().context("a path")?)];
    let server = TestServer::start_with(&variables).await?;
    server.install(&zoo.extension("teller", "good")?).await?;
    let none = json!({});
    let call = server.admin.post("/api/functions/teller_tell", &none);
    let check = async {
        let told = wait_for("the extension tells", Duration::from_secs(20), || async {
            let told = std::fs::read_to_string(&out).ok()?;
            (told.lines().count() == 2 && told.ends_with('\n')).then_some(told)
        })
        .await;
        for token in told.lines() {
            assert!(token.len() > 30, "{token}");
            let api = server.api.with_token(token);
            for path in ["/api/auth/me", "/api/collections", "/api/admin/users"] {
                let found = status(&api, Method::GET, path, None).await?;
                assert_eq!(found, 401, "(I10) {path} {token}");
            }
        }
        anyhow::Ok(())
    };
    tokio::select! {
        ended = call => anyhow::bail!("the function ended: {ended:?}"),
        checked = check => checked?,
    }
    server.stop().await
}

#[tokio::test]
async fn a_logout_ends_one_login_or_all_at_once() -> Result<()> {
    let server = TestServer::start().await?;
    server.api.register("ann@example.com").await?;
    let path = "/api/auth/logout";
    let (one, one_refresh) = device(&server.api, "ann@example.com").await?;
    let (two, _) = device(&server.api, "ann@example.com").await?;
    let (three, _) = device(&server.api, "ann@example.com").await?;
    assert!(is_in(&one).await? && is_in(&two).await?);
    let answer = one.send(Method::POST, &format!("{path}?all=false"), None).await?.1;
    assert_eq!(answer["message"], "Successfully logged out (2 tokens revoked)");
    assert!(!is_in(&one).await? && is_in(&two).await?, "only the one device");
    assert_eq!(status(&one_refresh, Method::POST, "/api/auth/refresh", None).await?, 401);
    // The first login is that of `register`.
    let answer = two.send(Method::POST, path, None).await?.1;
    assert_eq!(answer["message"], "Successfully logged out (6 tokens revoked)");
    assert!(!is_in(&two).await? && !is_in(&three).await?);
    let (four, _) = device(&server.api, "ann@example.com").await?;
    let answer = four.send(Method::POST, "/api/auth/logout-all", None).await?.1;
    assert_eq!(answer["message"], "Successfully logged out (2 tokens revoked)");
    assert_eq!(status(&four, Method::POST, path, None).await?, 401);
    assert_eq!(status(&server.api, Method::POST, path, None).await?, 401);
    server.stop().await
}

#[tokio::test]
async fn a_changed_password_ends_the_other_logins() -> Result<()> {
    let server = TestServer::start().await?;
    server.api.register("ann@example.com").await?;
    let (here, _) = device(&server.api, "ann@example.com").await?;
    let (there, _) = device(&server.api, "ann@example.com").await?;
    let path = "/api/auth/password";
    let change =
        |current: &str, new: &str| json!({ "current_password": current, "new_password": new });
    let (wrong, problem) = post(&here, path, &change("not this one", "another password")).await?;
    assert_eq!(
        (wrong, &problem["detail"]),
        (StatusCode::BAD_REQUEST, &json!("The current password is wrong"))
    );
    assert_eq!(post(&here, path, &change(PASSWORD, "short")).await?.0, 422);
    assert_eq!(post(&server.api, path, &change(PASSWORD, "another password")).await?.0, 401);
    let (done, answer) = post(&here, path, &change(PASSWORD, "another password")).await?;
    assert_eq!(done, 200, "{answer}");
    assert!(is_in(&here).await?);
    assert!(!is_in(&there).await?);
    assert!(login(&server.api, "ann@example.com", PASSWORD).await.is_err());
    assert!(login(&server.api, "ann@example.com", "another password").await.is_ok());
    server.stop().await
}

/// The letters that were written so far.
fn letters(server: &TestServer) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(server.folder().join("mail")) else { return Vec::new() };
    let mut paths: Vec<_> = folder.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension() == Some("eml".as_ref()));
    paths.sort();
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    paths.iter().map(|path| read(path).replace("=\r\n", "")).collect()
}

/// Waits for so many letters and gives the token in the last one.
async fn mailed_token(server: &TestServer, count: usize) -> Result<String> {
    let letter = wait_for("the letter is there", Duration::from_secs(10), || async {
        let letters = letters(server);
        (letters.len() >= count).then(|| letters.last().cloned()).flatten()
    })
    .await;
    let (_, rest) = letter
        .split_once("https://tiny.example/auth/password-reset/")
        .with_context(|| format!("no link: {letter}"))?;
    Ok(rest.chars().take_while(char::is_ascii_hexdigit).collect())
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_mail_once_and_ends_all_logins() -> Result<()> {
    let variables = [("TINYBASE_SERVER_PUBLIC_URL", "https://tiny.example/")];
    let server = TestServer::start_with(&variables).await?;
    server.api.register("ann@example.com").await?;
    let (device, _) = device(&server.api, "ann@example.com").await?;
    let request = "/api/auth/password-reset/request";
    let mut answers = Vec::new();
    for email in ["nobody@example.com", "Ann@example.com"] {
        // (I14) The link is under the configured address, whatever the client calls the server.
        let sent = reqwest::Client::new()
            .post(format!("{}{request}", server.api.base))
            .header("host", "evil.example")
            .header("x-forwarded-host", "evil.example")
            .json(&json!({ "email": email }))
            .send()
            .await?;
        answers.push((sent.status(), sent.json::<Value>().await?));
    }
    assert_eq!(answers[0], answers[1], "(I11) the answer doesn't tell who is there");
    assert_eq!(answers[0].0, 200);
    assert_eq!(post(&server.api, request, &json!({ "email": "nonsense" })).await?.0, 422);
    let token = mailed_token(&server, 1).await?;
    assert_eq!(letters(&server).len(), 1, "nobody else got one");
    assert!(!letters(&server)[0].contains("evil.example"));
    let confirm = "/api/auth/password-reset/confirm";
    let reset = |token: &str, password: &str| json!({ "token": token, "password": password });
    assert_eq!(post(&server.api, confirm, &reset(&token, "short")).await?.0, 422);
    assert_eq!(post(&server.api, confirm, &reset("nonsense", "a new password")).await?.0, 400);
    let body = reset(&token, "a new password");
    let (one, two) =
        tokio::join!(post(&server.api, confirm, &body), post(&server.api, confirm, &body),);
    let mut statuses = [one?.0, two?.0];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::BAD_REQUEST], "(I14) it works once");
    assert!(!is_in(&device).await?);
    assert!(login(&server.api, "ann@example.com", PASSWORD).await.is_err());
    assert!(login(&server.api, "ann@example.com", "a new password").await.is_ok());
    server.stop().await
}

#[tokio::test]
async fn an_address_gets_only_so_many_letters() -> Result<()> {
    let variables = [("TINYBASE_SERVER_PUBLIC_URL", "https://tiny.example")];
    let server = TestServer::start_with(&variables).await?;
    server.api.register("ann@example.com").await?;
    server.api.register("bob@example.com").await?;
    let request = "/api/auth/password-reset/request";
    for number in 1..=3 {
        server.api.post(request, &json!({ "email": "ann@example.com" })).await?;
        mailed_token(&server, number).await?;
    }
    server.api.post(request, &json!({ "email": "ann@example.com" })).await?;
    server.api.post(request, &json!({ "email": "bob@example.com" })).await?;
    mailed_token(&server, 4).await?;
    wait_for("the refusal is noted", Duration::from_secs(10), || async {
        let log = std::fs::read_to_string(server.folder().join("server.log")).ok()?;
        log.contains("no further link for a new password is mailed").then_some(())
    })
    .await;
    let last = letters(&server).into_iter().filter(|letter| letter.contains("To: ann@"));
    assert_eq!(last.count(), 3);
    server.stop().await
}

#[tokio::test]
async fn strangers_learn_the_name_and_whether_it_is_set_up() -> Result<()> {
    let server = TestServer::start().await?;
    let name = server.api.get("/api/auth/instance-info").await?;
    assert_eq!(name, json!({ "instance_name": "TinyBase" }));
    let setup = server.api.get("/api/auth/setup-status").await?;
    assert_eq!(setup, json!({ "needs_setup": false }));
    server.stop().await
}

#[tokio::test]
async fn no_secret_is_logged_or_shown_again() -> Result<()> {
    let variables = [
        ("TINYBASE_SERVER_PUBLIC_URL", "https://tiny.example"),
        ("TINYBASE_LOG_LEVEL", "debug"),
        ("TINYBASE_EMAIL_SMTP_PASSWORD", "canary-smtp-password"),
    ];
    let server = TestServer::start_with(&variables).await?;
    let password = "canary-password-1";
    let body = json!({ "email": "canary@example.com", "password": password });
    server.api.post("/api/auth/register", &body).await?;
    let first = login(&server.api, "canary@example.com", password).await?;
    let refresh = server.api.with_token(text(&first["refresh_token"])?);
    let second = refresh.send(Method::POST, "/api/auth/refresh", None).await?.1;
    login(&server.api, "canary@example.com", "canary-wrong-password").await.expect_err("wrong");
    server
        .api
        .post("/api/auth/password-reset/request", &json!({ "email": "canary@example.com" }))
        .await?;
    let token = mailed_token(&server, 1).await?;
    let page = reqwest::get(format!("{}/auth/password-reset/{token}", server.api.base)).await?;
    assert_eq!(page.status(), 200);
    let body = json!({ "token": token, "password": "canary-password-2" });
    server.api.post("/api/auth/password-reset/confirm", &body).await?;
    let made =
        server.admin.post("/api/admin/application-tokens", &json!({ "name": "canary" })).await?;
    let mut secrets = vec![
        password.to_owned(),
        "canary-password-2".to_owned(),
        "canary-wrong-password".to_owned(),
        "canary-smtp-password".to_owned(),
        "canary@example.com".to_owned(),
        token,
        text(&made["token_value"])?.to_owned(),
    ];
    for login in [&first, &second] {
        for key in ["access_token", "refresh_token"] {
            secrets.push(text(&login[key])?.to_owned());
        }
    }
    let users = server.admin.get("/api/admin/users").await?.to_string();
    let tokens = server.admin.get("/api/admin/application-tokens").await?.to_string();
    let log = std::fs::read_to_string(server.folder().join("server.log"))?;
    assert!(log.contains("request"), "the log is at debug");
    for secret in secrets {
        assert!(!log.contains(&secret), "(I17) {secret} is in the log");
        assert!(!tokens.contains(&secret), "(I17) {secret} is in the answer");
        let shown = users.contains(&secret) && secret != "canary@example.com";
        assert!(!shown, "(I17) {secret} is in the answer");
    }
    assert!(!users.contains("$argon2"), "(I17)");
    server.stop().await
}
