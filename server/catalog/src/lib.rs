//! Which extensions are installed: their manifests, how they are fetched and built, where they
//! live, and the lock file that pins them.
//!
//! Everything here is synchronous and may take long: a server calls it from a blocking thread.

mod build;
mod catalog;
pub mod checked;
mod error;
mod fetch;
mod files;
mod kind;
mod lock;
mod manifest;
mod process;
mod source;
mod work;

pub use catalog::{Catalog, CatalogOptions, Condition, Installed, Origin, Staged, describe};
pub use error::{CatalogError, InstallError};
pub use lock::{Grant, LockError};
pub use manifest::{About, COMPATIBLE_TINYBASE_VERSION, Manifest, Requirement};
pub use process::CommandError;
pub use source::{InvalidSource, Source};
pub use work::Work;
