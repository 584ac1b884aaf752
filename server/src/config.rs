//! Flags, the environment and `tinybase.toml`: flag over environment over file over default, each
//! value checked, each mistake with its place.

mod files;
mod functions;
mod ledger;
mod mail;
mod rate_limit;
mod setting;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use tinybase_api::{RateLimitOptions, TrustedProxies};
use tinybase_catalog::checked::{Mistake, Section, TomlFile, nearest};
use tinybase_core::{CoreOptions, TokenLifetimes};
use tinybase_hooks::HooksOptions;
use tinybase_model::{Limits, LogLevel};
use tinybase_store::{DatabaseUrl, Noting, StoreOptions};

use ledger::Ledger;
use setting::Settings;
use sources::Sources;

pub(crate) use ledger::Entry;
pub(crate) use sources::Flag;

pub(crate) use mail::MailConfig;

/// The configuration's file name in the data folder.
pub(crate) const FILE_NAME: &str = "tinybase.toml";

/// What `tinybase init` writes.
pub(crate) const INITIAL: &str = include_str!("config/initial.toml");

/// Everything that can be configured.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) server: ServerConfig,
    pub(crate) database: DatabaseConfig,
    pub(crate) extensions: ExtensionsConfig,
    pub(crate) core: CoreOptions,
    pub(crate) limits: LimitsConfig,
    pub(crate) mail: MailConfig,
    pub(crate) rate_limit: RateLimitOptions,
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) cors: CorsConfig,
    /// Variables of the environment that look as if they meant something.
    pub(crate) warnings: Vec<String>,
}

/// Where the data is.
#[derive(Debug, Clone)]
pub(crate) struct DatabaseConfig {
    pub(crate) url: DatabaseUrl,
    /// Whether `serve` brings the schema up to date by itself.
    pub(crate) migrate: bool,
    /// How many connections read.
    pub(crate) readers: u32,
    /// Which activities are noted.
    pub(crate) noting: Noting,
}

impl DatabaseConfig {
    /// What the store is opened with.
    pub(crate) fn options(&self) -> StoreOptions {
        StoreOptions {
            readers: self.readers,
            migrate: self.migrate,
            noting: self.noting,
            ..StoreOptions::new(self.url.clone())
        }
    }
}

/// Where the server listens, and how it works and logs.
#[derive(Debug, Clone)]
pub(crate) struct ServerConfig {
    pub(crate) host: IpAddr,
    pub(crate) port: u16,
    pub(crate) log_level: LogLevel,
    pub(crate) log_format: LogFormat,
    pub(crate) worker_threads: NonZeroUsize,
    /// Where users reach the server; the address that it listens on unless given.
    pub(crate) public_url: Option<String>,
    pub(crate) trusted_proxies: TrustedProxies,
    /// Whether each request is written into the log.
    pub(crate) access_log: bool,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// A JSON object in a line.
    Json,
}

/// What holds for all extensions.
#[derive(Debug, Clone)]
pub(crate) struct ExtensionsConfig {
    pub(crate) enabled: bool,
    pub(crate) hooks: HooksOptions,
    /// Variables that no extension gets unless its manifest lists them.
    pub(crate) secrets: BTreeSet<String>,
}

/// What clients are held to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LimitsConfig {
    pub(crate) request_bytes_max: usize,
    pub(crate) connections_max: usize,
    pub(crate) header_timeout: Duration,
    pub(crate) body_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) stop_grace: Duration,
}

/// The files for HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsConfig {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Which pages in browsers may use the API.
#[derive(Debug, Clone, Default)]
pub(crate) struct CorsConfig {
    pub(crate) allow_origins: Vec<String>,
}

/// A configuration as it holds, and where each value of it came from.
#[derive(Debug)]
pub(crate) struct Explained {
    pub(crate) config: Config,
    pub(crate) entries: Vec<Entry>,
}

/// What reading a configuration needs and gathers.
struct Reading<'a> {
    sources: Sources<'a>,
    ledger: Ledger,
    defaults: BTreeMap<(&'static str, &'static str), &'static str>,
}

/// A configuration that can't be used.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    /// The folder was never set up.
    #[error("Workspace not initialized! There is no {FILE_NAME} in {0}; run `tinybase init` first")]
    NotInitialized(String),
    /// The file can't be read.
    #[error("failed to read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The file holds something that can't be taken.
    #[error(transparent)]
    File(#[from] Mistake),
    /// A variable holds something that can't be taken.
    #[error("the environment variable {name} {message}")]
    Variable { name: String, message: String },
    /// A flag holds something that can't be taken.
    #[error("the flag {name} {message}")]
    Flag { name: String, message: String },
    /// What is set doesn't fit a default.
    #[error("{key} {message}")]
    Default { key: String, message: String },
}

impl Config {
    /// Reads the configuration of a data folder, with this process's environment.
    pub(crate) fn load(data: &Path) -> Result<Self, ConfigError> {
        Ok(Self::explain(data, &[])?.config)
    }

    /// The same, with a command's flags over it and each value's origin beside it.
    pub(crate) fn explain(data: &Path, flags: &[Flag]) -> Result<Explained, ConfigError> {
        let path = data.join(FILE_NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ConfigError::NotInitialized(data.display().to_string()));
            }
            Err(source) => return Err(ConfigError::Read { path, source }),
        };
        let environment = |name: &str| std::env::var(name).ok();
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
        Self::read(&text, data, Sources::new(flags, &environment, names))
    }

    /// The same, with the defaults for a folder that was never set up.
    pub(crate) fn load_or_usual(data: &Path) -> Result<Self, ConfigError> {
        match Self::load(data) {
            Err(ConfigError::NotInitialized(_)) => {
                let environment = |name: &str| std::env::var(name).ok();
                let sources = Sources::new(&[], &environment, Vec::new());
                Ok(Self::read("", data, sources)?.config)
            }
            loaded => loaded,
        }
    }

    fn read(text: &str, data: &Path, sources: Sources<'_>) -> Result<Explained, ConfigError> {
        let file = TomlFile::parse(FILE_NAME, text)?;
        let root = file.root();
        let defaults = ledger::defaults(INITIAL);
        let reading = Reading { sources, ledger: Ledger::default(), defaults };
        let section = |name| Ok::<_, Mistake>(Settings::new(name, root.section(name)?, &reading));
        let server = section("server")?;
        let log = section("log")?;
        let cors = section("cors")?;
        let database = section("database")?;
        let extensions = section("extensions")?;
        let auth = section("auth")?;
        let limits = section("limits")?;
        let email = section("email")?;
        let rate_limit = section("rate_limit")?;
        let files = section("files")?;
        let activity = section("activity")?;
        let functions = section("functions")?;
        root.finish()?;
        let tls = server_tls(&server, &reading)?;
        let mut config = Self {
            server: server_config(&server, &log)?,
            tls: tls_config(&tls, data)?,
            cors: cors_config(&cors)?,
            database: DatabaseConfig {
                noting: noting(&activity)?,
                ..database_config(&database, data)?
            },
            extensions: extensions_config(&extensions)?,
            core: CoreOptions {
                files: files::file_options(&files, data)?,
                calls: functions::call_options(&functions)?,
                ..core_options(&auth, &limits)?
            },
            limits: limits_config(&limits)?,
            mail: MailConfig::read(&email, data)?,
            rate_limit: rate_limit::read(&rate_limit)?,
            warnings: Vec::new(),
        };
        let all = [&tls, &server, &log, &cors, &database, &extensions, &auth, &limits, &email];
        for settings in all.into_iter().chain([&rate_limit, &files, &activity, &functions]) {
            settings.section().map_or(Ok(()), Section::finish)?;
        }
        reading.sources.finish()?;
        config.warnings = reading.sources.unknown_variables();
        Ok(Explained { config, entries: reading.ledger.entries() })
    }
}

fn server_config(server: &Settings<'_>, log: &Settings<'_>) -> Result<ServerConfig, ConfigError> {
    let threads = NonZeroUsize::new(default_threads()).unwrap_or(NonZeroUsize::MIN);
    let config = ServerConfig {
        host: server.parsed("host", host)?.unwrap_or(IpAddr::from([127, 0, 0, 1])),
        port: server.number("port", 0..=65_535)?.unwrap_or(8000),
        log_level: server
            .also("TINYBASE_LOG_LEVEL")
            .parsed("log_level", log_level)?
            .unwrap_or(LogLevel::Info),
        log_format: server
            .also("TINYBASE_LOG_FORMAT")
            .parsed("log_format", log_format)?
            .unwrap_or(LogFormat::Text),
        worker_threads: server
            .number::<usize>("worker_threads", 1..=1024)?
            .and_then(NonZeroUsize::new)
            .unwrap_or(threads),
        public_url: server.parsed("public_url", public_url)?,
        trusted_proxies: TrustedProxies::parse(
            &server.words("trusted_proxies")?.unwrap_or_default(),
        )
        .map_err(|error| server.wrong("trusted_proxies", &format!("is wrong: {error}")))?,
        access_log: log.truth("access")?.unwrap_or(false),
    };
    server.default_is("worker_threads", &threads.to_string());
    Ok(config)
}

fn server_tls<'a>(
    server: &Settings<'a>,
    reading: &'a Reading<'a>,
) -> Result<Settings<'a>, ConfigError> {
    let section = match server.section() {
        Some(section) => section.section("tls")?,
        None => None,
    };
    Ok(Settings::new("server.tls", section, reading))
}

fn tls_config(tls: &Settings<'_>, data: &Path) -> Result<Option<TlsConfig>, ConfigError> {
    let path = |text: &str| Ok((!text.is_empty()).then(|| data.join(text)));
    let certificate = tls.parsed("certificate", path)?.flatten();
    let key = tls.parsed("key", path)?.flatten();
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(TlsConfig { certificate, key })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(tls.wrong("certificate", "is set without key; set both or neither")),
        (None, Some(_)) => Err(tls.wrong("key", "is set without certificate; set both or neither")),
    }
}

/// Origins are checked here, so that a misspelt one isn't found out by a page that doesn't work.
fn cors_config(cors: &Settings<'_>) -> Result<CorsConfig, ConfigError> {
    let allow_origins = cors.words("allow_origins")?.unwrap_or_default();
    for origin in allow_origins.iter().filter(|origin| *origin != "*") {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        let is_origin = host.is_some_and(|host| {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_graphic())
                && !host.contains(['/', '?', '#', '@'])
        });
        if !is_origin {
            let message = format!(
                r#"must list origins such as "https://app.example.com", or "*", not {origin:?}"#
            );
            return Err(cors.wrong("allow_origins", &message));
        }
    }
    if allow_origins.len() > 1 && allow_origins.iter().any(|origin| origin == "*") {
        return Err(cors.wrong("allow_origins", r#"has "*" beside others; keep one"#));
    }
    Ok(CorsConfig { allow_origins })
}

/// Half of the machine: a lone hook call is fastest when the server's runtime stays on few cores,
/// and password hashing, the database and the extensions need the others.
fn default_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    (cores / 2).max(1)
}

fn host(text: &str) -> Result<IpAddr, String> {
    if text == "localhost" {
        return Ok(IpAddr::from([127, 0, 0, 1]));
    }
    text.parse().map_err(|_| {
        format!(r#"must be an IP address such as "127.0.0.1" or "0.0.0.0", not {text:?}"#)
    })
}

fn public_url(text: &str) -> Result<String, String> {
    let valid = text.starts_with("https://") || text.starts_with("http://");
    if valid
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "?#<>\"'".contains(c))
    {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    Err(format!(r#"must be an address such as "https://api.example.com", not {text:?}"#))
}

fn log_level(text: &str) -> Result<LogLevel, String> {
    match text.to_ascii_lowercase().as_str() {
        "debug" => Ok(LogLevel::Debug),
        "info" => Ok(LogLevel::Info),
        "warning" | "warn" => Ok(LogLevel::Warning),
        "error" | "critical" => Ok(LogLevel::Error),
        other => Err(choice(other, &["debug", "info", "warning", "error"])),
    }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(choice(other, &["text", "json"])),
    }
}

fn choice(text: &str, known: &[&str]) -> String {
    let words = known.join(", ");
    match nearest(text, known) {
        Some(near) => format!("must be one of {words}, not {text:?}; did you mean {near:?}?"),
        None => format!("must be one of {words}, not {text:?}"),
    }
}

fn database_config(database: &Settings<'_>, data: &Path) -> Result<DatabaseConfig, ConfigError> {
    let path = database.parsed("path", |text| Ok(DatabaseUrl::file(text)))?;
    let url = database
        .also("TINYBASE_DB_URL")
        .parsed("url", |text| text.parse::<DatabaseUrl>().map_err(|error| error.to_string()))?;
    let url = match (path, url) {
        // As everywhere, flags and the environment are over the file.
        (Some(_), Some(url)) if database.also("TINYBASE_DB_URL").is_over_file("url") => url,
        (Some(path), Some(_)) if database.is_over_file("path") => path,
        (Some(_), Some(_)) => {
            return Err(database.wrong("url", "and path are two names for one thing; keep one"));
        }
        (path, url) => path.or(url).unwrap_or_else(|| DatabaseUrl::file("tinybase.db")),
    };
    Ok(DatabaseConfig {
        url: url.within(data),
        migrate: database.truth("migrate")?.unwrap_or(true),
        readers: database.number("readers", 1..=256)?.unwrap_or(4),
        noting: Noting::Everything,
    })
}

fn noting(activity: &Settings<'_>) -> Result<Noting, ConfigError> {
    Ok(match activity.truth("records")? {
        Some(false) => Noting::NoRecords,
        Some(true) | None => Noting::Everything,
    })
}

fn extensions_config(extensions: &Settings<'_>) -> Result<ExtensionsConfig, ConfigError> {
    let usual = HooksOptions::default();
    let (least, minute, hour) =
        (Duration::from_millis(1), Duration::from_mins(1), Duration::from_hours(1));
    let time = |key, usual: Duration, most: Duration| {
        Ok::<_, ConfigError>(extensions.duration(key, least..=most)?.unwrap_or(usual))
    };
    let half_minute = Duration::from_secs(30);
    let hooks = HooksOptions {
        before_timeout: time("before_timeout", usual.before_timeout, half_minute)?,
        chain_budget: time("chain_budget", usual.chain_budget, minute)?,
        function_timeout: time("function_timeout", usual.function_timeout, hour / 4)?,
        after_timeout: time("after_timeout", usual.after_timeout, hour / 4)?,
        attempts_max: extensions.number("attempts_max", 1..=100)?.unwrap_or(usual.attempts_max),
        retry_min: time("retry_min", usual.retry_min, hour)?,
        retry_max: time("retry_max", usual.retry_max, hour * 24)?,
        ..usual
    };
    if hooks.retry_min > hooks.retry_max {
        return Err(extensions.wrong("retry_min", "is longer than retry_max"));
    }
    Ok(ExtensionsConfig {
        enabled: extensions.truth("enabled")?.unwrap_or(true),
        hooks,
        secrets: extensions.words("secrets")?.unwrap_or_default().into_iter().collect(),
    })
}

fn core_options(auth: &Settings<'_>, limits: &Settings<'_>) -> Result<CoreOptions, ConfigError> {
    let usual = CoreOptions::default();
    // What one message carries to an extension.
    let body = i64::try_from(Limits::default().body_bytes_max).unwrap_or(i64::MAX);
    Ok(CoreOptions {
        public_registration: auth
            .truth("public_registration")?
            .unwrap_or(usual.public_registration),
        token_lifetimes: token_lifetimes(auth)?,
        record_bytes_max: limits
            .number("record_bytes_max", 1 << 10..=1 << 26)?
            .unwrap_or(usual.record_bytes_max),
        function_input_max: limits
            .number("function_input_bytes_max", 1 << 10..=body)?
            .unwrap_or(usual.function_input_max),
        ..usual
    })
}

fn token_lifetimes(auth: &Settings<'_>) -> Result<TokenLifetimes, ConfigError> {
    let usual = TokenLifetimes::default();
    let (second, hour) = (Duration::from_secs(1), Duration::from_hours(1));
    let lifetimes = TokenLifetimes {
        access: auth.duration("access_token_ttl", second..=hour * 24 * 7)?.unwrap_or(usual.access),
        refresh: auth
            .duration("refresh_token_ttl", second..=hour * 24 * 366)?
            .unwrap_or(usual.refresh),
    };
    if lifetimes.access > lifetimes.refresh {
        return Err(auth.wrong("access_token_ttl", "is longer than refresh_token_ttl"));
    }
    Ok(lifetimes)
}

fn limits_config(limits: &Settings<'_>) -> Result<LimitsConfig, ConfigError> {
    let grace = Duration::ZERO..=Duration::from_mins(10);
    let wait = |key, usual| {
        let range = Duration::from_millis(100)..=Duration::from_mins(10);
        Ok::<_, ConfigError>(limits.duration(key, range)?.unwrap_or(Duration::from_secs(usual)))
    };
    Ok(LimitsConfig {
        request_bytes_max: limits
            .number("request_bytes_max", 1 << 10..=1 << 30)?
            .unwrap_or(12 << 20),
        connections_max: limits.number("connections_max", 1..=1_000_000)?.unwrap_or(10_000),
        header_timeout: wait("header_timeout", 10)?,
        body_timeout: wait("body_timeout", 30)?,
        write_timeout: wait("write_timeout", 60)?,
        stop_grace: limits.duration("stop_grace", grace)?.unwrap_or(Duration::from_secs(10)),
    })
}

#[cfg(test)]
mod tests;
