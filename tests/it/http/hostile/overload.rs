//! More than the server can do (E10).

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tinybase_tests::TestServer;

use super::raw::check;

/// Several times what may wait for a password to be checked.
const LOGINS: usize = 400;

#[tokio::test]
async fn what_is_too_much_is_refused_with_a_time_and_the_rest_goes_on() -> Result<()> {
    let server = TestServer::start().await?;
    server.admin.make_collection("notes", &["s"]).await?;
    let client = Client::new();
    let login = json!({ "email": "admin@example.com", "password": "not the password" });
    let logins = (0..LOGINS).map(|_| async {
        let url = format!("{}/api/auth/login", server.api.base);
        let answer = client.post(url).json(&login).send().await?;
        let status = answer.status();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let after = answer.headers().get("retry-after").context("no retry-after")?;
            assert!(after.to_str()?.parse::<u32>()? >= 1, "{after:?}");
            let problem: Value = answer.json().await?;
            check(&problem)?;
            assert_eq!(problem["type"], "https://tinybase.dev/problems/overloaded");
        }
        anyhow::Ok(status)
    });
    // Meanwhile others do what they do.
    let others = async {
        for n in 0..50 {
            let body = json!({ "data": { "s": n.to_string() } });
            server.admin.post("/api/collections/notes/records", &body).await?;
        }
        anyhow::Ok(())
    };
    let (statuses, others) = tokio::join!(try_join_all(logins), others);
    others?;
    let statuses = statuses?;
    let count = |wanted: StatusCode| statuses.iter().filter(|status| **status == wanted).count();
    let (checked, refused) =
        (count(StatusCode::UNAUTHORIZED), count(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(checked + refused, LOGINS, "{statuses:?}");
    assert!(checked > 0 && refused > 0, "{checked} checked, {refused} refused");
    server.api.login("admin@example.com", "correct horse battery").await?;
    server.stop().await
}
