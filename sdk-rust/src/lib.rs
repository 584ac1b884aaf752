//! Write `TinyBase` extensions in Rust.
//!
//! ```no_run
//! use tinybase_sdk::prelude::*;
//!
//! #[derive(Deserialize)]
//! struct Order { email: String }
//! #[derive(Deserialize, JsonSchema)]
//! struct Greet { name: String }
//! #[derive(Serialize, JsonSchema)]
//! struct Greeting { message: String }
//!
//! async fn greet(_ctx: Context, input: Greet) -> Result<Greeting> {
//!     Ok(Greeting { message: format!("Hello {}", input.name) })
//! }
//!
//! fn main() -> ExitCode {
//!     Extension::new("hello")
//!         .on_record_create("orders", |_ctx, event: RecordCreate<Order>| async move {
//!             println!("new order {} of {}", event.record_id, event.data.email);
//!             Ok(())
//!         })
//!         .function("greet", greet)
//!         .main()
//! }
//! ```
//!
//! [`Extension`] takes handlers, [`Context`] is what they know and their way to call the server,
//! [`Error`] and [`reject`] are how they say no, [`testing`] runs them without a server.
//! [`client`] is the protocol beneath, for other SDKs to build on.

pub mod client;
pub mod log;
pub mod prelude;
pub mod testing;

mod callbacks;
mod context;
mod error;
mod event;
mod extension;
mod function;
mod handler;
mod hook;
mod patch;
mod run;
mod worker;

pub use context::{
    CallbackError, Comparison, Context, Functions, Identity, Page, Query, Record, Records, User,
    Users, Values,
};
pub use error::{Error, Result, reject};
pub use event::{
    FunctionCall, FunctionComplete, FunctionFailure, NewRecord, NewUser, RecordCreate,
    RecordDelete, RecordUpdate, UserLogin, UserRegister,
};
pub use extension::{Extension, SetupError};
pub use function::{Auth, Function};
pub use hook::{All, Filter, Hook};
pub use patch::Patch;
pub use run::ExtensionError;

pub use {schemars, serde, serde_json, tracing};
