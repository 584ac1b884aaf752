//! The API as its consumers see it. Every test here holds on `SQLite` and on `PostgreSQL`.

mod openapi;
mod settings;
mod system;
