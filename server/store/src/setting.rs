//! Settings that administrators change while the server runs: keys with JSON values.

use jiff::Timestamp;
use tinybase_model::UserId;

use crate::activity::{self, NewActivity};
use crate::creation::Written;
use crate::event::NewEvent;
use crate::sql::{Connection, Row, Sql, query};
use crate::time::{micros, timestamp};
use crate::write::Write;
use crate::{Store, StoreError};

/// A setting as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSetting {
    /// Its key, such as `core.instance_name`.
    pub key: String,
    /// Its value as JSON; none means the default.
    pub value: Option<String>,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// Settings that change together, or not at all.
#[derive(Debug, Clone)]
pub struct SettingsChange {
    /// The version of the settings that the change rests on; none if it rests on nothing.
    pub version: Option<u64>,
    /// Keys, each with its new value as JSON, or none for the default.
    pub values: Vec<(String, Option<String>)>,
    /// When.
    pub updated_at: Timestamp,
    /// Who.
    pub updated_by: Option<UserId>,
    /// What the activity log says of it.
    pub activity: NewActivity,
}

pub(crate) const SETTINGS_VERSION: Sql =
    Sql::same("select value from meta where key = 'settings_version'");

pub(crate) const RAISE_VERSION: Sql = Sql::same(
    "
    update meta set value = $2 where key = 'settings_version' and value = $1",
);

/// The prefix is compared as text, since what lies between two keys depends on the collation.
pub(crate) const SETTINGS: Sql = Sql::same(
    "
    select key, value, updated_at from app_settings
    where substr(key, 1, length($1)) = $1 order by key",
);

pub(crate) const PUT_SETTING: Sql = Sql::same(
    "
    insert into app_settings (key, value, updated_at, updated_by) values ($1, $2, $3, $4)
    on conflict (key) do update
    set value = excluded.value, updated_at = excluded.updated_at,
        updated_by = excluded.updated_by",
);

const WHAT: &str = "settings";

impl Store {
    /// The version of the settings, which grows with every change that rests on one.
    pub async fn settings_version(&self) -> Result<u64, StoreError> {
        let row = query(SETTINGS_VERSION)
            .fetch_one(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        let text = row.text(0).map_err(StoreError::read(WHAT))?;
        text.parse().map_err(StoreError::corrupt("the version of the settings"))
    }

    /// The settings whose keys begin with a prefix, by key.
    pub async fn settings(&self, prefix: &str) -> Result<Vec<StoredSetting>, StoreError> {
        let rows = query(SETTINGS)
            .bind(prefix)
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        rows.iter().map(decode).collect()
    }

    /// Changes settings, all of them or none. [`Written::Stale`] means that somebody was faster.
    pub async fn change_settings(&self, change: SettingsChange) -> Result<Written, StoreError> {
        self.write(change).await
    }
}

impl Write for SettingsChange {
    type Output = Written;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<Written, StoreError> {
        let run = async {
            if let Some(version) = self.version {
                let raised = query(RAISE_VERSION)
                    .bind(version.to_string())
                    .bind((version + 1).to_string())
                    .execute(&mut *connection)
                    .await?;
                if raised == 0 {
                    return Ok(Written::Stale);
                }
            }
            for (key, value) in &self.values {
                query(PUT_SETTING)
                    .bind(key)
                    .bind(value)
                    .bind(micros(self.updated_at))
                    .bind(self.updated_by.map(|id| id.to_string()))
                    .execute(&mut *connection)
                    .await?;
            }
            Ok(Written::Done)
        };
        let written = run.await.map_err(StoreError::write(WHAT))?;
        if written == Written::Done {
            activity::append(connection, &[&self.activity]).await?;
        }
        Ok(written)
    }
}

fn decode(row: &Row) -> Result<StoredSetting, StoreError> {
    let value = row.optional_text(1).map_err(StoreError::read(WHAT))?;
    Ok(StoredSetting {
        key: row.text(0).map_err(StoreError::read(WHAT))?.to_owned(),
        value: value.map(str::to_owned),
        updated_at: timestamp(row.integer(2).map_err(StoreError::read(WHAT))?)?,
    })
}
