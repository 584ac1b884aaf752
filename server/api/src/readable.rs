//! Requests that are refused before anybody looks at what they want: their heads are too large, or
//! another reader may take them differently.

use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::heads::Doubt;
use crate::problem::{HttpProblem, Kind};

/// The longest path with its query. hyper's own limit is 64 KiB, and its answer has no body.
const ADDRESS_BYTES_MAX: usize = 32 << 10;
/// The most bytes of all names and values. hyper's own limit is about 400 KiB.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// The answer to a request that isn't looked at; none if it is to be.
pub(crate) fn refusal(request: &Request) -> Option<Response> {
    if let Some(doubt) = request.extensions().get::<Doubt>() {
        let mut response = HttpProblem::new(Kind::Malformed, doubt.detail()).into_response();
        // What comes next on the connection may be a part of this request's body.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        return Some(response);
    }
    let address = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    if address > ADDRESS_BYTES_MAX {
        let detail =
            format!("The address has {address} bytes; at most {ADDRESS_BYTES_MAX} are read");
        return Some(HttpProblem::new(Kind::AddressTooLong, detail).into_response());
    }
    let lines = request.headers().iter();
    let header: usize = lines.map(|(name, value)| name.as_str().len() + value.len()).sum();
    (header > HEADER_BYTES_MAX).then(|| {
        let detail = format!("The header has {header} bytes; at most {HEADER_BYTES_MAX} are read");
        HttpProblem::new(Kind::HeaderTooLarge, detail).into_response()
    })
}
