//! What extensions ask for in call-backs: the same operations, within their capabilities.

use bytes::Bytes;
use serde_json::{Map, Value};
use thiserror::Error;
use tinybase_model::{
    CallSummary, Cause, Collection, Comparison, ExtensionName, Filter, JsonBytes, ListRecords,
    Permissions, Record, RecordId, RecordPage, User, UserId,
};
use tinybase_store::{
    CallStatus, ListHints, PageStart, RecordQuery, Scope, StoreError, ValueStored,
};

use crate::access::{Actor, Granted, Operation, authorize, authorize_user};
use crate::acting::Acting;
use crate::capability::Capabilities;
use crate::extension_setting::{self, ExtensionSettingError};
use crate::function::FunctionError;
use crate::problem::{Kind, Problem};
use crate::record::{LIMIT_MAX, RecordError};
use crate::record_change::{Change, Owner, RecordAddress};
use crate::schema::violation;
use crate::user::UserError;
use crate::{CollectionError, Core};

/// The core, for one call-back of an extension.
///
/// It acts for the identity in the cause: within an invocation for whoever caused that, else for
/// the extension itself. In either case no more is possible than the extension was granted.
#[derive(Debug)]
pub struct Host<'a> {
    core: &'a Core,
    cause: &'a Cause,
    capabilities: Capabilities,
}

/// Why a value of an extension wasn't read or stored.
#[derive(Debug, Clone, Error)]
pub enum ValueError {
    /// The key is empty or too long.
    #[error("the key has {0} bytes; it must have 1 to {KEY_BYTES_MAX}")]
    Key(usize),
    /// The value is too large.
    #[error("the value has {0} bytes; the limit is {VALUE_BYTES_MAX}")]
    TooLarge(usize),
    /// There are too many keys.
    #[error("the extension has {KEYS_MAX} keys, which is the limit; delete some")]
    TooManyKeys,
    /// It is a setting of the extension, and can't be set so.
    #[error(transparent)]
    Setting(#[from] ExtensionSettingError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Problem for ValueError {
    fn kind(&self) -> Kind {
        match self {
            Self::Key(_) => Kind::Invalid,
            Self::TooLarge(_) => Kind::TooLarge,
            Self::TooManyKeys => Kind::Overloaded,
            Self::Setting(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}

const KEY_BYTES_MAX: usize = 512;
const VALUE_BYTES_MAX: usize = 1 << 20;
const KEYS_MAX: u32 = 10_000;
const PAGE_DEFAULT: u32 = 100;

impl Core {
    /// The core as an extension sees it in one call-back.
    pub fn host<'a>(
        &'a self,
        extension: &ExtensionName,
        permissions: &Permissions,
        cause: &'a Cause,
    ) -> Host<'a> {
        let capabilities = Capabilities::of(extension.clone(), permissions);
        Host { core: self, cause, capabilities }
    }
}

impl Host<'_> {
    pub(crate) const fn core(&self) -> &Core {
        self.core
    }

    pub(crate) const fn cause(&self) -> &Cause {
        self.cause
    }

    pub(crate) const fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    const fn acting(&self) -> Acting<'_> {
        Acting { cause: self.cause, capabilities: Some(&self.capabilities) }
    }

    const fn actor(&self) -> Actor<'_> {
        self.acting().actor()
    }

    /// One record, of a collection or of any.
    pub async fn get_record(
        &self,
        collection: Option<&str>,
        id: RecordId,
    ) -> Result<Record, RecordError> {
        let (actor, address) = (self.actor(), RecordAddress::any(collection, id));
        let found = self.core.reach(actor, Operation::Read, &address).await?;
        Ok(found.shelved.shown(actor, found.record))
    }

    /// A page of the records that may be seen, of one collection or of all.
    pub async fn list_records(&self, list: ListRecords) -> Result<RecordPage, RecordError> {
        let limit = match list.page_size {
            0 => PAGE_DEFAULT,
            size if size <= LIMIT_MAX => size,
            _ => return Err(RecordError::Query(format!("page_size must be 0 to {LIMIT_MAX}"))),
        };
        let start = PageToken::read(list.page_token.as_deref(), !list.sort.is_empty())?;
        let (scope, rule) = self.scope(&list).await?;
        let order_has_index = match (&list.collection, list.sort.first()) {
            (Some(name), Some(key)) => self.core.find_collection(name).await?.has_index(&key.field),
            _ => false,
        };
        let query = RecordQuery {
            scope,
            filter: rule.and(list.conditions.into()),
            sort: list.sort,
            from: start.start(),
            // One more tells whether there is another page.
            limit: limit + 1,
            hints: ListHints { order_has_index, is_long: false },
        };
        let mut records = self.core.inner.store.list_records(&query).await?;
        let more = records.len() > limit as usize;
        records.truncate(limit as usize);
        let next_page_token =
            records.last().filter(|_| more).map(|record| start.next(record.id, limit));
        if self.actor().sees_hidden() {
            return Ok(RecordPage { records, next_page_token });
        }
        let mut shown = Vec::with_capacity(records.len());
        for record in records {
            let shelved = self.core.find_collection(record.collection.as_str()).await?;
            shown.push(shelved.shown(self.actor(), record));
        }
        Ok(RecordPage { records: shown, next_page_token })
    }

    /// Creates a record; without an owner it belongs to whoever this acts for.
    pub async fn create_record(
        &self,
        collection: &str,
        data: &JsonBytes,
        owner_id: Option<UserId>,
    ) -> Result<Record, RecordError> {
        let owner = owner_id.map_or(Owner::Same, |owner| Owner::Given(Some(owner)));
        let data = object(data)?;
        match self.core.create_record(self.acting(), collection, data, owner).await {
            Ok(created) => Ok(created.value),
            Err(error) => Err(self.core.told(self.actor(), None, Some(collection), error).await),
        }
    }

    /// Merges fields into a record.
    pub async fn update_record(
        &self,
        collection: Option<&str>,
        id: RecordId,
        data: &JsonBytes,
    ) -> Result<Record, RecordError> {
        let data = object(data)?;
        let address = RecordAddress::any(collection, id);
        match self.core.change_record(self.acting(), &address, Change::Merge(data).into()).await {
            Ok(changed) => Ok(changed.value),
            Err(error) => Err(self.core.told(self.actor(), Some(&address), None, error).await),
        }
    }

    /// Deletes a record.
    pub async fn delete_record(
        &self,
        collection: Option<&str>,
        id: RecordId,
    ) -> Result<(), RecordError> {
        let address = RecordAddress::any(collection, id);
        match self.core.delete_record(self.acting(), &address).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.core.told(self.actor(), Some(&address), None, error).await),
        }
    }

    /// The collections that may be listed, read or added to, by name.
    pub async fn list_collections(&self) -> Result<Vec<Collection>, CollectionError> {
        let visible = self.core.visible_collections(self.actor()).await?;
        Ok(visible.iter().map(|shelved| shelved.collection_shown(self.actor())).collect())
    }

    /// One user.
    pub async fn get_user(&self, id: UserId) -> Result<User, UserError> {
        authorize_user(self.actor(), id)?;
        self.core.inner.store.user(id).await?.ok_or(UserError::NotFound)
    }

    /// Calls a function of any extension and waits for its end.
    pub async fn call_function(
        &self,
        name: &str,
        input: JsonBytes,
    ) -> Result<CallSummary, FunctionError> {
        let outcome = self.core.call_function(self.acting(), name, input).await?;
        Ok(CallSummary {
            call_id: outcome.call_id,
            succeeded: outcome.status == CallStatus::Succeeded,
            output: outcome.result,
            error_message: outcome.error_message,
            error_type: outcome.error_type,
            duration_ms: outcome.duration_ms.unwrap_or(0),
        })
    }

    /// A value that the extension stored, or a setting of its own, `ext.<name>.<key>`.
    pub async fn get_value(&self, key: &str) -> Result<Option<Bytes>, ValueError> {
        check_key(key)?;
        if let Some(key) = self.setting(key) {
            let extension = self.capabilities.extension();
            let value = self.core.extension_setting(extension, key).await?;
            return Ok(value.map(Bytes::from));
        }
        Ok(self.core.inner.store.value(self.capabilities.extension(), key).await?)
    }

    /// Stores a value under a key of the extension's own.
    pub async fn set_value(&self, key: &str, value: Bytes) -> Result<(), ValueError> {
        check_key(key)?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(ValueError::TooLarge(value.len()));
        }
        let extension = self.capabilities.extension();
        if let Some(key) = self.setting(key) {
            return self.set_setting(key, Some(&value)).await;
        }
        match self.core.inner.store.set_value(extension, key, value, KEYS_MAX).await? {
            ValueStored::Done => Ok(()),
            ValueStored::TooManyKeys => Err(ValueError::TooManyKeys),
        }
    }

    /// Forgets a value.
    pub async fn delete_value(&self, key: &str) -> Result<(), ValueError> {
        check_key(key)?;
        if let Some(key) = self.setting(key) {
            return self.set_setting(key, None).await;
        }
        Ok(self.core.inner.store.delete_value(self.capabilities.extension(), key).await?)
    }

    /// The key of a setting, if it is one of this extension.
    fn setting<'k>(&self, key: &'k str) -> Option<&'k str> {
        key.strip_prefix(&extension_setting::prefix(self.capabilities.extension()))
    }

    async fn set_setting(&self, key: &str, value: Option<&[u8]>) -> Result<(), ValueError> {
        let text = value.map(|value| String::from_utf8_lossy(value).into_owned());
        let change = vec![(key.to_owned(), text)];
        let extension = self.capabilities.extension();
        Ok(self.core.put_extension_settings(self.cause, extension, change).await?)
    }

    /// Which records may be listed, and what they have to fulfil for that.
    async fn scope(&self, list: &ListRecords) -> Result<(Scope, Filter), RecordError> {
        if let Some(name) = &list.collection {
            let shelved = self.core.find_collection(name).await?;
            let id = shelved.collection.id;
            let granted = authorize(self.actor(), shelved.attempt(Operation::List, None))?;
            shelved.check_named(self.actor(), list)?;
            return Ok(match granted {
                Granted::Everything => (Scope::Collection(id), Filter::always()),
                Granted::OwnedBy(user) => (Scope::Owned(id, user), Filter::always()),
                Granted::Where(rule) => (Scope::Collection(id), rule),
            });
        }
        let (mut full, mut owned) = (Vec::new(), Vec::new());
        let mut rules = Filter::always();
        for shelved in self.core.visible_collections(self.actor()).await? {
            // Nobody learns of a field that isn't there by what a condition on it lets through.
            if shelved.names_unseen(self.actor(), list) {
                continue;
            }
            match authorize(self.actor(), shelved.attempt(Operation::List, None)) {
                Ok(Granted::Everything) => full.push(shelved.collection.id),
                Ok(Granted::OwnedBy(_)) => owned.push(shelved.collection.id),
                Ok(Granted::Where(rule)) => {
                    let id = shelved.collection.id;
                    full.push(id);
                    let elsewhere =
                        Filter::value("collection_id", Comparison::NotEqual, id.to_string());
                    rules = rules.and(Filter::Any(vec![elsewhere, rule]));
                }
                Err(_) => {}
            }
        }
        let scope = Scope::Several { full, owned, owner: self.cause.identity.user_id() };
        Ok((scope, rules))
    }
}

/// Where a page begins, as its token says: after a record in the order of creation, and after a
/// number of records in any other order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PageToken {
    After(Option<RecordId>),
    Offset(u64),
}

impl PageToken {
    fn read(token: Option<&str>, is_sorted: bool) -> Result<Self, RecordError> {
        let wrong = || RecordError::Query("page_token is not one of this list's".to_owned());
        match (token, is_sorted) {
            (None, false) => Ok(Self::After(None)),
            (None, true) => Ok(Self::Offset(0)),
            (Some(token), false) => {
                token.parse().map(|id| Self::After(Some(id))).map_err(|_| wrong())
            }
            (Some(token), true) => token.parse().map(Self::Offset).map_err(|_| wrong()),
        }
    }

    const fn start(self) -> PageStart {
        match self {
            Self::After(Some(id)) => PageStart::After { values: Vec::new(), id },
            Self::After(None) => PageStart::Offset(0),
            Self::Offset(offset) => PageStart::Offset(offset),
        }
    }

    fn next(self, last: RecordId, limit: u32) -> String {
        match self {
            Self::After(_) => last.to_string(),
            Self::Offset(offset) => offset.saturating_add(limit.into()).to_string(),
        }
    }
}

fn check_key(key: &str) -> Result<(), ValueError> {
    match key.len() {
        1..=KEY_BYTES_MAX => Ok(()),
        length => Err(ValueError::Key(length)),
    }
}

fn object(data: &JsonBytes) -> Result<Map<String, Value>, RecordError> {
    let wrong = |_| RecordError::Invalid(vec![violation("/data", "must be a JSON object")]);
    data.parse().map_err(wrong)
}
