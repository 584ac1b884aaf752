//! The settings that administrators change while the server runs, as everybody reads them.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tinybase_store::{StoreError, StoredSetting};
use tokio::sync::watch;

use crate::{Core, CoreOptions};

/// All settings at one time. It never changes; ask again for newer ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// What the instance calls itself towards people.
    pub instance_name: String,
    /// The time zone in which times are shown and schedules without one are meant.
    pub server_timezone: String,
    /// Whether anybody may register.
    pub allow_public_registration: bool,
    /// How many functions one user may have running at a time.
    pub max_concurrent_functions_per_user: u32,
    /// The login pages.
    #[serde(flatten)]
    pub portal: PortalSettings,
    /// Where files are kept.
    #[serde(flatten)]
    pub storage: StorageSettings,
    /// Schedules.
    #[serde(flatten)]
    pub scheduler: SchedulerSettings,
    /// What the server does by itself now and then.
    #[serde(flatten)]
    pub jobs: JobSettings,
    /// Which settings these are.
    #[serde(skip)]
    pub revision: SettingsRevision,
}

/// Which of all settings that there have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SettingsRevision {
    /// Grows with every change.
    pub version: u64,
    /// When they were changed last.
    pub updated_at: Timestamp,
}

/// The login pages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortalSettings {
    /// Whether there are any.
    #[serde(rename = "auth_portal_enabled")]
    pub enabled: bool,
    /// A picture to show.
    #[serde(rename = "auth_portal_logo_url")]
    pub logo_url: Option<String>,
    /// A CSS colour.
    #[serde(rename = "auth_portal_primary_color")]
    pub primary_color: Option<String>,
    /// A picture to show behind everything.
    #[serde(rename = "auth_portal_background_image_url")]
    pub background_image_url: Option<String>,
    /// Where a user goes after logging in.
    #[serde(rename = "auth_portal_login_redirect_url")]
    pub login_redirect_url: Option<String>,
    /// Where a user goes after registering.
    #[serde(rename = "auth_portal_register_redirect_url")]
    pub register_redirect_url: Option<String>,
}

/// Where files are kept: in the data folder, or in a bucket of an S3-compatible service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageSettings {
    /// Whether files go to the bucket.
    #[serde(rename = "storage_enabled")]
    pub enabled: bool,
    /// The address of the service; none means Amazon's.
    #[serde(rename = "storage_url")]
    pub url: Option<String>,
    /// The bucket.
    #[serde(rename = "storage_bucket")]
    pub bucket: Option<String>,
    /// The access key.
    #[serde(rename = "storage_access_key")]
    pub access_key: Option<Secret>,
    /// The secret key.
    #[serde(rename = "storage_secret_key")]
    pub secret_key: Option<Secret>,
    /// The region.
    #[serde(rename = "storage_region")]
    pub region: Option<String>,
}

/// Bounds of schedules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulerSettings {
    /// How long a function that a schedule calls may run.
    #[serde(rename = "scheduler_function_timeout_seconds")]
    pub function_timeout_seconds: u32,
    /// How many schedules are begun at once.
    #[serde(rename = "scheduler_max_schedules_per_tick")]
    pub schedules_per_tick_max: u32,
    /// How many calls of schedules run at a time.
    #[serde(rename = "scheduler_max_concurrent_executions")]
    pub concurrent_executions_max: u32,
}

/// What the server does by itself now and then. An interval counts ticks of five seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSettings {
    /// How often expired tokens are deleted.
    #[serde(rename = "token_cleanup_interval")]
    pub token_cleanup_interval: u32,
    /// How often numbers are collected for `/api/admin/metrics`.
    #[serde(rename = "metrics_collection_interval")]
    pub metrics_collection_interval: u32,
    /// Whether administrators get a report by e-mail.
    #[serde(rename = "admin_report_email_enabled")]
    pub admin_report_enabled: bool,
    /// How many days lie between two reports.
    #[serde(rename = "admin_report_email_interval_days")]
    pub admin_report_interval_days: u32,
}

/// A text that neither logs nor answers show.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for whoever needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Each setting by the name it has in the API, with its key in the database.
pub(crate) const FIELDS: [(&str, &str); 23] = [
    ("instance_name", "core.instance_name"),
    ("server_timezone", "core.server_timezone"),
    ("allow_public_registration", "core.auth.allow_public_registration"),
    ("auth_portal_enabled", "core.auth.portal.enabled"),
    ("auth_portal_logo_url", "core.auth.portal.logo_url"),
    ("auth_portal_primary_color", "core.auth.portal.primary_color"),
    ("auth_portal_background_image_url", "core.auth.portal.background_image_url"),
    ("auth_portal_login_redirect_url", "core.auth.portal.login_redirect_url"),
    ("auth_portal_register_redirect_url", "core.auth.portal.register_redirect_url"),
    ("storage_enabled", "core.storage.enabled"),
    ("storage_url", "core.storage.url"),
    ("storage_bucket", "core.storage.bucket"),
    ("storage_access_key", "core.storage.access_key"),
    ("storage_secret_key", "core.storage.secret_key"),
    ("storage_region", "core.storage.region"),
    ("scheduler_function_timeout_seconds", "core.scheduler.function_timeout_seconds"),
    ("scheduler_max_schedules_per_tick", "core.scheduler.max_schedules_per_tick"),
    ("scheduler_max_concurrent_executions", "core.scheduler.max_concurrent_executions"),
    ("max_concurrent_functions_per_user", "core.limits.max_concurrent_functions_per_user"),
    ("token_cleanup_interval", "core.jobs.token_cleanup.interval"),
    ("metrics_collection_interval", "core.jobs.metrics.interval"),
    ("admin_report_email_enabled", "core.jobs.admin_report.enabled"),
    ("admin_report_email_interval_days", "core.jobs.admin_report.interval_days"),
];

/// What the keys of these settings begin with.
const PREFIX: &str = "core.";

impl Settings {
    /// The settings of an instance whose administrators have decided nothing.
    pub(crate) fn defaults(options: &CoreOptions) -> Self {
        Self {
            instance_name: "TinyBase".to_owned(),
            server_timezone: "UTC".to_owned(),
            allow_public_registration: options.public_registration,
            max_concurrent_functions_per_user: 10,
            portal: PortalSettings::default(),
            storage: StorageSettings::default(),
            scheduler: SchedulerSettings {
                function_timeout_seconds: 1800,
                schedules_per_tick_max: 100,
                concurrent_executions_max: 10,
            },
            jobs: JobSettings {
                token_cleanup_interval: 60,
                metrics_collection_interval: 360,
                admin_report_enabled: true,
                admin_report_interval_days: 7,
            },
            revision: SettingsRevision::default(),
        }
    }

    /// These settings with others over them, by their names in the API; null means the default.
    ///
    /// # Errors
    /// If one has the wrong type.
    pub(crate) fn with(
        defaults: &Self,
        decided: &Map<String, Value>,
    ) -> Result<Self, serde_json::Error> {
        let mut all = serde_json::to_value(defaults)?;
        if let Value::Object(all) = &mut all {
            let decided = decided.iter().filter(|(_, value)| !value.is_null());
            all.extend(decided.map(|(field, value)| (field.clone(), value.clone())));
        }
        serde_json::from_value(all)
    }
}

/// What administrators have decided, by the names in the API.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) values: Map<String, Value>,
    pub(crate) revision: SettingsRevision,
}

impl Decided {
    /// Reads what is stored. A value that makes no sense to this server is passed over, since a
    /// server that doesn't start is no place to put it right.
    fn read(stored: Vec<StoredSetting>, version: u64, defaults: &Settings) -> Self {
        let mut values = Map::new();
        let mut updated_at = Timestamp::UNIX_EPOCH;
        for setting in stored {
            updated_at = updated_at.max(setting.updated_at);
            let field = FIELDS.iter().find(|(_, key)| *key == setting.key);
            let (Some((field, key)), Some(text)) = (field, setting.value) else { continue };
            let Ok(value) = serde_json::from_str::<Value>(&text) else {
                tracing::warn!(key, "the setting isn't JSON and is passed over");
                continue;
            };
            let alone = Map::from_iter([((*field).to_owned(), value.clone())]);
            match Settings::with(defaults, &alone) {
                Ok(_) => drop(values.insert((*field).to_owned(), value)),
                Err(error) => tracing::warn!(key, %error, "the setting is passed over"),
            }
        }
        Self { values, revision: SettingsRevision { version, updated_at } }
    }
}

/// The current settings of this server, for all who read them.
#[derive(Debug)]
pub(crate) struct CurrentSettings {
    defaults: Settings,
    current: watch::Sender<Arc<Settings>>,
}

impl CurrentSettings {
    pub(crate) fn new(options: &CoreOptions) -> Self {
        let defaults = Settings::defaults(options);
        let current = watch::Sender::new(Arc::new(defaults.clone()));
        Self { defaults, current }
    }

    pub(crate) const fn defaults(&self) -> &Settings {
        &self.defaults
    }

    pub(crate) fn get(&self) -> Arc<Settings> {
        Arc::clone(&self.current.borrow())
    }

    /// Makes settings current, unless newer ones are already.
    pub(crate) fn replace(&self, settings: Settings) {
        self.current.send_if_modified(|current| {
            let is_news =
                settings.revision.version >= current.revision.version && **current != settings;
            if is_news {
                *current = Arc::new(settings);
            }
            is_news
        });
    }
}

impl Core {
    /// The current settings. Cheap: they are kept in memory.
    pub fn settings(&self) -> Arc<Settings> {
        self.inner.settings.get()
    }

    /// Tells of each change of the settings.
    pub fn watch_settings(&self) -> watch::Receiver<Arc<Settings>> {
        self.inner.settings.current.subscribe()
    }

    /// Reads the settings again if somebody changed them. The server does it once before it takes
    /// requests, and again and again while it runs, for changes by other servers.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn refresh_settings(&self) -> Result<(), StoreError> {
        let version = self.inner.store.settings_version().await?;
        let current = self.settings().revision;
        if version == current.version && current.updated_at != Timestamp::UNIX_EPOCH {
            return Ok(());
        }
        let decided = self.decided_settings().await?;
        let defaults = self.inner.settings.defaults();
        let mut settings =
            Settings::with(defaults, &decided.values).unwrap_or_else(|_| defaults.clone());
        settings.revision = decided.revision;
        self.inner.settings.replace(settings);
        Ok(())
    }

    /// What administrators have decided, as the database has it now.
    pub(crate) async fn decided_settings(&self) -> Result<Decided, StoreError> {
        // The version first: if somebody writes in between, a write that rests on it is refused.
        let version = self.inner.store.settings_version().await?;
        let stored = self.inner.store.settings(PREFIX).await?;
        Ok(Decided::read(stored, version, self.inner.settings.defaults()))
    }
}
