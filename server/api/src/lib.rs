//! HTTP: the routes, errors as problems, and the accept loop.

mod app;
mod auth;
mod body;
mod caller;
mod collections;
mod extensions;
mod functions;
mod layers;
mod openapi;
mod problem;
mod records;
mod serve;
mod settings;
mod system;

pub use app::{ApiOptions, router};
pub use serve::{ServeOptions, serve_tcp, serve_unix};
