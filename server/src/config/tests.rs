//! What wins, and what is refused with which words.

use std::path::Path;
use std::time::Duration;

use tinybase_model::LogLevel;

use super::{Config, ConfigError, Explained, Flag, INITIAL, LogFormat, Sources};

fn read(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Ok(explain(text, environment, &[])?.config)
}

fn explain(
    text: &str,
    environment: &[(&str, &str)],
    flags: &[Flag],
) -> Result<Explained, ConfigError> {
    let variable = |name: &str| {
        environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    let names = environment.iter().map(|(key, _)| (*key).to_owned()).collect();
    Config::read(text, Path::new("/data"), Sources::new(flags, &variable, names))
}

fn flag(path: &str, text: &str) -> Flag {
    Flag { path: path.to_owned(), text: text.to_owned(), typed: format!("--set {path}") }
}

fn refusal(text: &str, environment: &[(&str, &str)]) -> String {
    read(text, environment).expect_err("refused").to_string()
}

#[test]
fn an_empty_file_and_the_initial_one_mean_the_defaults() {
    for text in ["", INITIAL] {
        let config = read(text, &[]).expect("valid");
        assert_eq!(config.server.host.to_string(), "127.0.0.1");
        assert_eq!(config.server.port, 8000);
        assert_eq!(config.server.log_level, LogLevel::Info);
        assert_eq!(config.server.log_format, LogFormat::Text);
        assert_eq!(config.database.url.to_string(), "sqlite:/data/tinybase.db");
        assert!(config.database.migrate);
        assert!(config.extensions.enabled);
        assert!(config.core.public_registration);
    }
}

#[test]
fn what_the_initial_file_shows_as_defaults_are_the_defaults() {
    let uncommented: String = INITIAL
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(key) if key.contains(" = ") && !key.starts_with("worker_threads") => key,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let (shown, mut usual) =
        (read(&uncommented, &[]).expect("valid"), read("", &[]).expect("valid"));
    // Each core has a home of its own.
    usual.core.home.clone_from(&shown.core.home);
    assert_eq!(format!("{shown:?}"), format!("{usual:?}"));
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let text =
        "[server]\nport = 9000\nlog_level = \"debug\"\n[extensions]\nbefore_timeout = \"2s\"";
    let config = read(text, &[]).expect("valid");
    assert_eq!((config.server.port, config.server.log_level), (9000, LogLevel::Debug));
    assert_eq!(config.extensions.hooks.before_timeout, Duration::from_secs(2));
    let config = read(
        text,
        &[
            ("TINYBASE_SERVER_PORT", "9001"),
            ("TINYBASE_LOG_LEVEL", "error"),
            ("TINYBASE_SERVER_HOST", "0.0.0.0"),
            ("TINYBASE_DB_URL", "sqlite:///other.db"),
            ("TINYBASE_EXTENSIONS_ENABLED", "false"),
            ("TINYBASE_EXTENSIONS_SECRETS", "A_KEY, B_KEY"),
        ],
    )
    .expect("valid");
    assert_eq!((config.server.port, config.server.log_level), (9001, LogLevel::Error));
    assert_eq!(config.server.host.to_string(), "0.0.0.0");
    assert_eq!(config.database.url.to_string(), "sqlite:/other.db");
    assert!(!config.extensions.enabled);
    assert!(config.extensions.secrets.contains("B_KEY"));
}

#[test]
fn a_database_server_is_named_by_a_url_and_its_password_is_never_shown() {
    let url = "postgres://me:hunter2@db.example.com/base";
    for (text, variables) in [
        (format!("[database]\nurl = \"{url}\"\nmigrate = false"), vec![]),
        (INITIAL.to_owned(), vec![("TINYBASE_DB_URL", url), ("TINYBASE_DATABASE_MIGRATE", "no")]),
    ] {
        let config = read(&text, &variables).expect("valid");
        assert_eq!(config.database.url.to_string(), "postgres://me@db.example.com:5432/base");
        assert!(!config.database.migrate);
        assert!(!format!("{config:?}").contains("hunter2"));
    }
    let twice = format!("{INITIAL}\n").replace("path =", &format!("url = \"{url}\"\npath ="));
    let refused = refusal(&twice, &[]);
    assert!(refused.contains("two names for one thing"), "{refused}");
}

#[test]
fn a_misspelt_key_names_the_nearest_and_its_line() {
    assert_eq!(
        refusal("[server]\nlog_levle = \"debug\"", &[]),
        r#"tinybase.toml, line 2: unknown key "log_levle" in [server]; did you mean "log_level"?"#
    );
    assert_eq!(
        refusal("[sever]\nport = 1", &[]),
        r#"tinybase.toml, line 1: unknown key "sever" at the top of the file; did you mean "server"?"#
    );
}

#[test]
fn a_bad_value_says_where_it_came_from() {
    assert_eq!(
        refusal("[server]\n\nport = 99999", &[]),
        "tinybase.toml, line 3: port must be between 0 and 65535, not 99999"
    );
    assert_eq!(
        refusal("", &[("TINYBASE_SERVER_PORT", "http")]),
        "the environment variable TINYBASE_SERVER_PORT must be a whole number, not \"http\""
    );
    assert_eq!(
        refusal("", &[("TINYBASE_LOG_LEVEL", "debgu")]),
        "the environment variable TINYBASE_LOG_LEVEL must be one of debug, info, warning, error, \
         not \"debgu\"; did you mean \"debug\"?"
    );
    assert_eq!(
        refusal("[server]\nhost = \"my-host\"", &[]),
        "tinybase.toml, line 2: host must be an IP address such as \"127.0.0.1\" or \"0.0.0.0\", \
         not \"my-host\""
    );
    assert_eq!(
        refusal("[database]\nurl = \"mysql://me:secret@x/y\"", &[]),
        "tinybase.toml, line 2: url must be \"sqlite:FILE\" or \
         \"postgres://USER:PASSWORD@HOST:PORT/DATABASE\", and has another beginning"
    );
    assert_eq!(
        refusal("[limits]\nfunction_input_bytes_max = 1048577", &[]),
        "tinybase.toml, line 2: function_input_bytes_max must be between 1024 and 1048576, not \
         1048577"
    );
    assert_eq!(
        refusal("[extensions]\nretry_min = \"1h\"", &[]),
        "tinybase.toml, line 2: retry_min is longer than retry_max"
    );
}

#[test]
fn a_flag_wins_over_the_environment_and_each_value_says_where_it_came_from() {
    let text = "[server]\nhost = \"0.0.0.0\"\nport = 9000\nlog_level = \"debug\"\n";
    let environment = [("TINYBASE_SERVER_PORT", "9001"), ("TINYBASE_LOG_LEVEL", "error")];
    let flags = [flag("server.port", "9002"), flag("cors.allow_origins", "https://a.example")];
    let Explained { config, entries } = explain(text, &environment, &flags).expect("valid");
    assert_eq!((config.server.port, config.server.log_level), (9002, LogLevel::Error));
    assert_eq!(config.cors.allow_origins, ["https://a.example"]);
    let shown = |section: &str, key: &str| {
        let entry = entries.iter().find(|entry| entry.section == section && entry.key == key);
        entry.map(|entry| (entry.value.clone(), entry.origin.to_string()))
    };
    let expected = |value: &str, origin: &str| Some((value.to_owned(), origin.to_owned()));
    assert_eq!(shown("server", "host"), expected("\"0.0.0.0\"", "tinybase.toml:2"));
    assert_eq!(shown("server", "port"), expected("9002", "flag --set server.port"));
    assert_eq!(
        shown("server", "log_level"),
        expected("\"error\"", "environment TINYBASE_LOG_LEVEL")
    );
    assert_eq!(shown("server", "log_format"), expected("\"text\"", "default"));
    assert_eq!(
        shown("cors", "allow_origins"),
        expected("[\"https://a.example\"]", "flag --set cors.allow_origins")
    );
}

#[test]
fn an_unknown_variable_is_warned_about_with_the_nearest_known_one() {
    let environment = [
        ("TINYBASE_SERVER_PROT", "1"),
        ("TINYBASE_ADMIN_EMAIL", "me@example.com"),
        ("TINYBASE_TEST_DATABASE", "postgres"),
        ("PATH", "/bin"),
    ];
    let warnings = read("", &environment).expect("valid").warnings;
    assert_eq!(
        warnings,
        [
            "the environment variable TINYBASE_SERVER_PROT is unknown and means nothing; did you mean \
          TINYBASE_SERVER_PORT?"
        ]
    );
}

#[test]
fn a_wrong_flag_names_itself() {
    let wrong = |path: &str, text: &str| {
        explain("", &[], &[flag(path, text)]).expect_err("refused").to_string()
    };
    assert_eq!(
        wrong("server.prot", "1"),
        "the flag --set server.prot names an unknown key; did you mean \"server.port\"?"
    );
    assert_eq!(
        wrong("server.port", "http"),
        "the flag --set server.port must be a whole number, not \"http\""
    );
}

#[test]
fn an_origin_has_to_be_one_and_tls_takes_two_files() {
    for good in ["https://app.example.com", "http://localhost:5173", "*"] {
        let config = read("", &[("TINYBASE_CORS_ALLOW_ORIGINS", good)]).expect("valid");
        assert_eq!(config.cors.allow_origins, [good]);
    }
    let list = r#"["https://a.example", "https://b.example"]"#;
    let config = read("", &[("TINYBASE_CORS_ALLOW_ORIGINS", list)]).expect("valid");
    assert_eq!(config.cors.allow_origins, ["https://a.example", "https://b.example"]);
    for bad in [
        "[\"https://a.example\"",
        "app.example.com",
        "https://app.example.com/",
        "https://",
        "*, https://a.example",
    ] {
        let words = refusal("", &[("TINYBASE_CORS_ALLOW_ORIGINS", bad)]);
        assert!(words.contains("TINYBASE_CORS_ALLOW_ORIGINS"), "{words}");
    }
    let half = refusal("[server.tls]\ncertificate = \"c.pem\"", &[]);
    assert_eq!(half, "tinybase.toml, line 2: certificate is set without key; set both or neither");
    let tls = read("[server.tls]\ncertificate = \"c.pem\"\nkey = \"/k.pem\"", &[])
        .expect("valid")
        .tls
        .expect("on");
    assert_eq!(tls.certificate, Path::new("/data/c.pem"));
    assert_eq!(tls.key, Path::new("/k.pem"));
}

#[test]
fn every_key_is_shown_with_its_default_but_those_that_have_none() {
    let Explained { entries, .. } = explain("", &[], &[]).expect("valid");
    let unset: Vec<_> = entries
        .iter()
        .filter(|entry| entry.value.is_empty())
        .map(|entry| format!("{}.{}", entry.section, entry.key))
        .collect();
    let without = [
        "server.public_url",
        "database.url",
        "files.user_bytes_max",
        "files.total_bytes_max",
        "email.smtp_host",
        "email.smtp_user",
        "email.smtp_password",
    ];
    assert_eq!(unset, without);
}

#[test]
fn results_and_records_of_calls_have_keys_of_their_own() {
    let text = "[functions]\nresult_bytes_max = 2048\nstream_chunks_max = 7\n\
                result_retention = \"1h\"\ncall_retention = \"48h\"\ncalls_max = 10\n";
    let Explained { config, entries } =
        explain(text, &[("TINYBASE_FUNCTIONS_ASYNC_CALLS_MAX", "3")], &[]).expect("valid");
    let calls = &config.core.calls;
    assert_eq!((calls.result_bytes_max, calls.stream_chunks_max), (2048, 7));
    assert_eq!((calls.async_max, calls.records_max), (3, 10));
    assert_eq!(calls.result_retention, Duration::from_hours(1));
    assert_eq!(calls.record_retention, Duration::from_hours(48));
    let shown: Vec<_> = entries
        .iter()
        .filter(|entry| entry.section == "functions")
        .map(|entry| format!("{} {} {}", entry.key, entry.value, entry.origin))
        .collect();
    assert!(shown.contains(&"result_bytes_max 2048 tinybase.toml:2".to_owned()), "{shown:?}");
    assert!(shown.contains(&"results_bytes_max 268435456 default".to_owned()), "{shown:?}");
    let variable = "environment TINYBASE_FUNCTIONS_ASYNC_CALLS_MAX";
    assert!(shown.contains(&format!("async_calls_max 3 {variable}")), "{shown:?}");
    let refused = refusal("[functions]\nresult_bytes_max = 1048577", &[]);
    assert!(refused.contains("between 1024 and 1048576"), "{refused}");
}
