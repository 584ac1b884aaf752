//! Values that extensions keep.

use bytes::Bytes;
use tinybase_model::ExtensionName;

use crate::event::NewEvent;
use crate::sql::{Connection, Sql, query};
use crate::time::{micros, now};
use crate::write::Write;
use crate::{Store, StoreError};

/// Whether a value was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueStored {
    /// It was.
    Done,
    /// The extension has as many keys as it may have.
    TooManyKeys,
}

pub(crate) const VALUE: Sql =
    Sql::same("select value from extension_values where extension = $1 and key = $2");

pub(crate) const REPLACE_VALUE: Sql = Sql::same(
    "
    update extension_values set value = $3, updated_at = $4 where extension = $1 and key = $2",
);

pub(crate) const INSERT_VALUE: Sql = Sql::same(
    "
    insert into extension_values (extension, key, value, updated_at)
    select $1, $2, $3, $4
    where (select count(*) from extension_values where extension = $1) < $5",
);

pub(crate) const DELETE_VALUE: Sql =
    Sql::same("delete from extension_values where extension = $1 and key = $2");

impl Store {
    /// A value of an extension.
    pub async fn value(
        &self,
        extension: &ExtensionName,
        key: &str,
    ) -> Result<Option<Bytes>, StoreError> {
        let row = query(VALUE)
            .bind(extension.as_str())
            .bind(key)
            .fetch_optional(self.reader())
            .await
            .map_err(StoreError::read("a value"))?;
        let value = row.map(|row| row.blob(0).map(Bytes::copy_from_slice)).transpose();
        value.map_err(StoreError::read("a value"))
    }

    /// Stores a value unless that makes more than `keys_max` keys.
    pub async fn set_value(
        &self,
        extension: &ExtensionName,
        key: &str,
        value: Bytes,
        keys_max: u32,
    ) -> Result<ValueStored, StoreError> {
        let (extension, key) = (extension.clone(), key.to_owned());
        self.write(Set { extension, key, value, keys_max }).await
    }

    /// Forgets a value.
    pub async fn delete_value(
        &self,
        extension: &ExtensionName,
        key: &str,
    ) -> Result<(), StoreError> {
        self.write(Delete { extension: extension.clone(), key: key.to_owned() }).await
    }
}

struct Set {
    extension: ExtensionName,
    key: String,
    value: Bytes,
    keys_max: u32,
}

impl Write for Set {
    type Output = ValueStored;

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<ValueStored, StoreError> {
        let at = micros(now());
        let run = async {
            let replaced = query(REPLACE_VALUE)
                .bind(self.extension.as_str())
                .bind(&self.key)
                .bind(self.value.as_ref())
                .bind(at)
                .execute(&mut *connection)
                .await?;
            if replaced > 0 {
                return Ok(ValueStored::Done);
            }
            let inserted = query(INSERT_VALUE)
                .bind(self.extension.as_str())
                .bind(&self.key)
                .bind(self.value.as_ref())
                .bind(at)
                .bind(self.keys_max)
                .execute(connection)
                .await?;
            match inserted {
                0 => Ok(ValueStored::TooManyKeys),
                _ => Ok(ValueStored::Done),
            }
        };
        run.await.map_err(StoreError::write("a value"))
    }
}

struct Delete {
    extension: ExtensionName,
    key: String,
}

impl Write for Delete {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        query(DELETE_VALUE)
            .bind(self.extension.as_str())
            .bind(&self.key)
            .execute(connection)
            .await
            .map_err(StoreError::write("a value"))?;
        Ok(())
    }
}
