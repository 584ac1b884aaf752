//! Administrators, made by whoever may write the database's file.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use rand::distr::{Alphanumeric, SampleString as _};
use tinybase_core::{Core, Ensured};
use tinybase_store::Store;

use crate::config::Config;
use crate::server::NoHooks;
use crate::terminal;

/// 20 letters and digits are 119 bits.
const PASSWORD_LENGTH: usize = 20;

/// A random password.
pub(super) fn make_password() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LENGTH)
}

/// `tinybase admin add`.
pub(super) async fn add(
    data: &Path,
    email: &str,
    password: Option<String>,
) -> anyhow::Result<ExitCode> {
    let config = Config::load(data)?;
    let made_up = password.is_none();
    let password = password.unwrap_or_else(make_password);
    let user =
        with_core(&config, async |core| Ok(core.users().make_admin(email, &password).await?))
            .await?;
    terminal::say(&format!("✓ {} is an administrator", user.email))?;
    if made_up {
        terminal::say(&format!("  Password (shown only now): {password}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes an administrator unless there is one of that address.
pub(super) async fn ensure(
    config: &Config,
    email: &str,
    password: &str,
) -> anyhow::Result<Ensured> {
    with_core(config, async |core| Ok(core.users().ensure_admin(email, password).await?)).await
}

pub(super) async fn with_core<T>(
    config: &Config,
    work: impl AsyncFnOnce(&Core) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let store =
        Store::open(config.database.options()).await.context("failed to open the database")?;
    let core = Core::new(config.core.clone(), store.clone(), Arc::new(NoHooks));
    let done = work(&core).await;
    store.close().await;
    done
}
