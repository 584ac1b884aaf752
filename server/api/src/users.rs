//! Users as administrators manage them.

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tinybase_core::{AccountChange, Core, NewAccount};
use tinybase_model::{User, UserId};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::{Json, Params, Segments};
use crate::caller::Caller;
use crate::openapi::{Forbidden, Invalid, NotFound};
use crate::page::Page;
use crate::problem::HttpProblem;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list, create)).routes(routes!(show, update, delete))
}

/// A page of users, the oldest first.
#[derive(Serialize, ToSchema)]
struct UserList {
    users: Vec<User>,
    total: u64,
    limit: u32,
    offset: u32,
}

/// A user to be created.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserCreate {
    #[schema(format = Email)]
    email: String,
    /// 8 characters to 1024 bytes.
    #[schema(min_length = 8, max_length = 1024)]
    password: String,
    #[serde(default)]
    is_admin: bool,
}

/// What is to be changed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserUpdate {
    #[schema(format = Email)]
    email: Option<String>,
    /// 8 characters to 1024 bytes; all logins of the user end.
    #[schema(min_length = 8, max_length = 1024)]
    password: Option<String>,
    is_admin: Option<bool>,
}

/// A page of all users; for administrators, and application tokens with `users:read`.
#[utoipa::path(
    get, path = "/api/admin/users", operation_id = "list_users", tag = "admin",
    security(("bearer" = [])), params(Page),
    responses((status = 200, description = "The users", body = UserList), Forbidden)
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Params(page): Params<Page>,
) -> Result<Json<UserList>, HttpProblem> {
    let (limit, offset) = page.checked()?;
    let found = core.users().list(&caller.identity, limit, offset).await?;
    Ok(Json(UserList { users: found.users, total: found.total, limit, offset }))
}

/// Creates a user, or an administrator.
#[utoipa::path(
    post, path = "/api/admin/users", operation_id = "create_user", tag = "admin",
    security(("bearer" = [])),
    responses((status = 201, description = "The new user", body = User), Invalid, Forbidden)
)]
async fn create(
    State(core): State<Core>,
    caller: Caller,
    Json(new): Json<UserCreate>,
) -> Result<(StatusCode, Json<User>), HttpProblem> {
    let UserCreate { email, password, is_admin } = new;
    let account = NewAccount { email, password, is_admin };
    let user = core.users().create(&caller.cause(), account).await?;
    caller.note(&core, "user.create", "user", user.id);
    Ok((StatusCode::CREATED, Json(user)))
}

/// One user.
#[utoipa::path(
    get, path = "/api/admin/users/{id}", operation_id = "get_user", tag = "admin",
    security(("bearer" = [])), params(("id" = UserId, Path, description = "The user's id")),
    responses((status = 200, description = "The user", body = User), Forbidden, NotFound)
)]
async fn show(
    State(core): State<Core>,
    caller: Caller,
    Segments(id): Segments<UserId>,
) -> Result<Json<User>, HttpProblem> {
    Ok(Json(core.users().get(&caller.identity, id).await?))
}

/// Changes a user. The last administrator stays one.
#[utoipa::path(
    patch, path = "/api/admin/users/{id}", operation_id = "update_user", tag = "admin",
    security(("bearer" = [])), params(("id" = UserId, Path, description = "The user's id")),
    responses(
        (status = 200, description = "The user as it is now", body = User),
        Invalid, Forbidden, NotFound,
    )
)]
async fn update(
    State(core): State<Core>,
    caller: Caller,
    Segments(id): Segments<UserId>,
    Json(update): Json<UserUpdate>,
) -> Result<Json<User>, HttpProblem> {
    let UserUpdate { email, password, is_admin } = update;
    let change = AccountChange { email, password, is_admin };
    let user = core.users().change(&caller.identity, id, change).await?;
    caller.note(&core, "user.update", "user", id);
    Ok(Json(user))
}

/// Deletes a user; its records stay and belong to nobody.
#[utoipa::path(
    delete, path = "/api/admin/users/{id}", operation_id = "delete_user", tag = "admin",
    security(("bearer" = [])), params(("id" = UserId, Path, description = "The user's id")),
    responses((status = 204, description = "It is gone"), Invalid, Forbidden, NotFound)
)]
async fn delete(
    State(core): State<Core>,
    caller: Caller,
    Segments(id): Segments<UserId>,
) -> Result<StatusCode, HttpProblem> {
    core.users().delete(&caller.identity, id).await?;
    caller.note(&core, "user.delete", "user", id);
    Ok(StatusCode::NO_CONTENT)
}
