//! Registering, logging in and out.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tinybase_core::{Core, Login};
use tinybase_model::UserId;

use crate::app::App;
use crate::body::{Json, with_failed_open};
use crate::caller::{Bearer, Caller};
use crate::problem::{HttpProblem, Kind};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/auth/register", post(register))
        .route("/api/auth/login", post(login))
        .route("/api/auth/refresh", post(refresh))
        .route("/api/auth/logout", post(logout))
        .route("/api/auth/me", get(me))
}

#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: String,
}

/// What a login gives; the shape that clients know.
#[expect(clippy::struct_excessive_bools, reason = "the shape is given")]
#[derive(Serialize)]
struct LoginBody {
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
    user_id: UserId,
    email: String,
    is_admin: bool,
    admin_created: bool,
}

impl From<Login> for LoginBody {
    fn from(login: Login) -> Self {
        Self {
            access_token: login.access_token,
            refresh_token: login.refresh_token,
            token_type: "bearer",
            user_id: login.user.id,
            email: login.user.email,
            is_admin: login.user.is_admin,
            // An administrator is made by the operator, never by being the first to log in.
            admin_created: false,
        }
    }
}

async fn register(
    State(core): State<Core>,
    caller: Caller,
    Json(new): Json<Credentials>,
) -> Result<Response, HttpProblem> {
    let committed = core.users().register(&caller.cause(), &new.email, &new.password).await?;
    let user = committed.value;
    let body =
        json!({ "id": user.id, "email": user.email, "message": "User registered successfully" });
    Ok(with_failed_open(StatusCode::CREATED, body, &committed.failed_open))
}

async fn login(
    State(core): State<Core>,
    caller: Caller,
    Json(credentials): Json<Credentials>,
) -> Result<Response, HttpProblem> {
    let Credentials { email, password } = credentials;
    let committed = core.users().login(&caller.cause(), &email, &password).await?;
    let body = LoginBody::from(committed.value);
    Ok(with_failed_open(StatusCode::OK, body, &committed.failed_open))
}

async fn refresh(
    State(core): State<Core>,
    token: Option<Bearer>,
) -> Result<Json<LoginBody>, HttpProblem> {
    let Some(Bearer(token)) = token else {
        let detail = "Send the refresh token as \"authorization: Bearer …\"";
        return Err(HttpProblem::new(Kind::Unauthenticated, detail));
    };
    Ok(Json(core.users().refresh(&token).await?.into()))
}

async fn logout(State(core): State<Core>, caller: Caller) -> Result<Json<Value>, HttpProblem> {
    let revoked = core.users().logout(&caller.identity).await?;
    let message = format!("Successfully logged out ({revoked} tokens revoked)");
    Ok(Json(json!({ "message": message })))
}

async fn me(State(core): State<Core>, caller: Caller) -> Result<Json<Value>, HttpProblem> {
    let user = core.users().me(&caller.identity).await?;
    Ok(Json(json!({
        "id": user.id,
        "email": user.email,
        "is_admin": user.is_admin,
        "created_at": user.created_at,
    })))
}
