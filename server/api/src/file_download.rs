//! The answer that has a file in it: streamed, in parts if asked for, and safe to look at.

use std::fmt::Write as _;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tinybase_core::{Core, StoredFile};

use crate::file_range::{Part, part};
use crate::problem::{HttpProblem, Kind};

/// What a browser shows without running anything in it.
const SHOWN: [&str; 11] = [
    "application/pdf",
    "audio/",
    "image/avif",
    "image/bmp",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/x-icon",
    "text/plain",
    "video/",
];

/// The file, or the part of it that the request's headers ask for.
pub(crate) async fn answer(
    core: &Core,
    file: &StoredFile,
    request: &HeaderMap,
) -> Result<Response, HttpProblem> {
    let etag = format!("\"{}\"", file.sha256);
    let text = |name| request.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if text(header::IF_NONE_MATCH).is_some_and(|tags| matches(tags, &etag)) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        describe(response.headers_mut(), file, &etag);
        return Ok(response);
    }
    // Parts of something else than what the client has the rest of would make no whole.
    let is_same = text(header::IF_RANGE).is_none_or(|tag| tag == etag);
    let wanted = part(text(header::RANGE).filter(|_| is_same), file.size);
    let (status, range) = match wanted {
        Part::Whole => (StatusCode::OK, 0..file.size),
        Part::Some(range) => (StatusCode::PARTIAL_CONTENT, range),
        Part::None => return Ok(no_such_part(file)),
    };
    let length = range.end - range.start;
    let content_range = format!("bytes {}-{}/{}", range.start, range.end.max(1) - 1, file.size);
    let bytes = core.files().read(file, range).await?;
    let mut response = (status, Body::from_stream(bytes)).into_response();
    let headers = response.headers_mut();
    describe(headers, file, &etag);
    headers.insert(header::CONTENT_LENGTH, length.into());
    if status == StatusCode::PARTIAL_CONTENT {
        insert(headers, header::CONTENT_RANGE, &content_range);
    }
    Ok(response)
}

fn matches(tags: &str, etag: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

fn no_such_part(file: &StoredFile) -> Response {
    let detail = format!("The file has no such part: it has {} bytes", file.size);
    let mut response = HttpProblem::new(Kind::NoSuchRange, detail).into_response();
    insert(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{}", file.size));
    response
}

/// What every answer about the file says of it.
fn describe(headers: &mut HeaderMap, file: &StoredFile, etag: &str) {
    insert(headers, header::CONTENT_TYPE, &file.content_type);
    insert(headers, header::CONTENT_DISPOSITION, &disposition(file));
    insert(headers, header::ETAG, etag);
    let fixed = HeaderValue::from_static;
    headers.insert(header::ACCEPT_RANGES, fixed("bytes"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    // Somebody else's file must not act as this site.
    headers.insert(header::CONTENT_SECURITY_POLICY, fixed("default-src 'none'; sandbox"));
    let cache = if file.is_public { "public, max-age=3600" } else { "private, no-cache" };
    headers.insert(header::CACHE_CONTROL, fixed(cache));
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    // All of them are of visible ASCII characters by the way they are made.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// To be shown if a browser can do that without harm, else to be saved; under its name, once in
/// ASCII and once as it is (RFC 6266).
fn disposition(file: &StoredFile) -> String {
    let is_shown = SHOWN.iter().any(|kind| match kind.strip_suffix('/') {
        Some(_) => file.content_type.starts_with(kind),
        None => file.content_type == *kind,
    });
    let mut text = String::from(if is_shown { "inline" } else { "attachment" });
    let plain: String = file
        .filename
        .chars()
        .map(|c| if (c.is_ascii_graphic() || c == ' ') && !"\"\\%".contains(c) { c } else { '_' })
        .collect();
    text.push_str("; filename=\"");
    text.push_str(&plain);
    text.push('"');
    if plain != file.filename {
        text.push_str("; filename*=UTF-8''");
        for byte in file.filename.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
                text.push(char::from(byte));
            } else {
                // Writing to a string can't fail.
                let _: Result<(), std::fmt::Error> = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tinybase_core::{FileBackend, StoredFile};

    use super::{disposition, matches};

    fn named(filename: &str, content_type: &str) -> String {
        disposition(&StoredFile {
            key: "k".to_owned(),
            owner_id: None,
            filename: filename.to_owned(),
            content_type: content_type.to_owned(),
            size: 1,
            sha256: String::new(),
            is_public: false,
            backend: FileBackend::Local,
            created_at: Timestamp::UNIX_EPOCH,
        })
    }

    #[test]
    fn a_name_never_ends_the_header_and_pages_are_never_shown() {
        assert_eq!(named("a.png", "image/png"), "inline; filename=\"a.png\"");
        assert_eq!(
            named("a\"; x=\"b.html", "text/html"),
            "attachment; filename=\"a_; x=_b.html\"; filename*=UTF-8''a%22%3B%20x%3D%22b.html"
        );
        assert_eq!(
            named("Größe.svg", "image/svg+xml"),
            "attachment; filename=\"Gr__e.svg\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.svg"
        );
        assert!(!named("a\r\nset-cookie: b", "text/plain").contains('\n'));
    }

    #[test]
    fn a_tag_is_found_in_a_list() {
        assert!(matches("\"a\", W/\"b\"", "\"b\"") && matches("*", "\"b\""));
        assert!(!matches("\"a\"", "\"b\""));
    }
}
