//! Live changes as Server-Sent Events.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde::Deserialize;
use tinybase_core::{Core, LiveEvent, LiveQuery, LiveStream, Viewer};
use tinybase_model::Identity;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::body::{Params, Segments};
use crate::caller::bearer;
use crate::openapi::{Forbidden, Invalid, NotFound, Unavailable};
use crate::problem::{HttpProblem, Kind};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(watch)).routes(routes!(watch_many))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Watch {
    /// Only changes of records that fulfil this, as for a list.
    filter: Option<String>,
    /// Which fields to show, separated by commas, as for a list.
    fields: Option<String>,
    /// The id of the last event that was seen, for clients that can't send the header.
    last_event_id: Option<String>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WatchMany {
    /// Names of collections, separated by commas.
    collections: String,
    /// The id of the last event that was seen, for clients that can't send the header.
    last_event_id: Option<String>,
}

/// Who reads, to be asked again as long as the stream lasts.
struct Reader {
    viewer: Viewer,
    last_event_id: Option<String>,
}

impl FromRequestParts<App> for Reader {
    type Rejection = HttpProblem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, HttpProblem> {
        let viewer = if app.options.operator {
            Viewer::Known(Identity::Operator)
        } else {
            match bearer(parts)? {
                Some(token) => Viewer::Token(token.to_owned()),
                None => Viewer::Known(Identity::Anonymous),
            }
        };
        let last_event_id = match parts.headers.get(LAST_EVENT_ID) {
            None => None,
            Some(value) => Some(value.to_str().map(str::to_owned).map_err(|_| {
                HttpProblem::new(Kind::Malformed, "last-event-id is no id of an event")
            })?),
        };
        Ok(Self { viewer, last_event_id })
    }
}

/// Changes of a collection's records, as they happen.
///
/// Events `record.create`, `record.update` and `record.delete`, under the collection's `list` rule; a
/// record that comes into the reader's sight is created, one that leaves it deleted. Each `id` is a
/// place to go on from. `reset` says to read the list again, `end` that there is no more, and why.
#[utoipa::path(
    get, path = "/api/collections/{name}/records/events", operation_id = "watch_records", tag = "records",
    security((), ("bearer" = [])),
    params(
        ("name" = String, Path, description = "The collection's name"), Watch,
        ("last-event-id" = Option<String>, Header, description = "The id of the last event seen"),
    ),
    responses(
        (status = 200, description = "Events, without an end", body = String, content_type = "text/event-stream"),
        Invalid, Forbidden, NotFound, Unavailable,
    )
)]
async fn watch(
    State(core): State<Core>,
    Segments(name): Segments<String>,
    Params(Watch { filter, fields, last_event_id }): Params<Watch>,
    reader: Reader,
) -> Result<Response, HttpProblem> {
    let after = reader.last_event_id.or(last_event_id);
    let query = LiveQuery { collections: vec![name], filter, fields, after };
    Ok(events(core.watch(reader.viewer, query).await?))
}

/// Changes of several collections' records, as they happen: as for one.
#[utoipa::path(
    get, path = "/api/events", operation_id = "watch_collections", tag = "records",
    security((), ("bearer" = [])),
    params(
        WatchMany,
        ("last-event-id" = Option<String>, Header, description = "The id of the last event seen"),
    ),
    responses(
        (status = 200, description = "Events, without an end", body = String, content_type = "text/event-stream"),
        Invalid, Forbidden, NotFound, Unavailable,
    )
)]
async fn watch_many(
    State(core): State<Core>,
    Params(WatchMany { collections, last_event_id }): Params<WatchMany>,
    reader: Reader,
) -> Result<Response, HttpProblem> {
    let collections = collections.split(',').map(|name| name.trim().to_owned()).collect();
    let after = reader.last_event_id.or(last_event_id);
    let query = LiveQuery { collections, after, ..LiveQuery::default() };
    Ok(events(core.watch(reader.viewer, query).await?))
}

fn events(stream: LiveStream) -> Response {
    let events = unfold(stream, async |mut stream| {
        let event = stream.next().await?;
        Some((Ok::<_, Infallible>(written(&event)), stream))
    });
    let mut response = Sse::new(events).into_response();
    // A proxy that gathers what comes would keep it from the reader.
    let unbuffered = HeaderValue::from_static("no");
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), unbuffered);
    response
}

/// One event. A heartbeat is a comment with an id, which a reader keeps and doesn't hear of.
fn written(LiveEvent { name, place, data }: &LiveEvent) -> Event {
    let event = Event::default().id(place);
    match name {
        Some(name) => event.event(name).data(data),
        None => event.comment("still here"),
    }
}
