//! The core itself, a handle to everything else.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tinybase_model::{ExtensionName, Identity};
use tinybase_store::{Store, StoreError, WriterStatistics, now};

use crate::counts::Counts;
use crate::function_schema::Validators;
use crate::live::Live;
use crate::password::Passwords;
use crate::post::Post;
use crate::settings::CurrentSettings;
use crate::shelf::Shelf;
use crate::token::{TokenCache, TokenLifetimes};
use crate::{Collections, Functions, HookEngine, Records, UserError, Users};

/// Knobs of the core.
#[derive(Debug, Clone)]
pub struct CoreOptions {
    /// Whether anybody may register, unless the settings decide otherwise.
    pub public_registration: bool,
    /// How long logins are valid.
    pub token_lifetimes: TokenLifetimes,
    /// The largest input of a function, in bytes.
    pub function_input_max: usize,
    /// The largest record, in bytes of JSON.
    pub record_bytes_max: usize,
    /// How long events are kept that nobody needs any more.
    pub event_retention: Duration,
}

impl Default for CoreOptions {
    fn default() -> Self {
        Self {
            public_registration: true,
            token_lifetimes: TokenLifetimes::default(),
            function_input_max: 10 << 20,
            record_bytes_max: 1 << 20,
            event_retention: Duration::from_hours(7 * 24),
        }
    }
}

/// What was done, and which extensions couldn't be asked although they wanted to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed<T> {
    /// What was done. It is on the disk.
    pub value: T,
    /// Extensions whose before-hook could not be asked and lets requests go on; to be shown in a
    /// response header.
    pub failed_open: Vec<ExtensionName>,
}

/// What the product does. Cloning is cheap and shares everything.
#[derive(Clone)]
pub struct Core {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) settings: CurrentSettings,
    pub(crate) options: CoreOptions,
    pub(crate) store: Store,
    pub(crate) hooks: Arc<dyn HookEngine>,
    pub(crate) shelf: Shelf,
    pub(crate) passwords: Passwords,
    pub(crate) tokens: TokenCache,
    pub(crate) post: Post,
    pub(crate) validators: Validators,
    pub(crate) counts: Counts,
    pub(crate) live: Live,
    pub(crate) started_at: Timestamp,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

impl Core {
    /// A core over a store and the extensions.
    pub fn new(options: CoreOptions, store: Store, hooks: Arc<dyn HookEngine>) -> Self {
        let inner = Inner {
            settings: CurrentSettings::new(&options),
            options,
            store,
            hooks,
            shelf: Shelf::default(),
            passwords: Passwords::default(),
            tokens: TokenCache::default(),
            post: Post::default(),
            validators: Validators::default(),
            counts: Counts::default(),
            live: Live::default(),
            started_at: now(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Wakes whoever reads the event log, because something was committed.
    pub(crate) fn events_committed(&self) {
        self.inner.hooks.events_committed();
        self.inner.live.events_committed();
    }

    /// Users and logins.
    pub const fn users(&self) -> Users<'_> {
        Users { core: self }
    }

    /// Collections.
    pub const fn collections(&self) -> Collections<'_> {
        Collections { core: self }
    }

    /// Records.
    pub const fn records(&self) -> Records<'_> {
        Records { core: self }
    }

    /// Functions and their recorded calls.
    pub const fn functions(&self) -> Functions<'_> {
        Functions { core: self }
    }

    /// Who a bearer token belongs to.
    ///
    /// # Errors
    /// [`UserError::InvalidToken`] if it isn't a valid access token; a refresh token never is.
    pub async fn identify(&self, bearer: &str) -> Result<Identity, UserError> {
        self.users().identify(bearer).await
    }

    /// What the database's writer has done since the start; for metrics.
    pub fn writer_statistics(&self) -> WriterStatistics {
        self.inner.store.statistics()
    }

    /// Whether the database answers; for the readiness check.
    ///
    /// # Errors
    /// If it doesn't.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.inner.store.ping().await
    }
}
