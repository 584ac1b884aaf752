//! Application tokens, for administrators.

use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tinybase_core::{
    ApplicationChange, ApplicationToken, Core, CreatedApplication, NewApplication,
};
use tinybase_model::{ApplicationTokenId, Scope, UserId};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::{Json, Segments};
use crate::caller::Caller;
use crate::openapi::{Conflict, Forbidden, NotFound};
use crate::problem::HttpProblem;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list, create)).routes(routes!(show, update, delete))
}

/// An application token, without its secret.
#[expect(clippy::struct_excessive_bools, reason = "the shape is given")]
#[derive(Serialize, ToSchema)]
struct ApplicationTokenInfo {
    id: ApplicationTokenId,
    name: String,
    description: Option<String>,
    /// Such as `records:read:orders`, `records:write:*`, `functions:call:*`, `users:read`, `admin`.
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
    is_active: bool,
    /// Active and not expired.
    is_valid: bool,
    created_by: Option<UserId>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    /// To the minute.
    last_used_at: Option<Timestamp>,
}

impl From<ApplicationToken> for ApplicationTokenInfo {
    fn from(token: ApplicationToken) -> Self {
        Self {
            is_valid: token.is_valid(Timestamp::now()),
            id: token.id,
            name: token.name,
            description: token.description,
            scopes: token.scopes.as_slice().to_vec(),
            is_active: token.is_active,
            created_by: token.created_by,
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
        }
    }
}

/// All application tokens, the oldest first.
#[derive(Serialize, ToSchema)]
struct ApplicationTokenList {
    tokens: Vec<ApplicationTokenInfo>,
}

/// What a token may do: `records:read:NAME`, `records:write:NAME`, `functions:call:NAME` (`NAME` may
/// be `*`), `users:read` or `admin`.
#[derive(ToSchema)]
#[schema(
    as = Scope, value_type = String,
    pattern = "^(admin|users:read|records:(read|write):([a-z][a-z0-9_]{0,99}|\\*)|functions:call:([A-Za-z0-9_.-]{1,200}|\\*))$"
)]
#[expect(dead_code, reason = "it only describes the text for the document")]
struct ScopeText(String);

/// An application token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ApplicationTokenCreate {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[schema(max_length = 500)]
    description: Option<String>,
    /// After how many days it ends; never unless given.
    #[schema(minimum = 1, maximum = 36500)]
    expires_days: Option<u32>,
    /// All records and functions unless given.
    #[schema(min_items = 1, max_items = 100, value_type = Option<Vec<ScopeText>>)]
    scopes: Option<Vec<String>>,
}

/// A new application token with its secret.
#[derive(Serialize, ToSchema)]
struct ApplicationTokenCreated {
    token: ApplicationTokenInfo,
    /// Send it as a bearer token. It is shown only now.
    token_value: String,
}

/// What is to be changed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ApplicationTokenUpdate {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    #[schema(max_length = 500)]
    description: Option<String>,
    #[schema(min_items = 1, max_items = 100, value_type = Option<Vec<ScopeText>>)]
    scopes: Option<Vec<String>>,
    is_active: Option<bool>,
}

/// All application tokens.
#[utoipa::path(
    get, path = "/api/admin/application-tokens", operation_id = "list_application_tokens",
    tag = "admin", security(("bearer" = [])),
    responses((status = 200, description = "The tokens", body = ApplicationTokenList), Forbidden)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
) -> Result<Json<ApplicationTokenList>, HttpProblem> {
    let tokens = core.application_tokens().list(&caller.identity).await?;
    Ok(Json(ApplicationTokenList { tokens: tokens.into_iter().map(Into::into).collect() }))
}

/// Makes an application token, whose secret is in the answer and nowhere else.
#[utoipa::path(
    post, path = "/api/admin/application-tokens", operation_id = "create_application_token",
    tag = "admin", security(("bearer" = [])),
    responses(
        (status = 201, description = "The token and its secret", body = ApplicationTokenCreated),
        Forbidden, Conflict,
    )
)]
async fn create(
    State(core): State<Core>,
    caller: Caller,
    Json(new): Json<ApplicationTokenCreate>,
) -> Result<(StatusCode, Json<ApplicationTokenCreated>), HttpProblem> {
    let ApplicationTokenCreate { name, description, expires_days, scopes } = new;
    let new = NewApplication { name, description, expires_days, scopes };
    let created = core.application_tokens().create(&caller.identity, new).await?;
    let CreatedApplication { token, secret } = created;
    caller.note(&core, "application_token.create", "application_token", token.id);
    let body = ApplicationTokenCreated { token: token.into(), token_value: secret };
    Ok((StatusCode::CREATED, Json(body)))
}

/// One application token.
#[utoipa::path(
    get, path = "/api/admin/application-tokens/{id}", operation_id = "get_application_token",
    tag = "admin", security(("bearer" = [])),
    params(("id" = ApplicationTokenId, Path, description = "The token's id")),
    responses(
        (status = 200, description = "The token", body = ApplicationTokenInfo),
        Forbidden, NotFound,
    )
)]
async fn show(
    State(core): State<Core>,
    caller: Caller,
    Segments(id): Segments<ApplicationTokenId>,
) -> Result<Json<ApplicationTokenInfo>, HttpProblem> {
    Ok(Json(core.application_tokens().get(&caller.identity, id).await?.into()))
}

/// Changes an application token, which holds at once.
#[utoipa::path(
    patch, path = "/api/admin/application-tokens/{id}", operation_id = "update_application_token",
    tag = "admin", security(("bearer" = [])),
    params(("id" = ApplicationTokenId, Path, description = "The token's id")),
    responses(
        (status = 200, description = "The token as it is now", body = ApplicationTokenInfo),
        Forbidden, NotFound,
    )
)]
async fn update(
    State(core): State<Core>,
    caller: Caller,
    Segments(id): Segments<ApplicationTokenId>,
    Json(update): Json<ApplicationTokenUpdate>,
) -> Result<Json<ApplicationTokenInfo>, HttpProblem> {
    let ApplicationTokenUpdate { name, description, scopes, is_active } = update;
    let change = ApplicationChange { name, description, scopes, is_active };
    let token = core.application_tokens().change(&caller.identity, id, change).await?;
    caller.note(&core, "application_token.update", "application_token", id);
    Ok(Json(token.into()))
}

/// Deletes an application token, which is refused from then on.
#[utoipa::path(
    delete, path = "/api/admin/application-tokens/{id}",
    operation_id = "delete_application_token", tag = "admin", security(("bearer" = [])),
    params(("id" = ApplicationTokenId, Path, description = "The token's id")),
    responses((status = 204, description = "It is gone"), Forbidden, NotFound)
)]
async fn delete(
    State(core): State<Core>,
    caller: Caller,
    Segments(id): Segments<ApplicationTokenId>,
) -> Result<StatusCode, HttpProblem> {
    core.application_tokens().delete(&caller.identity, id).await?;
    caller.note(&core, "application_token.delete", "application_token", id);
    Ok(StatusCode::NO_CONTENT)
}
