//! `tinybase init`: a data folder with a configuration, a database and an administrator.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use tinybase_core::Ensured;

use super::admin;
use crate::cli::InitArgs;
use crate::config::{self, Config};
use crate::terminal;

/// Used if no address is given and nobody can be asked.
const USUAL_EMAIL: &str = "admin@example.com";

/// The administrator of a data folder that was just set up.
pub(crate) struct Administrator {
    pub(crate) email: String,
    /// In clear, because it was given or made up here; nothing keeps it.
    pub(crate) password: String,
    /// Whether the address was there already: then the password isn't this one.
    was_there: bool,
}

/// Sets a folder up: configuration, database, administrator. What is there stays as it is.
pub(crate) async fn set_up(
    directory: &Path,
    email: Option<String>,
    password: Option<String>,
) -> anyhow::Result<Administrator> {
    fs::create_dir_all(directory)
        .with_context(|| format!("failed to create {}", directory.display()))?;
    write_config(directory)?;
    let config = Config::load(directory)?;
    let email = email.unwrap_or_else(|| USUAL_EMAIL.to_owned());
    let password = password.unwrap_or_else(admin::make_password);
    let (user, was_there) = match admin::ensure(&config, &email, &password).await? {
        Ensured::Created(user) => (user, false),
        Ensured::Present(user) => (user, true),
    };
    Ok(Administrator { email: user.email, password, was_there })
}

pub(super) async fn run(args: InitArgs) -> anyhow::Result<ExitCode> {
    let InitArgs { directory, admin_email, admin_password } = args;
    let shown = directory.join(config::FILE_NAME);
    let was_there = shown.exists();
    let email = match admin_email {
        None if terminal::can_ask() => {
            let answer = terminal::ask(&format!("The administrator's e-mail [{USUAL_EMAIL}]:"))?;
            (!answer.is_empty()).then_some(answer)
        }
        given => given,
    };
    let made_up = admin_password.is_none();
    let administrator = set_up(&directory, email, admin_password).await?;
    let shown = shown.display();
    terminal::say(&if was_there {
        format!("○ {shown} was there and stays as it is")
    } else {
        format!("✓ Wrote {shown}")
    })?;
    let Administrator { email, password, was_there } = administrator;
    if was_there {
        terminal::say(&format!(
            "○ The administrator {email} was there; the password is unchanged"
        ))?;
    } else {
        terminal::say(&format!("✓ Created the administrator {email}"))?;
        if made_up {
            terminal::say(&format!("  Password (shown only now): {password}"))?;
        }
    }
    // From where this was typed.
    let data = match directory.as_path() {
        here if here == Path::new(".") => String::new(),
        elsewhere => format!(" --data {}", elsewhere.display()),
    };
    terminal::say(&format!("Start the server with: tinybase serve{data}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the initial configuration unless there is one.
fn write_config(directory: &Path) -> anyhow::Result<()> {
    let path = directory.join(config::FILE_NAME);
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, config::INITIAL.as_bytes()));
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("failed to write {}", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
