//! `[rate_limit]`: how often anybody may ask, in requests a minute.

use tinybase_api::RateLimitOptions;

use super::ConfigError;
use super::setting::Settings;

pub(super) fn read(section: &Settings<'_>) -> Result<RateLimitOptions, ConfigError> {
    let usual = RateLimitOptions::default();
    let number = |key, usual| {
        Ok::<_, ConfigError>(section.number::<u32>(key, 0..=1_000_000)?.unwrap_or(usual))
    };
    Ok(RateLimitOptions {
        enabled: section.truth("enabled")?.unwrap_or(usual.enabled),
        register: number("register", usual.register)?,
        login: number("login", usual.login)?,
        refresh: number("refresh", usual.refresh)?,
        password: number("password", usual.password)?,
        reset_request: number("reset_request", usual.reset_request)?,
        reset_confirm: number("reset_confirm", usual.reset_confirm)?,
        per_address: number("per_address", usual.per_address)?,
        per_identity: number("per_identity", usual.per_identity)?,
    })
}
