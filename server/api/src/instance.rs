//! What a client may know before anybody is logged in.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use tinybase_core::{Core, authorize_admin};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::{Json, Params};
use crate::caller::Caller;
use crate::openapi::Forbidden;
use crate::problem::HttpProblem;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(instance_info))
        .routes(routes!(setup_status))
        .routes(routes!(portal_config))
}

/// What the instance calls itself.
#[derive(Serialize, ToSchema)]
struct InstanceInfo {
    instance_name: String,
}

/// Whether the operator still has to make an administrator.
#[derive(Serialize, ToSchema)]
struct SetupStatus {
    needs_setup: bool,
}

/// How the login pages look, and where they lead to.
#[derive(Serialize, ToSchema)]
struct PortalConfig {
    instance_name: String,
    logo_url: Option<String>,
    primary_color: Option<String>,
    background_image_url: Option<String>,
    registration_enabled: bool,
    login_redirect_url: Option<String>,
    register_redirect_url: Option<String>,
}

/// Looks that an administrator tries out without setting them.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TriedLooks {
    /// Whether the looks below are shown instead of those that are set; for administrators.
    #[serde(default)]
    preview: bool,
    logo_url: Option<String>,
    primary_color: Option<String>,
    background_image_url: Option<String>,
}

/// What the instance calls itself.
#[utoipa::path(
    get, path = "/api/auth/instance-info", operation_id = "instance_info", tag = "auth",
    responses((status = 200, description = "The name", body = InstanceInfo))
)]
async fn instance_info(State(core): State<Core>) -> Json<InstanceInfo> {
    Json(InstanceInfo { instance_name: core.settings().instance_name.clone() })
}

/// Whether there is no user yet. The operator makes the first one, with `tinybase admin add`.
#[utoipa::path(
    get, path = "/api/auth/setup-status", operation_id = "setup_status", tag = "auth",
    responses((status = 200, description = "Whether there is", body = SetupStatus))
)]
async fn setup_status(State(core): State<Core>) -> Result<Json<SetupStatus>, HttpProblem> {
    Ok(Json(SetupStatus { needs_setup: core.users().needs_setup().await? }))
}

/// How the login pages look, and where they lead to.
#[utoipa::path(
    get, path = "/api/auth/portal-config", operation_id = "portal_config", tag = "auth",
    security((), ("bearer" = [])), params(TriedLooks),
    responses((status = 200, description = "The looks", body = PortalConfig), Forbidden)
)]
async fn portal_config(
    State(core): State<Core>,
    caller: Caller,
    Params(tried): Params<TriedLooks>,
) -> Result<Json<PortalConfig>, HttpProblem> {
    let settings = core.settings();
    let portal = settings.portal.clone();
    let mut config = PortalConfig {
        instance_name: settings.instance_name.clone(),
        logo_url: portal.logo_url,
        primary_color: portal.primary_color,
        background_image_url: portal.background_image_url,
        registration_enabled: settings.allow_public_registration,
        login_redirect_url: portal.login_redirect_url,
        register_redirect_url: portal.register_redirect_url,
    };
    if tried.preview {
        // Documented as 403 for everybody else, logged in or not.
        if authorize_admin(&caller.identity).is_err() {
            return Err(tinybase_core::AccessDenied::AdminOnly.into());
        }
        let TriedLooks { logo_url, primary_color, background_image_url, .. } = tried;
        config.logo_url = logo_url.or(config.logo_url);
        config.primary_color = primary_color.or(config.primary_color);
        config.background_image_url = background_image_url.or(config.background_image_url);
    }
    Ok(Json(config))
}
