//! What an operator does with extensions.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tinybase_core::{Core, ExtensionAdmin, HookInfo, InstalledExtension};
use tinybase_model::{ExtensionName, ExtensionStatus, LogLine};
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::{Json, Params, Segments};
use crate::caller::Admin;
use crate::openapi::{Forbidden, Invalid, NotFound};
use crate::problem::{HttpProblem, Kind};

/// How long a list may take that looks for updates.
const LOOK_LIMIT: Duration = Duration::from_mins(1);

type Extensions = State<Arc<dyn ExtensionAdmin>>;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list, install))
        .routes(routes!(show, update, uninstall))
        .routes(routes!(restart))
        .routes(routes!(logs))
        .routes(routes!(hooks))
}

/// An extension as clients know it, with how it really is beside.
#[derive(Serialize, ToSchema)]
struct ExtensionInfo {
    id: ExtensionName,
    description: Option<String>,
    author: Option<String>,
    repo_url: String,
    is_enabled: bool,
    /// `broad` (a manifest without a permissions table) or `listed`.
    permissions: &'static str,
    installed_at: Timestamp,
    updated_at: Timestamp,
    update_available: Option<String>,
    #[serde(flatten)]
    status: ExtensionStatus,
}

impl From<InstalledExtension> for ExtensionInfo {
    fn from(extension: InstalledExtension) -> Self {
        Self {
            id: extension.name,
            description: extension.description,
            author: extension.author,
            repo_url: extension.source,
            is_enabled: extension.is_enabled,
            permissions: if extension.is_broad { "broad" } else { "listed" },
            installed_at: extension.installed_at,
            updated_at: extension.updated_at,
            update_available: None,
            status: extension.status,
        }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
#[expect(clippy::struct_excessive_bools, reason = "each is a parameter of the query")]
struct ListQuery {
    /// Without those that are switched off.
    #[serde(default)]
    enabled_only: bool,
    /// Whether to look for other versions at their sources, which takes a while.
    #[serde(default)]
    check_updates: bool,
    /// At most so many; 100 unless given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
}

/// A part of the installed extensions.
#[derive(Serialize, ToSchema)]
struct ExtensionList {
    extensions: Vec<ExtensionInfo>,
    total: usize,
    limit: u32,
    offset: u32,
}

/// The installed extensions; administrators only.
#[utoipa::path(
    get, path = "/api/admin/extensions", operation_id = "list_extensions", tag = "extensions",
    security(("bearer" = [])), params(ListQuery),
    responses((status = 200, description = "A page of extensions", body = ExtensionList), Forbidden)
)]
async fn list(
    _: Admin,
    State(extensions): Extensions,
    Params(query): Params<ListQuery>,
) -> Result<Json<ExtensionList>, HttpProblem> {
    let mut all = extensions.list().await?;
    all.retain(|extension| extension.is_enabled || !query.enabled_only);
    let limit = query.limit.unwrap_or(100);
    let offset = query.offset.unwrap_or(0);
    if !(1..=1_000).contains(&limit) {
        let detail = format!("limit has to be 1 to 1000, not {limit}");
        return Err(HttpProblem::new(Kind::Unprocessable, detail));
    }
    let total = all.len();
    let page = all.into_iter().skip(at(offset)).take(at(limit));
    let mut page: Vec<ExtensionInfo> = page.map(Into::into).collect();
    if query.check_updates {
        look_for_updates(extensions.as_ref(), &mut page).await;
    }
    Ok(Json(ExtensionList { extensions: page, total, limit, offset }))
}

fn at(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// Looks for other versions as long as there is time. What can't be looked at has none.
async fn look_for_updates(admin: &dyn ExtensionAdmin, page: &mut [ExtensionInfo]) {
    let end = Instant::now() + LOOK_LIMIT;
    for extension in page {
        let look = admin.update_available(extension.id.as_str());
        match tokio::time::timeout_at(end, look).await {
            Ok(Ok(found)) => extension.update_available = found,
            Ok(Err(error)) => {
                let name = extension.id.as_str();
                tracing::warn!(extension = name, %error, "it could not be looked for an update");
            }
            Err(_) => return,
        }
    }
}

/// What to install.
#[derive(Deserialize, ToSchema)]
struct InstallRequest {
    /// A git address, with `@ref` if wanted, or a folder on the server.
    #[schema(min_length = 1)]
    repo_url: String,
}

/// Installs, starts, and waits until it is ready or has failed; `state` and `reason` say which.
#[utoipa::path(
    post, path = "/api/admin/extensions", operation_id = "install_extension", tag = "extensions",
    security(("bearer" = [])),
    responses(
        (status = 201, description = "The installed extension", body = ExtensionInfo),
        Invalid, Forbidden,
    )
)]
async fn install(
    State(core): State<Core>,
    Admin(caller): Admin,
    State(extensions): Extensions,
    Json(request): Json<InstallRequest>,
) -> Result<(StatusCode, Json<ExtensionInfo>), HttpProblem> {
    let installed = extensions.install(&request.repo_url, true).await?;
    caller.note(&core, "extension.install", "extension", &installed.name);
    Ok((StatusCode::CREATED, Json(installed.into())))
}

/// One extension; administrators only.
#[utoipa::path(
    get, path = "/api/admin/extensions/{name}", operation_id = "get_extension", tag = "extensions",
    security(("bearer" = [])),
    params(("name" = String, Path, description = "The extension's name"), ShowQuery),
    responses((status = 200, description = "The extension", body = ExtensionInfo), Forbidden, NotFound)
)]
async fn show(
    _: Admin,
    State(extensions): Extensions,
    Segments(name): Segments<String>,
    Params(query): Params<ShowQuery>,
) -> Result<Json<ExtensionInfo>, HttpProblem> {
    let mut shown = ExtensionInfo::from(extensions.get(&name).await?);
    if query.check_updates {
        shown.update_available = extensions.update_available(&name).await?;
    }
    Ok(Json(shown))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ShowQuery {
    /// Whether to look for another version at its source; 400 if that can't be done.
    #[serde(default)]
    check_updates: bool,
}

/// What of an extension changes.
#[derive(Deserialize, ToSchema)]
#[schema(as = ExtensionUpdate)]
struct UpdateRequest {
    is_enabled: Option<bool>,
}

/// Switches an extension on or off, at once; administrators only.
#[utoipa::path(
    patch, path = "/api/admin/extensions/{name}", operation_id = "update_extension", tag = "extensions",
    security(("bearer" = [])), params(("name" = String, Path, description = "The extension's name")),
    responses(
        (status = 200, description = "The extension", body = ExtensionInfo),
        Invalid, Forbidden, NotFound,
    )
)]
async fn update(
    State(core): State<Core>,
    Admin(caller): Admin,
    State(extensions): Extensions,
    Segments(name): Segments<String>,
    Json(request): Json<UpdateRequest>,
) -> Result<Json<ExtensionInfo>, HttpProblem> {
    let extension = match request.is_enabled {
        Some(enabled) => {
            let extension = extensions.set_enabled(&name, enabled).await?;
            let action = if enabled { "extension.enable" } else { "extension.disable" };
            caller.note(&core, action, "extension", &extension.name);
            extension
        }
        None => extensions.get(&name).await?,
    };
    Ok(Json(extension.into()))
}

/// Stops and removes an extension; administrators only.
#[utoipa::path(
    delete, path = "/api/admin/extensions/{name}", operation_id = "uninstall_extension", tag = "extensions",
    security(("bearer" = [])), params(("name" = String, Path, description = "The extension's name")),
    responses((status = 204, description = "It is gone"), Invalid, Forbidden, NotFound)
)]
async fn uninstall(
    State(core): State<Core>,
    Admin(caller): Admin,
    State(extensions): Extensions,
    Segments(name): Segments<String>,
) -> Result<StatusCode, HttpProblem> {
    extensions.uninstall(&name).await?;
    caller.note(&core, "extension.uninstall", "extension", &name);
    Ok(StatusCode::NO_CONTENT)
}

/// Stops an extension and starts it again; administrators only.
#[utoipa::path(
    post, path = "/api/admin/extensions/{name}/restart", operation_id = "restart_extension", tag = "extensions",
    security(("bearer" = [])), params(("name" = String, Path, description = "The extension's name")),
    responses(
        (status = 200, description = "The extension", body = ExtensionInfo),
        Invalid, Forbidden, NotFound,
    )
)]
async fn restart(
    _: Admin,
    State(extensions): Extensions,
    Segments(name): Segments<String>,
) -> Result<Json<ExtensionInfo>, HttpProblem> {
    Ok(Json(extensions.restart(&name).await?.into()))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LogsQuery {
    /// The last so many, at most 1,000; 100 unless given.
    lines: Option<u32>,
}

/// Lines of an extension's log.
#[derive(Serialize, ToSchema)]
#[schema(as = ExtensionLogs)]
struct Logs {
    lines: Vec<LogLine>,
}

/// The last lines of an extension's log; administrators only.
#[utoipa::path(
    get, path = "/api/admin/extensions/{name}/logs", operation_id = "get_extension_logs", tag = "extensions",
    security(("bearer" = [])),
    params(("name" = String, Path, description = "The extension's name"), LogsQuery),
    responses((status = 200, description = "The lines, the oldest first", body = Logs), Forbidden, NotFound)
)]
async fn logs(
    _: Admin,
    State(extensions): Extensions,
    Segments(name): Segments<String>,
    Params(query): Params<LogsQuery>,
) -> Result<Json<Logs>, HttpProblem> {
    let lines = at(query.lines.unwrap_or(100).min(1_000));
    Ok(Json(Logs { lines: extensions.logs(&name, lines).await? }))
}

/// The hooks in the order in which they run.
#[derive(Serialize, ToSchema)]
#[schema(as = HookList)]
struct Hooks {
    hooks: Vec<HookInfo>,
}

/// Who listens to what, in the order in which they run; administrators only.
#[utoipa::path(
    get, path = "/api/admin/hooks", operation_id = "list_hooks", tag = "extensions",
    security(("bearer" = [])),
    responses((status = 200, description = "The hooks", body = Hooks), Forbidden)
)]
async fn hooks(_: Admin, State(extensions): Extensions) -> Result<Json<Hooks>, HttpProblem> {
    Ok(Json(Hooks { hooks: extensions.hooks().await? }))
}
