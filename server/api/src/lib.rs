//! HTTP: the routes, errors as problems, and the accept loop.

mod app;
mod application_tokens;
mod auth;
mod batch;
mod body;
mod caller;
mod calls;
mod client_address;
mod collections;
mod cors;
mod etag;
mod extensions;
mod functions;
mod impatient;
mod instance;
mod layers;
mod live;
mod openapi;
mod page;
mod passwords;
mod portal;
mod problem;
mod query_names;
mod rate_limit;
mod records;
mod schedules;
mod serve;
mod settings;
mod system;
mod tls;
mod users;

pub use app::{ApiOptions, router};
pub use client_address::{InvalidNetwork, TrustedProxies};
pub use rate_limit::{RateLimitOptions, RateLimits};
pub use serve::{ServeOptions, serve_tcp, serve_unix};
pub use tls::{Tls, TlsError};
