//! The core itself, a handle to everything else.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tinybase_model::{ExtensionName, Identity};
use tinybase_store::{NodeId, Store, StoreError, WriterStatistics};
use tokio::sync::Notify;

use crate::async_call::Background;
use crate::call_limits::CallLimits;
use crate::counts::Counts;
use crate::extension_activity::ActivityRates;
use crate::file::{FileOptions, FilesState};
use crate::function_schema::Validators;
use crate::idempotency::KeysInUse;
use crate::live::Live;
use crate::metrics::LastMetrics;
use crate::password::Passwords;
use crate::post::Post;
use crate::running_call::RunningCalls;
use crate::settings::CurrentSettings;
use crate::shelf::Shelf;
use crate::token::{TokenCache, TokenLifetimes};
use crate::{Collections, Functions, HookEngine, Records, Schedules, UserError, Users};

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
    /// Calls of functions.
    pub calls: CallOptions,
    /// Names what only one server uses at a time, such as its data folder: what an earlier server
    /// there left open is ended at once.
    pub home: String,
    /// What files may be stored, and where.
    pub files: FileOptions,
}

/// Bounds of function calls and of what is kept of them.
#[derive(Debug, Clone)]
pub struct CallOptions {
    /// The largest result, in bytes of JSON.
    pub result_bytes_max: usize,
    /// The most chunks of a streamed result.
    pub stream_chunks_max: u32,
    /// The most bytes of JSON of all chunks of a streamed result.
    pub stream_bytes_max: u64,
    /// How many asynchronous calls may run at a time.
    pub async_max: usize,
    /// How long the result of an asynchronous call is kept.
    pub result_retention: Duration,
    /// How many bytes of results are kept; the oldest go first.
    pub results_bytes_max: u64,
    /// How long records of calls are kept.
    pub record_retention: Duration,
    /// How many records of calls are kept; the oldest go first.
    pub records_max: u32,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self {
            result_bytes_max: 1 << 20,
            stream_chunks_max: 100_000,
            stream_bytes_max: 64 << 20,
            async_max: 256,
            result_retention: Duration::from_hours(24),
            results_bytes_max: 256 << 20,
            record_retention: Duration::from_hours(30 * 24),
            records_max: 1_000_000,
        }
    }
}

impl Default for CoreOptions {
    fn default() -> Self {
        Self {
            public_registration: true,
            token_lifetimes: TokenLifetimes::default(),
            function_input_max: 1 << 20,
            record_bytes_max: 1 << 20,
            event_retention: Duration::from_hours(7 * 24),
            calls: CallOptions::default(),
            home: NodeId::generate().as_str().to_owned(),
            files: FileOptions::default(),
        }
    }
}

/// Bounds of schedules.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SchedulerLimits {
    /// How many runs may go on at a time.
    pub(crate) runs_max: usize,
    /// How many ticks are taken at once.
    pub(crate) ticks_max: u32,
    /// How long a run may take if neither it nor its function says so.
    pub(crate) run_timeout: Duration,
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
    pub(crate) files: FilesState,
    pub(crate) metrics: LastMetrics,
    pub(crate) activity_rates: ActivityRates,
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
    pub(crate) call_limits: CallLimits,
    pub(crate) running: RunningCalls,
    pub(crate) background: Background,
    pub(crate) keys_in_use: KeysInUse,
    /// Told when somebody changed a schedule.
    pub(crate) schedules_changed: Notify,
    /// This run of the server.
    pub(crate) node: NodeId,
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
            background: Background::new(options.calls.async_max),
            files: FilesState::new(&options.files),
            metrics: LastMetrics::default(),
            activity_rates: ActivityRates::default(),
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
            call_limits: CallLimits::default(),
            running: RunningCalls::default(),
            keys_in_use: KeysInUse::default(),
            schedules_changed: Notify::new(),
            node: NodeId::generate(),
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

    /// Schedules.
    pub const fn schedules(&self) -> Schedules<'_> {
        Schedules { core: self }
    }

    /// How many functions one user may have running at a time.
    pub(crate) fn calls_per_user(&self) -> u32 {
        self.settings().max_concurrent_functions_per_user
    }

    /// The time zone of schedules that name none.
    pub(crate) fn server_timezone(&self) -> String {
        self.settings().server_timezone.clone()
    }

    /// Bounds of schedules.
    pub(crate) fn scheduler_limits(&self) -> SchedulerLimits {
        let settings = self.settings();
        let scheduler = &settings.scheduler;
        SchedulerLimits {
            runs_max: usize::try_from(scheduler.concurrent_executions_max).unwrap_or(usize::MAX),
            ticks_max: scheduler.schedules_per_tick_max,
            run_timeout: Duration::from_secs(scheduler.function_timeout_seconds.into()),
        }
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
