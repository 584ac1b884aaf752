//! The API as its consumers see it. Every test here holds on `SQLite` and on `PostgreSQL`.

mod application_tokens;
mod auth;
mod bad_requests;
mod batch;
mod collections;
mod functions;
mod live;
mod openapi;
mod operations;
mod portal;
mod rate_limits;
mod records;
mod records_query;
mod rules;
mod schedules;
mod settings;
mod strict_json;
mod system;
mod users;
