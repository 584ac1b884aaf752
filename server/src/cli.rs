//! The command line: what can be typed, and which command it becomes.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Flag;

/// A backend server whose every extension is a process of its own.
#[derive(Debug, Parser)]
#[command(name = "tinybase", version, propagate_version = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set up a data folder: configuration, database, first administrator.
    Init(InitArgs),
    /// Run the server of a data folder.
    Serve(ServeArgs),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show everything once: a server, two extensions, real data, a crash and a recovery.
    Demo(DemoArgs),
    /// Manage administrators and application tokens.
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Install, watch and manage extensions.
    #[command(subcommand)]
    Extensions(ExtensionsCommand),
    /// Show who listens to what.
    #[command(subcommand)]
    Hooks(HooksCommand),
    /// Look after the database.
    #[command(subcommand)]
    Db(DbCommand),
    /// Make, check and restore backups.
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Write the templates of letters into the data folder, to be changed.
    Templates {
        /// Another folder than templates/emails in the data folder.
        directory: Option<PathBuf>,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Print the version.
    Version,
}

/// Which data folder a command is about.
#[derive(Debug, Clone, Args)]
pub(crate) struct DataArgs {
    /// The data folder.
    #[arg(long, value_name = "DIR", default_value = ".", env = "TINYBASE_DATA")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The data folder; it is created if it isn't there.
    #[arg(default_value = ".")]
    pub(crate) directory: PathBuf,
    /// The first administrator's e-mail address.
    #[arg(short = 'e', long, env = "TINYBASE_ADMIN_EMAIL")]
    pub(crate) admin_email: Option<String>,
    /// The password; without one, one is made up and printed once.
    #[arg(short = 'p', long, env = "TINYBASE_ADMIN_PASSWORD", hide_env_values = true)]
    pub(crate) admin_password: Option<String>,
}

/// Flags that go over the environment and the file.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigFlags {
    /// The address to listen on, instead of the configured one.
    #[arg(long)]
    host: Option<std::net::IpAddr>,
    /// The port to listen on, instead of the configured one; 0 means any that is free.
    #[arg(short = 'p', long)]
    port: Option<u16>,
    /// The least important lines that are logged: debug, info, warning or error.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Any key of the configuration; can be given several times.
    #[arg(long, value_name = "SECTION.KEY=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
}

impl ConfigFlags {
    /// All of them as what the configuration reads.
    pub(crate) fn list(&self) -> Vec<Flag> {
        let Self { host, port, log_level, set } = self;
        let own = [
            ("server.host", "--host", host.map(|host| host.to_string())),
            ("server.port", "--port", port.map(|port| port.to_string())),
            ("server.log_level", "--log-level", log_level.clone()),
        ];
        let set = set.iter().map(|(path, text)| Flag {
            path: path.clone(),
            text: text.clone(),
            typed: format!("--set {path}"),
        });
        let own = own.into_iter().filter_map(|(path, typed, text)| {
            Some(Flag { path: path.to_owned(), text: text?, typed: typed.to_owned() })
        });
        set.chain(own).collect()
    }
}

/// Reads `section.key=value`.
fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((path, value)) if path.contains('.') => {
            Ok((path.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(r#"must be such as "server.port=9000""#.to_owned()),
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the configuration as it holds: flags over the environment over tinybase.toml.
    Show {
        /// Say where each value came from.
        #[arg(long)]
        origin: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataArgs,
        #[command(flatten)]
        flags: ConfigFlags,
    },
    /// Check the configuration, and warn about variables that mean nothing.
    Check {
        #[command(flatten)]
        data: DataArgs,
        #[command(flatten)]
        flags: ConfigFlags,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) flags: ConfigFlags,
    /// Start no extension.
    #[arg(long)]
    pub(crate) safe_mode: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The folder that the demo makes.
    #[arg(long, value_name = "DIR", default_value = "tinybase-demo")]
    pub(crate) data: PathBuf,
    /// The port to listen on; without one, 8000 or any that is free.
    #[arg(short = 'p', long)]
    pub(crate) port: Option<u16>,
    /// Stop the server after the tour.
    #[arg(long)]
    pub(crate) exit: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Add an administrator, or make a user one and set the password.
    Add {
        /// The e-mail address.
        email: String,
        /// The password; without one, one is made up and printed once.
        password: Option<String>,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Manage application tokens.
    #[command(subcommand)]
    Token(TokenCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token for a program; its secret is printed once.
    Create {
        /// Its name.
        #[arg(short = 'n', long)]
        name: String,
        /// What it is for.
        #[arg(short = 'd', long)]
        description: Option<String>,
        /// After how many days it ends; never unless given.
        #[arg(short = 'e', long)]
        expires_days: Option<u32>,
        /// What it may do, such as records:read:orders, functions:call:*, users:read or admin; may
        /// be repeated. Without one: all records and functions.
        #[arg(short = 's', long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
    /// List the tokens.
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Switch a token off.
    Revoke {
        /// The token's id.
        #[arg(short = 'i', long)]
        id: String,
        #[command(flatten)]
        common: Common,
    },
    /// Show everything that is known about a token.
    Show {
        /// The token's id.
        #[arg(short = 'i', long)]
        id: String,
        #[command(flatten)]
        common: Common,
    },
}

/// What the commands about extensions share.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ExtensionsCommand {
    /// Install an extension and start it.
    Install {
        /// A folder, a .tar.gz archive, owner/repo or a git URL, with @REF for a branch, tag or commit.
        source: String,
        /// Agree to what it asks for, without being asked.
        #[arg(short = 'y', long)]
        yes: bool,
        #[command(flatten)]
        common: Common,
    },
    /// List the extensions with their true state.
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Show everything that is known about an extension.
    Show(One),
    /// Start an extension, now and with every start of the server; ends a quarantine.
    Enable(One),
    /// Stop an extension, and take its hooks and functions away.
    Disable(One),
    /// Look whether there is another version where an extension came from.
    CheckUpdates {
        /// The extension's name; all of them without one.
        name: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Stop an extension and start it again.
    Restart(One),
    /// Stop an extension and remove it.
    Uninstall {
        /// The extension's name.
        name: String,
        /// Don't ask.
        #[arg(short = 'y', long)]
        yes: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Accept an extension's files as they are now.
    Repin(One),
    /// Print what an extension has logged.
    Logs {
        /// The extension's name.
        name: String,
        /// How many lines.
        #[arg(short = 'n', long, default_value_t = 100)]
        lines: usize,
        /// Go on until Ctrl-C.
        #[arg(short = 'f', long)]
        follow: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Print the protocol's schema, one file without imports.
    Proto,
}

/// A command about one extension.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// The extension's name.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// List the steps of the schema: which were applied, which are pending.
    Status {
        #[command(flatten)]
        common: Common,
    },
    /// Apply the steps of the schema that are missing.
    Upgrade {
        #[command(flatten)]
        data: DataArgs,
    },
    /// Compare the schema with what it should be, and look for damage.
    Check {
        #[command(flatten)]
        data: DataArgs,
    },
    /// Copy everything into an empty database: "sqlite:FILE" or `postgres://…`.
    Copy {
        /// The database to copy to.
        to: String,
        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Write an archive, also while the server runs.
    Create {
        /// The archive; without one, a name with the time in this folder.
        archive: Option<PathBuf>,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Check an archive: every hash, and the database in it.
    Verify {
        /// The archive.
        archive: PathBuf,
    },
    /// Restore an archive into a data folder whose server is stopped.
    Restore {
        /// The archive.
        archive: PathBuf,
        /// Keep what is there aside and take its place.
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum HooksCommand {
    /// List the hooks in the order in which they run.
    List {
        #[command(flatten)]
        common: Common,
    },
}
