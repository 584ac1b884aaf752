//! The API as its consumers see it. Every test here holds on `SQLite` and on `PostgreSQL`.

mod activity;
mod application_tokens;
mod auth;
mod batch;
mod buckets;
mod collections;
mod expand;
mod extensions_admin;
mod files;
mod functions;
mod hidden_fields;
mod hostile;
mod live;
mod metrics;
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
