//! The settings of the instance, for administrators.

use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use tinybase_core::{Core, Settings};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::Json;
use crate::caller::{Admin, Caller};
use crate::problem::HttpProblem;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show, update))
}

/// The settings, but for the storage's keys, which are never given away.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "they are the wire's")]
struct InstanceSettingsResponse {
    /// What the instance calls itself.
    instance_name: String,
    /// An IANA time zone.
    server_timezone: String,
    /// Whether anybody may register.
    allow_public_registration: bool,
    /// Whether there are login pages.
    auth_portal_enabled: bool,
    /// A picture on the login pages.
    auth_portal_logo_url: Option<String>,
    /// A CSS colour.
    auth_portal_primary_color: Option<String>,
    /// A picture behind the login pages.
    auth_portal_background_image_url: Option<String>,
    /// Where a user goes after logging in.
    auth_portal_login_redirect_url: Option<String>,
    /// Where a user goes after registering.
    auth_portal_register_redirect_url: Option<String>,
    /// Whether files are kept in a bucket.
    storage_enabled: bool,
    /// The address of the S3-compatible service.
    storage_url: Option<String>,
    /// The bucket.
    storage_bucket: Option<String>,
    /// The region.
    storage_region: Option<String>,
    /// How long a scheduled function may run.
    scheduler_function_timeout_seconds: u32,
    /// How many schedules begin at once.
    scheduler_max_schedules_per_tick: u32,
    /// How many scheduled calls run at a time.
    scheduler_max_concurrent_executions: u32,
    /// How many functions one user may have running.
    max_concurrent_functions_per_user: u32,
    /// Ticks of five seconds between clean-ups of tokens.
    token_cleanup_interval: u32,
    /// Ticks of five seconds between collections of metrics.
    metrics_collection_interval: u32,
    /// Whether administrators get reports by e-mail.
    admin_report_email_enabled: bool,
    /// Days between two reports.
    admin_report_email_interval_days: u32,
    /// When any of them was changed last.
    updated_at: Timestamp,
}

impl From<&Settings> for InstanceSettingsResponse {
    fn from(settings: &Settings) -> Self {
        Self {
            instance_name: settings.instance_name.clone(),
            server_timezone: settings.server_timezone.clone(),
            allow_public_registration: settings.allow_public_registration,
            auth_portal_enabled: settings.portal.enabled,
            auth_portal_logo_url: settings.portal.logo_url.clone(),
            auth_portal_primary_color: settings.portal.primary_color.clone(),
            auth_portal_background_image_url: settings.portal.background_image_url.clone(),
            auth_portal_login_redirect_url: settings.portal.login_redirect_url.clone(),
            auth_portal_register_redirect_url: settings.portal.register_redirect_url.clone(),
            storage_enabled: settings.storage.enabled,
            storage_url: settings.storage.url.clone(),
            storage_bucket: settings.storage.bucket.clone(),
            storage_region: settings.storage.region.clone(),
            scheduler_function_timeout_seconds: settings.scheduler.function_timeout_seconds,
            scheduler_max_schedules_per_tick: settings.scheduler.schedules_per_tick_max,
            scheduler_max_concurrent_executions: settings.scheduler.concurrent_executions_max,
            max_concurrent_functions_per_user: settings.max_concurrent_functions_per_user,
            token_cleanup_interval: settings.jobs.token_cleanup_interval,
            metrics_collection_interval: settings.jobs.metrics_collection_interval,
            admin_report_email_enabled: settings.jobs.admin_report_enabled,
            admin_report_email_interval_days: settings.jobs.admin_report_interval_days,
            updated_at: settings.revision.updated_at,
        }
    }
}

/// What to change. What isn't there stays; null takes a setting back to its default.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InstanceSettingsUpdate {
    /// What the instance calls itself.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(min_length = 1, max_length = 100, value_type = Option<String>)]
    instance_name: Sent<String>,
    /// An IANA time zone.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(max_length = 50, value_type = Option<String>)]
    server_timezone: Sent<String>,
    /// Whether anybody may register.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(value_type = Option<bool>)]
    allow_public_registration: Sent<bool>,
    /// Whether there are login pages.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(value_type = Option<bool>)]
    auth_portal_enabled: Sent<bool>,
    /// A picture on the login pages.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(max_length = 500, value_type = Option<String>)]
    auth_portal_logo_url: Sent<String>,
    /// A CSS colour.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(max_length = 50, value_type = Option<String>)]
    auth_portal_primary_color: Sent<String>,
    /// A picture behind the login pages.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(max_length = 500, value_type = Option<String>)]
    auth_portal_background_image_url: Sent<String>,
    /// Where a user goes after logging in.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(max_length = 500, value_type = Option<String>)]
    auth_portal_login_redirect_url: Sent<String>,
    /// Where a user goes after registering.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(max_length = 500, value_type = Option<String>)]
    auth_portal_register_redirect_url: Sent<String>,
    /// Whether files are kept in a bucket.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(value_type = Option<bool>)]
    storage_enabled: Sent<bool>,
    /// The address of the S3-compatible service.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(max_length = 500, value_type = Option<String>)]
    storage_url: Sent<String>,
    /// The bucket.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(max_length = 100, value_type = Option<String>)]
    storage_bucket: Sent<String>,
    /// The access key; it is never returned.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(max_length = 200, value_type = Option<String>)]
    storage_access_key: Sent<String>,
    /// The secret key; it is never returned.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(max_length = 200, value_type = Option<String>)]
    storage_secret_key: Sent<String>,
    /// The region.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(max_length = 50, value_type = Option<String>)]
    storage_region: Sent<String>,
    /// How long a scheduled function may run.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(minimum = 1, value_type = Option<i64>)]
    scheduler_function_timeout_seconds: Sent<i64>,
    /// How many schedules begin at once.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(minimum = 1, value_type = Option<i64>)]
    scheduler_max_schedules_per_tick: Sent<i64>,
    /// How many scheduled calls run at a time.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(minimum = 1, value_type = Option<i64>)]
    scheduler_max_concurrent_executions: Sent<i64>,
    /// How many functions one user may have running.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(minimum = 1, value_type = Option<i64>)]
    max_concurrent_functions_per_user: Sent<i64>,
    /// Ticks of five seconds between clean-ups of tokens.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(minimum = 1, value_type = Option<i64>)]
    token_cleanup_interval: Sent<i64>,
    /// Ticks of five seconds between collections of metrics.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(minimum = 1, value_type = Option<i64>)]
    metrics_collection_interval: Sent<i64>,
    /// Whether administrators get reports by e-mail.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(value_type = Option<bool>)]
    admin_report_email_enabled: Sent<bool>,
    /// Days between two reports.
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    #[schema(minimum = 1, value_type = Option<i64>)]
    admin_report_email_interval_days: Sent<i64>,
}

/// What a change says of a setting.
#[derive(Debug, Default)]
enum Sent<T> {
    /// Nothing: it stays.
    #[default]
    Nothing,
    /// Null: its default.
    Null,
    /// This.
    Value(T),
}

impl<T> Sent<T> {
    const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Sent<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}

impl<T: Serialize> Serialize for Sent<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing | Self::Null => serializer.serialize_none(),
            Self::Value(value) => value.serialize(serializer),
        }
    }
}

/// Shows the settings.
#[utoipa::path(
    get, path = "/api/admin/settings", operation_id = "get_settings", tag = "admin",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The settings", body = InstanceSettingsResponse),
        (status = 401, description = "Not logged in"),
        (status = 403, description = "No administrator"),
    )
)]
async fn show(_: Admin, State(core): State<Core>) -> Json<InstanceSettingsResponse> {
    Json(InstanceSettingsResponse::from(&*core.settings()))
}

/// Changes settings: all that are sent, or, if one of them makes no sense, none.
#[utoipa::path(
    patch, path = "/api/admin/settings", operation_id = "update_settings", tag = "admin",
    security(("bearer" = [])),
    request_body = InstanceSettingsUpdate,
    responses(
        (status = 200, description = "The settings as they are now", body = InstanceSettingsResponse),
        (status = 400, description = "A setting makes no sense; `errors` says which"),
        (status = 401, description = "Not logged in"),
        (status = 403, description = "No administrator"),
        (status = 409, description = "Others kept changing them"),
        (status = 413, description = "The body is too large"),
        (status = 422, description = "The body has the wrong shape"),
        (status = 503, description = "The database is overloaded"),
    )
)]
async fn update(
    State(core): State<Core>,
    caller: Caller,
    Json(update): Json<InstanceSettingsUpdate>,
) -> Result<Json<InstanceSettingsResponse>, HttpProblem> {
    let patch: Map<String, Value> = match serde_json::to_value(update) {
        Ok(Value::Object(patch)) => patch,
        Ok(_) => Map::new(),
        Err(error) => return Err(HttpProblem::internal(&error)),
    };
    let settings = core.update_settings(&caller.cause(), &patch).await?;
    Ok(Json(InstanceSettingsResponse::from(&*settings)))
}
