//! HTTP: the routes, errors as problems, and the accept loop.

mod app;
mod application_tokens;
mod auth;
mod body;
mod caller;
mod client_address;
mod collections;
mod extensions;
mod functions;
mod instance;
mod layers;
mod openapi;
mod page;
mod passwords;
mod portal;
mod problem;
mod rate_limit;
mod records;
mod serve;
mod settings;
mod system;
mod users;

pub use app::{ApiOptions, router};
pub use client_address::{InvalidNetwork, TrustedProxies};
pub use rate_limit::{RateLimitOptions, RateLimits};
pub use serve::{ServeOptions, serve_tcp, serve_unix};
