//! Runs an extension's handlers without a server.
//!
//! A [`Harness`] does what the server does, with the same code beneath: it turns a call or an
//! event into the protocol's invocation, hands it to the extension's dispatcher and reads the
//! outcome. Call-backs go to a fake that the test fills and looks into.
//!
//! ```
//! use tinybase_sdk::prelude::*;
//! use tinybase_sdk::testing::Harness;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let double = |_ctx, number: i64| async move { Ok(2 * number) };
//! let harness = Harness::new(Extension::new("maths").function("double", double));
//! assert_eq!(harness.call("double", json!(21)).await, Ok(json!(42)));
//! # }
//! ```
//!
//! What the server checks before and after a handler is not checked here: JSON Schemas, who may
//! call a function, what the manifest declares, and the rules of collections.

mod compare;
mod event;
mod fake;
mod fake_callbacks;
mod harness;
mod outcome;

pub use event::{
    TestEvent, before_function_call, before_record_create, before_record_delete,
    before_record_update, before_user_login, before_user_register, function_call,
    function_complete, record_create, record_delete, record_update, user_login, user_register,
};
pub use fake::FakeHost;
pub use harness::{Harness, Running};
pub use outcome::Failure;
