//! The API as its consumers see it. Every test here holds on `SQLite` and on `PostgreSQL`.

mod application_tokens;
mod auth;
mod collections;
mod openapi;
mod portal;
mod rate_limits;
mod settings;
mod system;
mod users;
