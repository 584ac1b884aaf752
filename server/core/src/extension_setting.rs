//! Settings of extensions, `ext.<name>.<key>`: administrators set them, the extension reads them.

use serde_json::{Map, Value};
use thiserror::Error;
use tinybase_model::{Cause, ExtensionName, FieldViolation};
use tinybase_store::{Deed, NewActivity, SettingsChange, StoreError, StoredSetting, now};

use crate::Core;
use crate::access::{AccessDenied, authorize_admin};
use crate::problem::{Kind, Problem};
use crate::schema::violation;

/// A setting of an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtensionSetting {
    /// Its key, without the extension's name in front.
    pub key: String,
    /// Its value; none for a secret, which is never given away.
    pub value: Option<String>,
    /// Whether its key says that it is a secret.
    pub is_secret: bool,
}

/// Why an extension's settings weren't shown or changed.
#[derive(Debug, Clone, Error)]
pub enum ExtensionSettingError {
    /// A key or a value can't be one. None was changed.
    #[error("Invalid settings: {}", crate::collection::summary(.0))]
    Invalid(Vec<FieldViolation>),
    /// Who acts may not do it.
    #[error(transparent)]
    Denied(#[from] AccessDenied),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Problem for ExtensionSettingError {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) => Kind::Invalid,
            Self::Denied(denied) => denied.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn violations(&self) -> &[FieldViolation] {
        match self {
            Self::Invalid(violations) => violations,
            Self::Denied(_) | Self::Store(_) => &[],
        }
    }
}

const KEY_BYTES_MAX: usize = 100;
const VALUE_BYTES_MAX: usize = 10_000;
const KEYS_MAX: usize = 200;

/// Words in a key that make its value a secret.
const SECRETS: [&str; 8] =
    ["secret", "password", "passwd", "token", "apikey", "api_key", "private", "credential"];

impl Core {
    /// The settings of an extension, without the secrets; administrators only.
    ///
    /// # Errors
    /// If it isn't one, or the database can't be read.
    pub async fn extension_settings(
        &self,
        cause: &Cause,
        extension: &ExtensionName,
    ) -> Result<Vec<ExtensionSetting>, ExtensionSettingError> {
        authorize_admin(&cause.identity)?;
        let prefix = prefix(extension);
        let stored = self.inner.store.settings(&prefix).await?;
        Ok(stored.iter().filter_map(|setting| shown(setting, &prefix)).collect())
    }

    /// Sets settings of an extension, all of them or none; none takes one away. Administrators only.
    ///
    /// # Errors
    /// If a key or a value can't be one.
    pub async fn set_extension_settings(
        &self,
        cause: &Cause,
        extension: &ExtensionName,
        change: Vec<(String, Option<String>)>,
    ) -> Result<Vec<ExtensionSetting>, ExtensionSettingError> {
        authorize_admin(&cause.identity)?;
        self.put_extension_settings(cause, extension, change).await?;
        self.extension_settings(cause, extension).await
    }

    /// The same without asking who does it.
    pub(crate) async fn put_extension_settings(
        &self,
        cause: &Cause,
        extension: &ExtensionName,
        change: Vec<(String, Option<String>)>,
    ) -> Result<(), ExtensionSettingError> {
        check(&change)?;
        if change.is_empty() {
            return Ok(());
        }
        let prefix = prefix(extension);
        let updated_at = now();
        let keys: Vec<&str> = change.iter().map(|(key, _)| key.as_str()).collect();
        let metadata = Map::from_iter([("settings".to_owned(), Value::from(keys))]);
        let deed = Deed {
            action: "extension.settings",
            resource_type: Some("extension"),
            resource_id: Some(extension.as_str()),
            user_id: None,
            metadata: Some(&metadata),
        };
        let activity = NewActivity::new(deed, cause, updated_at);
        let values = change.into_iter().map(|(key, value)| {
            (format!("{prefix}{key}"), value.map(|value| Value::from(value).to_string()))
        });
        let change = SettingsChange {
            version: None,
            values: values.collect(),
            updated_at,
            updated_by: cause.identity.user_id(),
            activity,
        };
        self.inner.store.change_settings(change).await?;
        Ok(())
    }

    /// A setting as the extension itself reads it.
    pub(crate) async fn extension_setting(
        &self,
        extension: &ExtensionName,
        key: &str,
    ) -> Result<Option<String>, StoreError> {
        let full = format!("{}{key}", prefix(extension));
        let stored = self.inner.store.settings(&full).await?;
        Ok(stored.into_iter().find(|setting| setting.key == full).and_then(|s| text(&s)))
    }
}

/// What the keys of an extension's settings begin with.
pub(crate) fn prefix(extension: &ExtensionName) -> String {
    format!("ext.{extension}.")
}

fn shown(setting: &StoredSetting, prefix: &str) -> Option<ExtensionSetting> {
    let value = text(setting)?;
    let key = setting.key.strip_prefix(prefix)?.to_owned();
    let is_secret = is_secret(&key);
    Some(ExtensionSetting { key, value: (!is_secret).then_some(value), is_secret })
}

fn text(setting: &StoredSetting) -> Option<String> {
    serde_json::from_str(setting.value.as_deref()?).ok()
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    SECRETS.iter().any(|word| key.contains(word)) || key == "key" || key.ends_with("_key")
}

fn check(change: &[(String, Option<String>)]) -> Result<(), ExtensionSettingError> {
    let mut violations = Vec::new();
    if change.len() > KEYS_MAX {
        violations.push(violation("/settings", &format!("are more than {KEYS_MAX}")));
    }
    for (key, value) in change {
        let field = format!("/settings/{key}");
        let fits = (1..=KEY_BYTES_MAX).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        if !fits {
            let message = format!(
                "must have 1 to {KEY_BYTES_MAX} letters, digits, '_', '.' and '-' as its key"
            );
            violations.push(violation(&field, &message));
        }
        if value.as_ref().is_some_and(|value| value.len() > VALUE_BYTES_MAX) {
            violations.push(violation(&field, &format!("has more than {VALUE_BYTES_MAX} bytes")));
        }
    }
    if violations.is_empty() { Ok(()) } else { Err(ExtensionSettingError::Invalid(violations)) }
}

#[cfg(test)]
mod tests {
    use super::{check, is_secret};

    #[test]
    fn a_key_says_whether_its_value_is_a_secret() {
        for key in ["api_key", "api-key", "SMTP_PASSWORD", "github.token", "key", "signing_key"] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["url", "keyboard", "monkey", "retries"] {
            assert!(!is_secret(key), "{key}");
        }
    }

    #[test]
    fn keys_and_values_have_bounds() {
        let set = |key: &str, value: Option<&str>| {
            check(&[(key.to_owned(), value.map(str::to_owned))]).is_ok()
        };
        assert!(set("a.b-c_D9", Some("")) && set("a", None));
        assert!(!set("", None) && !set("a b", None) && !set("a\n", None) && !set("ä", None));
        assert!(!set(&"a".repeat(101), None) && !set("a", Some(&"x".repeat(10_001))));
    }
}
