//! A function's result in chunks: one a line, or one an event, and at the end how the call ended.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tinybase_core::{CallOutcome, Streamed, StreamedCall};
use tinybase_model::JsonBytes;

use crate::body::mark_failed_open;

const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");
/// The event that ends a stream.
const OUTCOME: &str = "outcome";

/// How a client wants a result that is streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// All chunks in one answer.
    Whole,
    /// A chunk a line.
    Lines,
    /// A chunk an event.
    Events,
}

/// What the client likes best of what there is (RFC 9110), by quality and then by place; lines if
/// it likes nothing of it, or doesn't say.
pub(crate) fn form(headers: &HeaderMap) -> Form {
    let ranges = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut best = (0, Form::Lines);
    for range in ranges.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let form = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "application/json" | "application/*" => Form::Whole,
            "application/x-ndjson" | "application/jsonl" | "*/*" => Form::Lines,
            "text/event-stream" | "text/*" => Form::Events,
            _ => continue,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, thousandths);
        if quality > best.0 {
            best = (quality, form);
        }
    }
    best.1
}

/// A quality such as `0.8`; one that isn't written well counts as 1.
fn thousandths(quality: &str) -> u32 {
    let number: f32 = quality.parse().unwrap_or(1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 0 and 1000"
    )]
    let thousandths = (number.clamp(0.0, 1.0) * 1000.0) as u32;
    thousandths
}

/// The answer whose body comes as the chunks do.
pub(crate) fn streamed(call: StreamedCall, form: Form) -> Response {
    let failed_open = call.failed_open().to_vec();
    let mut response = match form {
        Form::Events => {
            let events = unfold(call, async |mut call| {
                let event = event(&call.next().await?);
                Some((Ok::<_, Infallible>(event), call))
            });
            Sse::new(events).into_response()
        }
        Form::Lines | Form::Whole => {
            let lines = unfold(call, async |mut call| {
                let line = line(&call.next().await?);
                Some((Ok::<_, Infallible>(line), call))
            });
            let headers = [(header::CONTENT_TYPE, NDJSON)];
            (headers, Body::from_stream(lines)).into_response()
        }
    };
    mark_failed_open(&mut response, &failed_open);
    // A proxy that gathers what comes would keep it from the reader.
    let unbuffered = HeaderValue::from_static("no");
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), unbuffered);
    response
}

fn line(streamed: &Streamed) -> Bytes {
    let mut line = match streamed {
        Streamed::Chunk(chunk) => on_one_line(chunk),
        Streamed::Ended(outcome) => written(outcome),
    };
    line.push('\n');
    line.into()
}

fn event(streamed: &Streamed) -> Event {
    match streamed {
        Streamed::Chunk(chunk) => Event::default().data(on_one_line(chunk)),
        Streamed::Ended(outcome) => Event::default().event(OUTCOME).data(written(outcome)),
    }
}

/// A line's end is only space to JSON.
fn on_one_line(chunk: &JsonBytes) -> String {
    chunk.text().replace(['\n', '\r'], " ")
}

fn written(outcome: &CallOutcome) -> String {
    JsonBytes::of(outcome).map_or_else(|_| String::from("{}"), |json| json.text().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_says_which_form_it_likes_best() {
        let form = |accept: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in accept {
                headers.append(header::ACCEPT, HeaderValue::from_static(value));
            }
            form(&headers)
        };
        assert_eq!(form(&[]), Form::Lines);
        assert_eq!(form(&["*/*"]), Form::Lines);
        assert_eq!(form(&["application/json"]), Form::Whole);
        assert_eq!(form(&["application/json, text/plain, */*"]), Form::Whole, "in this order");
        assert_eq!(form(&["application/json;q=0.5, */*;q=0.8"]), Form::Lines);
        assert_eq!(form(&["application/json", "Text/Event-Stream"]), Form::Whole);
        assert_eq!(form(&["application/json; q=0.9", "text/event-stream"]), Form::Events);
        assert_eq!(form(&["application/json;q=0, text/html"]), Form::Lines);
        assert_eq!(form(&["text/html", "application/x-ndjson"]), Form::Lines);
    }

    #[test]
    fn a_chunk_takes_one_line_however_it_was_written() {
        let chunk =
            JsonBytes::checked(Bytes::from_static(b"{\"a\":\r\n \"b\\nc\"}")).expect("JSON");
        assert_eq!(line(&Streamed::Chunk(chunk)), "{\"a\":   \"b\\nc\"}\n");
    }
}
