//! The router and what its handlers share.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::middleware;
use tinybase_core::{Core, ExtensionAdmin};
use utoipa_axum::router::OpenApiRouter;

use crate::client_address::TrustedProxies;
use crate::layers;
use crate::openapi::{self, Document};
use crate::problem::{HttpProblem, Kind};
use crate::query_names::{self, QueryNames};
use crate::rate_limit::{self, RateLimits};
use crate::{
    activity, application_tokens, auth, batch, calls, collections, extension_settings, extensions,
    files, functions, instance, live, metrics, passwords, portal, records, schedules, settings,
    system, users,
};

/// How the API is served.
#[expect(clippy::struct_excessive_bools, reason = "they are independent choices")]
#[derive(Debug, Clone)]
pub struct ApiOptions {
    /// Whether every request comes from the operator of this machine. True on the admin socket only.
    pub operator: bool,
    /// The largest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// The largest file, in bytes.
    pub upload_bytes_max: u64,
    /// Says whether the server takes requests: the readiness check.
    pub ready: tokio::sync::watch::Receiver<bool>,
    /// The server's version.
    pub version: &'static str,
    /// How often clients may ask.
    pub rate_limits: RateLimits,
    /// Whose word about a client's address is taken.
    pub trusted_proxies: TrustedProxies,
    /// Whether each request is written into the log, instead of at debug only.
    pub access_log: bool,
    /// Origins whose pages may use the API: each by itself, or `*`.
    pub allow_origins: Vec<String>,
}

/// What handlers share. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) core: Core,
    pub(crate) extensions: Arc<dyn ExtensionAdmin>,
    pub(crate) options: Arc<ApiOptions>,
    pub(crate) document: Document,
}

impl FromRef<App> for Core {
    fn from_ref(app: &App) -> Self {
        app.core.clone()
    }
}

impl FromRef<App> for Arc<dyn ExtensionAdmin> {
    fn from_ref(app: &App) -> Self {
        Arc::clone(&app.extensions)
    }
}

/// The whole API.
pub fn router(core: Core, extensions: Arc<dyn ExtensionAdmin>, options: ApiOptions) -> Router {
    let limit = DefaultBodyLimit::max(options.body_bytes_max);
    let (routes, api) = routes(&options).split_for_parts();
    let api = openapi::finished(api);
    let names = QueryNames::of(&api);
    let document = Document::new(&api);
    let options = Arc::new(options);
    let app = App { core, extensions, options: Arc::clone(&options), document };
    let routes = routes
        .fallback(async || HttpProblem::new(Kind::NotFound, "There is nothing at this path"))
        .method_not_allowed_fallback(async || {
            HttpProblem::new(Kind::MethodNotAllowed, "This path doesn't have that method")
        })
        .layer(middleware::from_fn_with_state(names, query_names::check))
        .layer(limit)
        .layer(middleware::from_fn_with_state(app.clone(), rate_limit::limit))
        .with_state(app);
    layers::around(routes, &options)
}

/// Every route with its description. A route that is added otherwise would be missing in the
/// document, so Clippy refuses it.
fn routes(options: &ApiOptions) -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::base(options.version))
        .merge(system::routes())
        .merge(openapi::routes())
        .merge(auth::routes())
        .merge(passwords::routes())
        .merge(instance::routes())
        .merge(users::routes())
        .merge(application_tokens::routes())
        .merge(portal::routes())
        .merge(collections::routes())
        .merge(records::routes())
        .merge(batch::routes())
        .merge(live::routes())
        .merge(functions::routes())
        .merge(calls::routes())
        .merge(schedules::routes())
        .merge(extensions::routes())
        .merge(extension_settings::routes())
        .merge(settings::routes())
        .merge(activity::routes())
        .merge(metrics::routes())
        .merge(files::routes(options.upload_bytes_max))
}
