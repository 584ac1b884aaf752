//! Changing the password, and choosing a new one by mail.

use axum::extract::State;
use serde::Deserialize;
use tinybase_core::Core;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Message;
use crate::body::Json;
use crate::caller::{Bearer, Caller};
use crate::openapi::{Forbidden, Invalid};
use crate::problem::HttpProblem;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(change_password))
        .routes(routes!(request_reset))
        .routes(routes!(confirm_reset))
}

/// The old and the new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    current_password: String,
    /// 8 characters to 1024 bytes.
    #[schema(min_length = 8, max_length = 1024)]
    new_password: String,
}

/// An address.
#[derive(Deserialize, ToSchema)]
struct PasswordResetRequest {
    #[schema(format = Email)]
    email: String,
}

/// The token that was mailed, and the new password.
#[derive(Deserialize, ToSchema)]
struct PasswordResetConfirm {
    token: String,
    /// 8 characters to 1024 bytes.
    #[schema(min_length = 8, max_length = 1024)]
    password: String,
}

/// Changes the password of the user who asks; the user's other logins end.
#[utoipa::path(
    post, path = "/api/auth/password", operation_id = "change_password", tag = "auth",
    security(("bearer" = [])),
    responses((status = 200, description = "It was changed", body = Message), Invalid, Forbidden)
)]
async fn change_password(
    State(core): State<Core>,
    caller: Caller,
    token: Option<Bearer>,
    Json(change): Json<PasswordChange>,
) -> Result<Json<Message>, HttpProblem> {
    let bearer = token.map(|Bearer(token)| token).unwrap_or_default();
    let PasswordChange { current_password, new_password } = change;
    let users = core.users();
    let revoked =
        users.change_password(&caller.identity, &bearer, &current_password, &new_password).await?;
    caller.note_self(&core, "user.password_change");
    let message = format!("Password changed ({revoked} tokens of other logins revoked)");
    Ok(Json(Message { message }))
}

/// Has a link for a new password mailed. The answer is the same whether or not somebody has the
/// address.
#[utoipa::path(
    post, path = "/api/auth/password-reset/request", operation_id = "request_password_reset",
    tag = "auth",
    responses((status = 200, description = "It was noted", body = Message))
)]
async fn request_reset(
    State(core): State<Core>,
    caller: Caller,
    Json(request): Json<PasswordResetRequest>,
) -> Result<Json<Message>, HttpProblem> {
    core.users().request_password_reset(&caller.cause(), &request.email)?;
    let message = "If the email exists, a password reset link has been sent".to_owned();
    Ok(Json(Message { message }))
}

/// Sets a new password with the token of a mailed link; all logins of the user end.
#[utoipa::path(
    post, path = "/api/auth/password-reset/confirm", operation_id = "confirm_password_reset",
    tag = "auth",
    responses((status = 200, description = "It was set", body = Message), Invalid)
)]
async fn confirm_reset(
    State(core): State<Core>,
    caller: Caller,
    Json(confirm): Json<PasswordResetConfirm>,
) -> Result<Json<Message>, HttpProblem> {
    let PasswordResetConfirm { token, password } = confirm;
    core.users().reset_password(&caller.cause(), &token, &password).await?;
    Ok(Json(Message { message: "Password reset successful".to_owned() }))
}
