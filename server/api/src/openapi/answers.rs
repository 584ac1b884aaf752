//! The answers that aren't a success: each is described once, and operations refer to it by name.

use std::collections::BTreeMap;

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::problem::ProblemBody;

const MEDIA_TYPE: &str = "application/problem+json";

/// A described answer.
pub(super) trait Answer: IntoResponses {
    const NAME: &'static str;
    const STATUS: &'static str;
    const WORDS: &'static str;
    /// Headers that come with it.
    const HEADERS: &'static [&'static str];
}

macro_rules! answers {
    ($($(#[doc = $doc:literal])+ $name:ident = $status:literal $($header:literal)*;)+) => {
        $(
            $(#[doc = $doc])+
            pub(crate) struct $name;

            impl Answer for $name {
                const NAME: &'static str = stringify!($name);
                const STATUS: &'static str = $status;
                const WORDS: &'static str = concat!($($doc),+);
                const HEADERS: &'static [&'static str] = &[$($header),*];
            }

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    let reference = Ref::from_response_name(Self::NAME);
                    BTreeMap::from([(Self::STATUS.to_owned(), reference.into())])
                }
            }
        )+

        /// All of them by name, for the document's components.
        pub(super) fn all() -> Vec<(&'static str, Response)> {
            vec![$(($name::NAME, described::<$name>())),+]
        }
    };
}

answers! {
    /// The request can't be read, or its data breaks a rule; `detail` says why, `errors` where.
    Invalid = "400";
    /// Nobody is logged in, or the token is unknown, expired or revoked.
    Unauthenticated = "401" "www-authenticate";
    /// Logged in or not, this isn't allowed.
    Forbidden = "403";
    /// There is no such thing, or it isn't for the caller to know.
    NotFound = "404";
    /// Somebody else changed the same thing at the same time.
    Conflict = "409";
    /// It was there and isn't kept any more.
    Gone = "410";
    /// The thing isn't what `if-match` says any more; read it again.
    PreconditionFailed = "412";
    /// The body is over the limit.
    TooLarge = "413";
    /// The body has a media type or an encoding that isn't taken.
    UnsupportedMediaType = "415";
    /// The body, the query or the path has the wrong shape; `errors` says where.
    Unprocessable = "422";
    /// An extension's before-hook refused, with a status of its own; `code` is its own word.
    Rejected = "4XX";
    /// Too many requests of this kind; try again after `retry-after`.
    RateLimited = "429" "retry-after";
    /// The server's fault; report it with the `request_id`.
    Internal = "500";
    /// The server, or an extension that has to be asked, can't do this now; try again.
    Unavailable = "503" "retry-after";
}

fn problem() -> Content {
    let schema = RefOr::Ref(Ref::from_schema_name(ProblemBody::name()));
    ContentBuilder::new().schema(Some(schema)).build()
}

fn described<A: Answer>() -> Response {
    let text = || ObjectBuilder::new().schema_type(Type::String).build();
    let response =
        ResponseBuilder::new().description(A::WORDS.trim()).content(MEDIA_TYPE, problem());
    A::HEADERS
        .iter()
        .fold(response, |response, name| {
            response.header(*name, HeaderBuilder::new().schema(Some(text())).build())
        })
        .build()
}

/// Says of the failures that a handler describes by a sentence alone that they are problems.
pub(super) fn fill(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.starts_with(['4', '5'])
            && response.content.is_empty()
        {
            response.content.insert(MEDIA_TYPE.to_owned(), RefOr::T(problem()));
        }
    }
}

/// Adds an answer to an operation that doesn't describe its status itself.
pub(super) fn add<A: Answer>(operation: &mut Operation) {
    for (status, response) in A::responses() {
        operation.responses.responses.entry(status).or_insert(response);
    }
}
