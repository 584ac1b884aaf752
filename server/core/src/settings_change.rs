//! Changing settings: all that is asked for, checked as a whole, or nothing.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use thiserror::Error;
use tinybase_model::{Cause, FieldViolation};
use tinybase_store::{Deed, NewActivity, SettingsChange, StoreError, Written, now};
use url::Url;

use crate::Core;
use crate::access::{AccessDenied, authorize_admin};
use crate::collection::TRIES_MAX;
use crate::problem::{Kind, Problem};
use crate::schema::violation;
use crate::settings::{FIELDS, Settings, SettingsRevision};

/// Why settings weren't changed.
#[derive(Debug, Clone, Error)]
pub enum SettingsError {
    /// Some make no sense, alone or together. None was changed.
    #[error("Invalid settings: {}", crate::collection::summary(.0))]
    Invalid(Vec<FieldViolation>),
    /// Others kept changing them at the same time.
    #[error("somebody else changed the settings at the same time; try again")]
    Changed,
    /// Who acts may not do it.
    #[error(transparent)]
    Denied(#[from] AccessDenied),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Problem for SettingsError {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) => Kind::Invalid,
            Self::Changed => Kind::Conflict,
            Self::Denied(denied) => denied.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn violations(&self) -> &[FieldViolation] {
        match self {
            Self::Invalid(violations) => violations,
            Self::Changed | Self::Denied(_) | Self::Store(_) => &[],
        }
    }
}

impl Core {
    /// Changes settings by their names in the API; null takes one back to its default.
    /// Administrators only.
    ///
    /// # Errors
    /// If one isn't a setting or makes no sense; then none is changed.
    pub async fn update_settings(
        &self,
        cause: &Cause,
        patch: &Map<String, Value>,
    ) -> Result<Arc<Settings>, SettingsError> {
        authorize_admin(&cause.identity)?;
        if patch.is_empty() {
            return Ok(self.settings());
        }
        let patch = &cleared(patch);
        let keys = patch.keys().map(|field| key(field)).collect::<Result<Vec<_>, _>>()?;
        for _ in 0..TRIES_MAX {
            let mut decided = self.decided_settings().await?;
            decided.values.extend(patch.clone());
            let mut settings = Settings::with(self.inner.settings.defaults(), &decided.values)
                .map_err(|error| SettingsError::Invalid(vec![violation("", &error.to_string())]))?;
            check(&settings)?;
            let version = decided.revision.version;
            let updated_at = now();
            let values = keys.iter().zip(patch.values()).map(|(key, value)| {
                ((*key).to_owned(), (!value.is_null()).then(|| value.to_string()))
            });
            let change = SettingsChange {
                version: Some(version),
                values: values.collect(),
                updated_at,
                updated_by: cause.identity.user_id(),
                activity: activity(cause, patch, updated_at),
            };
            if self.inner.store.change_settings(change).await? == Written::Done {
                settings.revision = SettingsRevision { version: version + 1, updated_at };
                self.inner.settings.replace(settings.clone());
                return Ok(Arc::new(settings));
            }
        }
        Err(SettingsError::Changed)
    }
}

/// An empty text where nothing is possible means nothing: it is all that forms can send.
fn cleared(patch: &Map<String, Value>) -> Map<String, Value> {
    let optional = |field: &str| field.starts_with("auth_portal_") || field.starts_with("storage_");
    let value = |field: &str, value: &Value| match value.as_str() {
        Some("") if optional(field) => Value::Null,
        _ => value.clone(),
    };
    patch.iter().map(|(field, old)| (field.clone(), value(field, old))).collect()
}

/// Which settings were changed; not to what, since some are secrets.
fn activity(cause: &Cause, patch: &Map<String, Value>, at: Timestamp) -> NewActivity {
    let fields = patch.keys().map(String::as_str).collect::<Vec<_>>();
    let metadata = Map::from_iter([("settings".to_owned(), fields.into())]);
    let deed = Deed {
        action: "settings.update",
        resource_type: Some("settings"),
        metadata: Some(&metadata),
        ..Deed::default()
    };
    NewActivity::new(deed, cause, at)
}

/// The key of a setting in the database.
fn key(field: &str) -> Result<&'static str, SettingsError> {
    let known = FIELDS.iter().find(|(name, _)| *name == field);
    known.map(|(_, key)| *key).ok_or_else(|| {
        SettingsError::Invalid(vec![violation(&format!("/{field}"), "is no setting")])
    })
}

/// Whether the settings make sense, each alone and all together.
fn check(settings: &Settings) -> Result<(), SettingsError> {
    let mut violations = Vec::new();
    let Settings { instance_name, server_timezone, portal, storage, scheduler, jobs, .. } =
        settings;
    if instance_name.trim().is_empty() {
        violations.push(violation("/instance_name", "must not be empty"));
    }
    if TimeZone::get(server_timezone).is_err() {
        let message = format!("{server_timezone:?} is no time zone such as \"Europe/Berlin\"");
        violations.push(violation("/server_timezone", &message));
    }
    for (field, number) in [
        ("max_concurrent_functions_per_user", settings.max_concurrent_functions_per_user),
        ("scheduler_function_timeout_seconds", scheduler.function_timeout_seconds),
        ("scheduler_max_schedules_per_tick", scheduler.schedules_per_tick_max),
        ("scheduler_max_concurrent_executions", scheduler.concurrent_executions_max),
        ("token_cleanup_interval", jobs.token_cleanup_interval),
        ("metrics_collection_interval", jobs.metrics_collection_interval),
        ("admin_report_email_interval_days", jobs.admin_report_interval_days),
    ] {
        if number < 1 {
            violations.push(violation(&format!("/{field}"), "must be at least 1"));
        }
    }
    let secret = |secret: &Option<crate::Secret>| secret.as_ref().map(|s| s.expose().to_owned());
    let (access_key, secret_key) = (secret(&storage.access_key), secret(&storage.secret_key));
    for (field, text, most) in [
        ("instance_name", Some(instance_name), 100),
        ("server_timezone", Some(server_timezone), 50),
        ("auth_portal_logo_url", portal.logo_url.as_ref(), 500),
        ("auth_portal_background_image_url", portal.background_image_url.as_ref(), 500),
        ("auth_portal_login_redirect_url", portal.login_redirect_url.as_ref(), 500),
        ("auth_portal_register_redirect_url", portal.register_redirect_url.as_ref(), 500),
        ("auth_portal_primary_color", portal.primary_color.as_ref(), 50),
        ("storage_url", storage.url.as_ref(), 500),
        ("storage_bucket", storage.bucket.as_ref(), 100),
        ("storage_region", storage.region.as_ref(), 50),
        ("storage_access_key", access_key.as_ref(), 200),
        ("storage_secret_key", secret_key.as_ref(), 200),
    ] {
        violations.extend(text.and_then(|text| unfit(field, text, most)));
    }
    check_portal(settings, &mut violations);
    check_storage(settings, &mut violations);
    if violations.is_empty() { Ok(()) } else { Err(SettingsError::Invalid(violations)) }
}

/// Says what is wrong with a text in any case.
fn unfit(field: &str, text: &str, most: usize) -> Option<FieldViolation> {
    if text.chars().count() > most {
        return Some(violation(&format!("/{field}"), &format!("has more than {most} characters")));
    }
    text.chars()
        .any(char::is_control)
        .then(|| violation(&format!("/{field}"), "has control characters"))
}

fn check_portal(settings: &Settings, violations: &mut Vec<FieldViolation>) {
    let portal = &settings.portal;
    if let Some(color) = &portal.primary_color
        && !color.chars().all(|c| c.is_ascii_alphanumeric() || "#(),.%/ -".contains(c))
    {
        violations.push(violation("/auth_portal_primary_color", "is no CSS colour"));
    }
    for (field, url) in [
        ("auth_portal_login_redirect_url", &portal.login_redirect_url),
        ("auth_portal_register_redirect_url", &portal.register_redirect_url),
    ] {
        let wrong = match url {
            None if portal.enabled => Some("is needed before the portal can be enabled"),
            None => None,
            Some(url) => wrong_redirect(url),
        };
        violations.extend(wrong.map(|wrong| violation(&format!("/{field}"), wrong)));
    }
}

/// Users must not be sent to the administration, nor to wherever they came from.
fn wrong_redirect(text: &str) -> Option<&'static str> {
    match web_address(text) {
        None => Some("must be an absolute URL such as \"https://example.com/welcome\""),
        Some(url) if url.path() == "/admin" || url.path().starts_with("/admin/") => {
            Some("must not lead to /admin")
        }
        Some(_) => None,
    }
}

fn check_storage(settings: &Settings, violations: &mut Vec<FieldViolation>) {
    let storage = &settings.storage;
    let mut wrong = |field: &str, message: &str| {
        violations.push(violation(&format!("/{field}"), message));
    };
    if let Some(url) = &storage.url {
        match web_address(url) {
            None => wrong("storage_url", "must be an absolute http or https URL"),
            // Whoever reads the settings would see them.
            Some(url) if !url.username().is_empty() || url.password().is_some() => {
                wrong("storage_url", "must have no user and no password");
            }
            Some(url) if url.query().is_some() || url.fragment().is_some() => {
                wrong("storage_url", "must end with its path");
            }
            Some(_) => {}
        }
    }
    if storage.enabled && storage.bucket.as_deref().is_none_or(str::is_empty) {
        wrong("storage_bucket", "is needed before storage can be enabled");
    }
    // Both become a part of addresses.
    for (field, name) in [("storage_bucket", &storage.bucket), ("storage_region", &storage.region)]
    {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.as_ref().is_some_and(|name| !name.chars().all(fits) || name.starts_with('.')) {
            wrong(field, "may have letters, digits, '-', '_' and '.'");
        }
    }
    match (&storage.access_key, &storage.secret_key) {
        (Some(_), None) if storage.enabled => {
            wrong("storage_secret_key", "is needed with storage_access_key");
        }
        (None, Some(_)) if storage.enabled => {
            wrong("storage_access_key", "is needed with storage_secret_key");
        }
        _ => {}
    }
}

/// An absolute http or https URL with a host.
fn web_address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::check;
    use crate::CoreOptions;
    use crate::settings::Settings;

    fn with(patch: Value) -> Result<Settings, String> {
        let Value::Object(patch) = patch else { unreachable!("a literal object") };
        let defaults = Settings::defaults(&CoreOptions::default());
        let settings = Settings::with(&defaults, &patch).map_err(|error| error.to_string())?;
        check(&settings).map_err(|error| error.to_string())?;
        Ok(settings)
    }

    #[test]
    fn each_wrong_setting_is_named() {
        for (patch, field) in [
            (json!({"instance_name": " "}), "/instance_name"),
            (json!({"instance_name": "x".repeat(101)}), "/instance_name"),
            (json!({"server_timezone": "Mars/Olympus"}), "/server_timezone"),
            (json!({"token_cleanup_interval": 0}), "/token_cleanup_interval"),
            (json!({"auth_portal_primary_color": "red;}</style>"}), "/auth_portal_primary_color"),
            (json!({"auth_portal_login_redirect_url": "/home"}), "/auth_portal_login_redirect_url"),
            (
                json!({"auth_portal_register_redirect_url": "https://x.test/admin/users"}),
                "/auth_portal_register_redirect_url",
            ),
            (json!({"auth_portal_logo_url": "https://x.test/\u{0}"}), "/auth_portal_logo_url"),
            (json!({"auth_portal_enabled": true}), "/auth_portal_login_redirect_url"),
            (json!({"storage_url": "javascript:alert(1)"}), "/storage_url"),
            (json!({"storage_url": "https://me:secret@s3.test"}), "/storage_url"),
            (json!({"storage_url": "https://s3.test/?a=b"}), "/storage_url"),
            (json!({"storage_enabled": true}), "/storage_bucket"),
            (json!({"storage_bucket": "a/../b"}), "/storage_bucket"),
            (json!({"storage_region": "evil.test/#"}), "/storage_region"),
            (
                json!({
                    "storage_enabled": true,
                    "storage_bucket": "b",
                    "storage_access_key": "a",
                }),
                "/storage_secret_key",
            ),
        ] {
            let refused = with(patch.clone()).expect_err("refused");
            assert!(refused.contains(field), "{patch}: {refused}");
        }
    }

    #[test]
    fn null_means_the_default_and_secrets_are_not_shown() {
        let settings = with(json!({
            "instance_name": null,
            "storage_secret_key": "hunter2",
            "auth_portal_enabled": true,
            "auth_portal_login_redirect_url": "https://example.com/in",
            "auth_portal_register_redirect_url": "https://example.com/new?a=b",
        }))
        .expect("settings");
        assert_eq!(settings.instance_name, "TinyBase");
        assert!(settings.portal.enabled);
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
