//! The activity log, for administrators.

use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tinybase_core::{Activity, ActivityQuery, Core};
use tinybase_model::UserId;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::{Json, Params};
use crate::caller::Caller;
use crate::openapi::Forbidden;
use crate::problem::{HttpProblem, Kind};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(recent))
}

/// Something that somebody did.
#[derive(Serialize, ToSchema)]
struct ActivityLogInfo {
    /// Its id.
    id: String,
    /// What was done, such as `user.login`.
    action: String,
    /// What kind of thing it was done to.
    resource_type: Option<String>,
    /// Which one.
    resource_id: Option<String>,
    /// The user who did it.
    user_id: Option<String>,
    /// That user's address, if the user is still there.
    user_email: Option<String>,
    /// More about it.
    #[schema(value_type = Object)]
    metadata: Box<RawValue>,
    /// Where the request came from.
    ip_address: Option<String>,
    /// When.
    created_at: Timestamp,
}

impl From<Activity> for ActivityLogInfo {
    fn from(activity: Activity) -> Self {
        let metadata = RawValue::from_string(activity.metadata);
        Self {
            id: activity.id,
            action: activity.action,
            resource_type: activity.resource_type,
            resource_id: activity.resource_id,
            user_id: activity.user_id,
            user_email: activity.user_email,
            metadata: metadata.unwrap_or_else(|_| RawValue::NULL.to_owned()),
            ip_address: activity.ip_address,
            created_at: activity.created_at,
        }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListActivity {
    /// Only this action.
    action: Option<String>,
    /// Only what was done to this kind of thing.
    resource_type: Option<String>,
    /// Only what this user did.
    user_id: Option<UserId>,
    /// At most so many, 1 to 500.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
}

/// A part of the activity log.
#[derive(Serialize, ToSchema)]
struct ActivityLogListResponse {
    activities: Vec<ActivityLogInfo>,
    total: u64,
    limit: u32,
    offset: u32,
}

/// Lists who did what, the newest first.
#[utoipa::path(
    get, path = "/api/admin/activity", operation_id = "list_activity", tag = "admin",
    security(("bearer" = [])), params(ListActivity),
    responses(
        (status = 200, description = "The activities", body = ActivityLogListResponse),
        Forbidden,
    )
)]
async fn list(
    State(core): State<Core>,
    caller: Caller,
    Params(query): Params<ListActivity>,
) -> Result<Json<ActivityLogListResponse>, HttpProblem> {
    let limit = checked(query.limit.unwrap_or(50), 500)?;
    let offset = query.offset.unwrap_or(0);
    let wanted = ActivityQuery {
        action: query.action,
        resource_type: query.resource_type,
        user_id: query.user_id,
        limit,
        offset,
    };
    let page = core.activities(&caller.identity, &wanted).await?;
    let activities = page.activities.into_iter().map(Into::into).collect();
    Ok(Json(ActivityLogListResponse { activities, total: page.total, limit, offset }))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RecentActivity {
    /// At most so many, 1 to 50.
    #[param(minimum = 1, maximum = 50, default = 10)]
    limit: Option<u32>,
}

/// Lists what was done last.
#[utoipa::path(
    get, path = "/api/admin/activity/recent", operation_id = "list_recent_activity", tag = "admin",
    security(("bearer" = [])), params(RecentActivity),
    responses(
        (status = 200, description = "The activities", body = Vec<ActivityLogInfo>),
        Forbidden,
    )
)]
async fn recent(
    State(core): State<Core>,
    caller: Caller,
    Params(query): Params<RecentActivity>,
) -> Result<Json<Vec<ActivityLogInfo>>, HttpProblem> {
    let limit = checked(query.limit.unwrap_or(10), 50)?;
    let wanted = ActivityQuery { limit, ..ActivityQuery::default() };
    let page = core.activities(&caller.identity, &wanted).await?;
    Ok(Json(page.activities.into_iter().map(Into::into).collect()))
}

fn checked(limit: u32, most: u32) -> Result<u32, HttpProblem> {
    if (1..=most).contains(&limit) {
        return Ok(limit);
    }
    let detail = format!("limit has to be 1 to {most}, not {limit}");
    Err(HttpProblem::new(Kind::Unprocessable, detail))
}
