//! The document's frame, and what it says of every operation without the handlers' help.

use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Info, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, RefOr, Tag,
};
use utoipa::{PartialSchema, ToSchema};

use super::answers::{
    self, Internal, Invalid, NotFound, RateLimited, TooLarge, Unauthenticated, Unavailable,
    Unprocessable, UnsupportedMediaType,
};
use crate::problem::ProblemBody;

/// The security scheme's name; handlers say `security(("bearer" = []))`.
const BEARER: &str = "bearer";

const DESCRIPTION: &str = "\
Every answer that isn't a success is a problem (RFC 9457) with a `request_id`, also those that no \
operation lists: 404 for a path that isn't here, 405 for a method that a path doesn't have, 408 for a \
body that comes too slowly, 414 for an address and 431 for a header that are too long. Every answer \
has the header `x-request-id`. The exception is what can't be read as HTTP, or is far too long: the \
answer is a bare 400, 414 or 431. \
The document lists the collections and functions that whoever asks for it may use: ask with the \
token of your user.";

const TAGS: [(&str, &str); 9] = [
    ("auth", "Registering, logging in, tokens"),
    ("collections", "Collections and their schemas"),
    ("records", "Records of collections"),
    ("functions", "Functions of extensions and their calls"),
    ("schedules", "Functions that are called by the clock"),
    ("files", "Stored files"),
    ("extensions", "Installing and watching extensions"),
    ("admin", "Users, settings and numbers, for administrators"),
    ("system", "What the server is and how it is"),
];

/// The document before any route is in it.
pub(crate) fn base(version: &str) -> OpenApi {
    let license = LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT")).build();
    let info: Info = InfoBuilder::new()
        .title("TinyBase")
        .version(version)
        .description(Some(DESCRIPTION))
        .license(Some(license))
        .build();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The access token of a login, or an application token"))
        .build();
    let mut components =
        ComponentsBuilder::new().security_scheme(BEARER, SecurityScheme::Http(bearer)).build();
    components.schemas.insert(ProblemBody::name().into_owned(), ProblemBody::schema());
    let mut used = Vec::new();
    ProblemBody::schemas(&mut used);
    components.schemas.extend(used);
    for (name, response) in answers::all() {
        components.responses.insert(name.to_owned(), response.into());
    }
    let tags = TAGS.map(|(name, words)| {
        let mut tag = Tag::new(name);
        tag.description = Some(words.to_owned());
        tag
    });
    OpenApiBuilder::new().info(info).components(Some(components)).tags(Some(tags)).build()
}

/// Adds to each operation what follows from what it takes: who asks for a token can answer that it
/// isn't valid, who takes a body that it is too large, and everything under `/api` can fail.
pub(crate) fn finished(mut api: OpenApi) -> OpenApi {
    for (path, item) in &mut api.paths.paths {
        for operation in operations(item) {
            complete(operation, path.starts_with("/api/"));
        }
    }
    api
}

fn complete(operation: &mut Operation, is_api: bool) {
    answers::fill(operation);
    if operation.security.is_some() {
        answers::add::<Unauthenticated>(operation);
    }
    let has_body = operation.request_body.is_some();
    if has_body {
        answers::add::<TooLarge>(operation);
        answers::add::<UnsupportedMediaType>(operation);
    }
    if has_body || operation.parameters.as_ref().is_some_and(|all| !all.is_empty()) {
        answers::add::<Invalid>(operation);
        answers::add::<Unprocessable>(operation);
    }
    // What can be no name at all names nothing.
    if operation.parameters.iter().flatten().any(is_in_path) {
        answers::add::<NotFound>(operation);
    }
    if is_api {
        answers::add::<RateLimited>(operation);
        answers::add::<Internal>(operation);
        answers::add::<Unavailable>(operation);
    }
}

fn is_in_path(parameter: &RefOr<Parameter>) -> bool {
    matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Path)
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
    [get, put, post, delete, options, head, patch, trace].into_iter().filter_map(Option::as_mut)
}
