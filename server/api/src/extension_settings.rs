//! The settings of an extension, for administrators.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use tinybase_core::{Core, ExtensionAdmin, ExtensionSetting};
use tinybase_model::ExtensionName;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::{Json, Segments};
use crate::caller::Admin;
use crate::openapi::{Forbidden, NotFound};
use crate::problem::HttpProblem;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(show, update))
}

/// A setting of an extension.
#[derive(Serialize, ToSchema)]
struct ExtensionSettingInfo {
    /// Its key.
    key: String,
    /// Its value; null for a secret.
    value: Option<String>,
    /// The type of its value.
    value_type: &'static str,
    /// What it is for.
    description: Option<String>,
    /// Whether its value is a secret, which is never given away.
    is_secret: bool,
}

/// The settings of an extension.
#[derive(Serialize, ToSchema)]
struct ExtensionSettingsResponse {
    extension_name: ExtensionName,
    settings: Vec<ExtensionSettingInfo>,
}

impl ExtensionSettingsResponse {
    fn new(extension_name: ExtensionName, settings: Vec<ExtensionSetting>) -> Self {
        let settings = settings.into_iter().map(|setting| ExtensionSettingInfo {
            key: setting.key,
            value: setting.value,
            value_type: "str",
            description: None,
            is_secret: setting.is_secret,
        });
        Self { extension_name, settings: settings.collect() }
    }
}

/// Settings to be set; null takes one away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExtensionSettingsUpdateRequest {
    settings: BTreeMap<String, Option<String>>,
}

/// Shows the settings of an extension, without secrets.
#[utoipa::path(
    get, path = "/api/admin/extensions/{name}/settings", operation_id = "get_extension_settings",
    tag = "extensions", security(("bearer" = [])),
    params(("name" = String, Path, description = "The extension's name")),
    responses(
        (status = 200, description = "The settings", body = ExtensionSettingsResponse),
        Forbidden, NotFound,
    )
)]
async fn show(
    Admin(caller): Admin,
    State(core): State<Core>,
    State(extensions): State<Arc<dyn ExtensionAdmin>>,
    Segments(name): Segments<String>,
) -> Result<Json<ExtensionSettingsResponse>, HttpProblem> {
    let name = extensions.get(&name).await?.name;
    let settings = core.extension_settings(&caller.cause(), &name).await?;
    Ok(Json(ExtensionSettingsResponse::new(name, settings)))
}

/// Sets settings of an extension, all that are sent or none. The extension reads them when it asks.
#[utoipa::path(
    patch, path = "/api/admin/extensions/{name}/settings",
    operation_id = "update_extension_settings", tag = "extensions", security(("bearer" = [])),
    params(("name" = String, Path, description = "The extension's name")),
    request_body = ExtensionSettingsUpdateRequest,
    responses(
        (status = 200, description = "The settings as they are now", body = ExtensionSettingsResponse),
        Forbidden, NotFound,
    )
)]
async fn update(
    Admin(caller): Admin,
    State(core): State<Core>,
    State(extensions): State<Arc<dyn ExtensionAdmin>>,
    Segments(name): Segments<String>,
    Json(request): Json<ExtensionSettingsUpdateRequest>,
) -> Result<Json<ExtensionSettingsResponse>, HttpProblem> {
    let name = extensions.get(&name).await?.name;
    let change = request.settings.into_iter().collect();
    let settings = core.set_extension_settings(&caller.cause(), &name, change).await?;
    Ok(Json(ExtensionSettingsResponse::new(name, settings)))
}
