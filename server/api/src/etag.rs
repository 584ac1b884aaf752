//! Entity tags: a record's version, and what a request says about the version that it means.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tinybase_core::Expected;

use crate::app::App;
use crate::body::Json;
use crate::problem::{HttpProblem, Kind};

/// The most tags of one header.
const TAGS_MAX: usize = 32;

/// Gives an answer the tag of a version.
pub(crate) fn tagged(mut response: Response, version: i64) -> Response {
    // Digits in quotes, which every header takes.
    if let Ok(value) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

/// What `if-match` demands of the record that is to be changed.
#[derive(Debug)]
pub(crate) struct IfMatch(pub(crate) Expected);

impl FromRequestParts<App> for IfMatch {
    type Rejection = HttpProblem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, HttpProblem> {
        Ok(Self(match tags(&parts.headers, &header::IF_MATCH)? {
            None | Some(Tags::All) => Expected::Any,
            // A weak tag never matches here; neither does one that no version has.
            Some(Tags::Some(tags)) => Expected::OneOf(
                tags.iter().filter(|tag| !tag.is_weak).filter_map(Tag::version).collect(),
            ),
        }))
    }
}

/// The versions that whoever reads has already, from `if-none-match`.
#[derive(Debug)]
pub(crate) struct IfNoneMatch(Option<Tags>);

impl IfNoneMatch {
    /// An answer that is more than a version of a record, with a tag of its content: nothing but that
    /// says whether it is still the same. It is a weak one, which `if-match` never takes.
    pub(crate) fn answer<T: Serialize>(&self, body: &T) -> Response {
        let Ok(text) = serde_json::to_vec(body) else { return Json(body).into_response() };
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let tag = format!("{:016x}", hasher.finish());
        let is_known = match &self.0 {
            None => false,
            Some(Tags::All) => true,
            Some(Tags::Some(tags)) => tags.iter().any(|known| known.text == tag),
        };
        let mut response = if is_known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(header::CONTENT_TYPE, "application/json")], text).into_response()
        };
        // Hexadecimal digits in quotes, which every header takes.
        if let Ok(value) = HeaderValue::try_from(format!("W/\"{tag}\"")) {
            response.headers_mut().insert(header::ETAG, value);
        }
        response
    }

    /// Whether a version needn't be sent again.
    pub(crate) fn has(&self, version: i64) -> bool {
        match &self.0 {
            None => false,
            Some(Tags::All) => true,
            Some(Tags::Some(tags)) => tags.iter().any(|tag| tag.version() == Some(version)),
        }
    }
}

impl FromRequestParts<App> for IfNoneMatch {
    type Rejection = HttpProblem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, HttpProblem> {
        tags(&parts.headers, &header::IF_NONE_MATCH).map(Self)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`.
    All,
    Some(Vec<Tag>),
}

#[derive(Debug, PartialEq, Eq)]
struct Tag {
    is_weak: bool,
    text: String,
}

impl Tag {
    fn version(&self) -> Option<i64> {
        self.text.parse().ok()
    }
}

/// The tags of a header; none if it isn't there.
fn tags(headers: &HeaderMap, name: &header::HeaderName) -> Result<Option<Tags>, HttpProblem> {
    let wrong = || {
        let detail = format!("{name} has to be * or at most {TAGS_MAX} tags such as \"1\", \"2\"");
        HttpProblem::new(Kind::Malformed, detail)
    };
    let mut tags = Vec::new();
    let mut is_there = false;
    for value in headers.get_all(name) {
        is_there = true;
        let text = value.to_str().unwrap_or("?").trim();
        if text == "*" {
            return Ok(Some(Tags::All));
        }
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            tags.push(tag(part).filter(|_| tags.len() < TAGS_MAX).ok_or_else(wrong)?);
        }
    }
    if is_there && tags.is_empty() {
        return Err(wrong());
    }
    Ok(is_there.then_some(Tags::Some(tags)))
}

fn tag(text: &str) -> Option<Tag> {
    let (is_weak, quoted) = match text.strip_prefix("W/") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('"')).then(|| Tag { is_weak, text: inner.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<Tags>, ()> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, value.parse().expect("a header"));
        }
        tags(&headers, &header::IF_MATCH).map_err(drop)
    }

    #[test]
    fn tags_are_read_as_they_are_written() {
        let tag = |is_weak, text: &str| Tag { is_weak, text: text.to_owned() };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["*"]), Ok(Some(Tags::All)));
        let both = Tags::Some(vec![tag(false, "1"), tag(true, "2"), tag(false, "")]);
        assert_eq!(read(&["\"1\", W/\"2\"", "\"\""]), Ok(Some(both)));
        for wrong in ["", ",", "1", "\"1", "W/1", "\"1\" \"2\"", "\"a\"b\""] {
            assert_eq!(read(&[wrong]), Err(()), "{wrong}");
        }
        assert_eq!(read(&[&vec!["\"1\""; TAGS_MAX + 1].join(",")]), Err(()));
    }
}
