//! Registering, logging in and out.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tinybase_core::{Core, Login};
use tinybase_model::UserId;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::{Json, Params, with_failed_open};
use crate::caller::{Bearer, Caller};
use crate::openapi::{Forbidden, Invalid, Rejected, Unauthenticated};
use crate::problem::{HttpProblem, Kind};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(register))
        .routes(routes!(login))
        .routes(routes!(refresh))
        .routes(routes!(logout))
        .routes(routes!(logout_all))
        .routes(routes!(me))
}

/// An e-mail address and its password.
#[derive(Deserialize, ToSchema)]
struct Credentials {
    email: String,
    password: String,
}

/// A new user's e-mail address and password.
#[derive(Deserialize, ToSchema)]
struct Registration {
    #[schema(format = Email)]
    email: String,
    /// 8 characters to 1024 bytes.
    #[schema(min_length = 8, max_length = 1024)]
    password: String,
}

/// A user who was just registered.
#[derive(Serialize, ToSchema)]
struct Registered {
    id: UserId,
    email: String,
    message: &'static str,
}

/// A sentence for people.
#[derive(Serialize, ToSchema)]
pub(crate) struct Message {
    pub(crate) message: String,
}

/// Which logins end.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Logout {
    /// All of the user's, unless it is false: then the one that the token is of.
    all: Option<bool>,
}

/// The user who asks.
#[derive(Serialize, ToSchema)]
struct Me {
    id: UserId,
    email: String,
    is_admin: bool,
    created_at: Timestamp,
}

/// What a login gives; the shape that clients know.
#[expect(clippy::struct_excessive_bools, reason = "the shape is given")]
#[derive(Serialize, ToSchema)]
#[schema(as = LoginAnswer)]
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

/// Registers a user.
#[utoipa::path(
    post, path = "/api/auth/register", operation_id = "register", tag = "auth",
    responses(
        (status = 201, description = "The new user", body = Registered),
        Invalid, Unauthenticated, Forbidden, Rejected,
    )
)]
async fn register(
    State(core): State<Core>,
    caller: Caller,
    Json(new): Json<Registration>,
) -> Result<Response, HttpProblem> {
    let committed = core.users().register(&caller.cause(), &new.email, &new.password).await?;
    let user = committed.value;
    let message = "User registered successfully";
    let body = Registered { id: user.id, email: user.email, message };
    Ok(with_failed_open(StatusCode::CREATED, body, &committed.failed_open))
}

/// Logs a user in.
#[utoipa::path(
    post, path = "/api/auth/login", operation_id = "login", tag = "auth",
    responses((status = 200, description = "The tokens", body = LoginBody), Unauthenticated, Rejected)
)]
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

/// Exchanges a refresh token, sent as the bearer, for new tokens.
#[utoipa::path(
    post, path = "/api/auth/refresh", operation_id = "refresh", tag = "auth",
    security(("bearer" = [])),
    responses((status = 200, description = "New tokens", body = LoginBody), Invalid)
)]
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

/// Logs out: ends all logins of the user, or with `all=false` the one that the token is of.
#[utoipa::path(
    post, path = "/api/auth/logout", operation_id = "logout", tag = "auth",
    security(("bearer" = [])), params(Logout),
    responses((status = 200, description = "How many tokens were revoked", body = Message), Forbidden)
)]
async fn logout(
    State(core): State<Core>,
    caller: Caller,
    token: Option<Bearer>,
    Params(which): Params<Logout>,
) -> Result<Json<Message>, HttpProblem> {
    let revoked = match token {
        Some(Bearer(token)) if which.all == Some(false) => {
            core.users().logout_here(&caller.identity, &token).await?
        }
        Some(_) | None => core.users().logout(&caller.identity).await?,
    };
    caller.note_self(&core, "user.logout");
    Ok(logged_out(revoked))
}

/// Logs out everywhere: ends all logins of the user.
#[utoipa::path(
    post, path = "/api/auth/logout-all", operation_id = "logout_all", tag = "auth",
    security(("bearer" = [])),
    responses((status = 200, description = "How many tokens were revoked", body = Message), Forbidden)
)]
async fn logout_all(
    State(core): State<Core>,
    caller: Caller,
) -> Result<Json<Message>, HttpProblem> {
    let revoked = core.users().logout(&caller.identity).await?;
    caller.note_self(&core, "user.logout");
    Ok(logged_out(revoked))
}

fn logged_out(revoked: u64) -> Json<Message> {
    Json(Message { message: format!("Successfully logged out ({revoked} tokens revoked)") })
}

/// The user who asks.
#[utoipa::path(
    get, path = "/api/auth/me", operation_id = "me", tag = "auth",
    security(("bearer" = [])),
    responses((status = 200, description = "The user", body = Me), Forbidden)
)]
async fn me(State(core): State<Core>, caller: Caller) -> Result<Json<Me>, HttpProblem> {
    let user = core.users().me(&caller.identity).await?;
    Ok(Json(Me {
        id: user.id,
        email: user.email,
        is_admin: user.is_admin,
        created_at: user.created_at,
    }))
}
