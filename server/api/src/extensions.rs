//! What an operator does with extensions.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tinybase_core::{ExtensionAdmin, HookInfo, InstalledExtension};
use tinybase_model::{ExtensionName, ExtensionStatus, LogLine};

use crate::app::App;
use crate::body::{Json, Params, Segments};
use crate::caller::Admin;
use crate::problem::{HttpProblem, Kind};

type Extensions = State<Arc<dyn ExtensionAdmin>>;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/admin/extensions", get(list).post(install))
        .route("/api/admin/extensions/{name}", get(show).patch(update).delete(uninstall))
        .route("/api/admin/extensions/{name}/restart", post(restart))
        .route("/api/admin/extensions/{name}/logs", get(logs))
        .route("/api/admin/hooks", get(hooks))
}

/// An extension as clients know it, with how it really is beside.
#[derive(Serialize)]
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    #[serde(default)]
    enabled_only: bool,
    limit: Option<usize>,
    offset: Option<usize>,
}

#[derive(Serialize)]
struct ExtensionList {
    extensions: Vec<ExtensionInfo>,
    total: usize,
    limit: usize,
    offset: usize,
}

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
    let extensions = all.into_iter().skip(offset).take(limit).map(Into::into).collect();
    Ok(Json(ExtensionList { extensions, total, limit, offset }))
}

#[derive(Deserialize)]
struct InstallRequest {
    repo_url: String,
}

/// Installs, starts, and waits until it is ready or has failed; `state` and `reason` say which.
async fn install(
    _: Admin,
    State(extensions): Extensions,
    Json(request): Json<InstallRequest>,
) -> Result<(StatusCode, Json<ExtensionInfo>), HttpProblem> {
    let installed = extensions.install(&request.repo_url, true).await?;
    Ok((StatusCode::CREATED, Json(installed.into())))
}

async fn show(
    _: Admin,
    State(extensions): Extensions,
    Segments(name): Segments<String>,
) -> Result<Json<ExtensionInfo>, HttpProblem> {
    Ok(Json(extensions.get(&name).await?.into()))
}

#[derive(Deserialize)]
struct UpdateRequest {
    is_enabled: Option<bool>,
}

async fn update(
    _: Admin,
    State(extensions): Extensions,
    Segments(name): Segments<String>,
    Json(request): Json<UpdateRequest>,
) -> Result<Json<ExtensionInfo>, HttpProblem> {
    let extension = match request.is_enabled {
        Some(enabled) => extensions.set_enabled(&name, enabled).await?,
        None => extensions.get(&name).await?,
    };
    Ok(Json(extension.into()))
}

async fn uninstall(
    _: Admin,
    State(extensions): Extensions,
    Segments(name): Segments<String>,
) -> Result<StatusCode, HttpProblem> {
    extensions.uninstall(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn restart(
    _: Admin,
    State(extensions): Extensions,
    Segments(name): Segments<String>,
) -> Result<Json<ExtensionInfo>, HttpProblem> {
    Ok(Json(extensions.restart(&name).await?.into()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogsQuery {
    lines: Option<usize>,
}

#[derive(Serialize)]
struct Logs {
    lines: Vec<LogLine>,
}

async fn logs(
    _: Admin,
    State(extensions): Extensions,
    Segments(name): Segments<String>,
    Params(query): Params<LogsQuery>,
) -> Result<Json<Logs>, HttpProblem> {
    let lines = query.lines.unwrap_or(100).min(1_000);
    Ok(Json(Logs { lines: extensions.logs(&name, lines).await? }))
}

#[derive(Serialize)]
struct Hooks {
    hooks: Vec<HookInfo>,
}

async fn hooks(_: Admin, State(extensions): Extensions) -> Result<Json<Hooks>, HttpProblem> {
    Ok(Json(Hooks { hooks: extensions.hooks().await? }))
}
