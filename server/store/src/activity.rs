//! The activity log: who did what. Rows are only ever added; the oldest go when there are many.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use tinybase_model::{Cause, Event, Identity, UserId};
use uuid::Uuid;

use crate::creation::json_array;
use crate::event::NewEvent;
use crate::sql::{Connection, Row, Sql, query};
use crate::time::{micros, timestamp};
use crate::write::Write;
use crate::{Store, StoreError};

/// Which activities are noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Noting {
    /// All.
    #[default]
    Everything,
    /// All but changes of records.
    NoRecords,
}

/// Something that somebody did, on its way into the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewActivity {
    row: Arc<str>,
}

/// What was done, without who did it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deed<'a> {
    /// Such as `settings.update`.
    pub action: &'a str,
    /// What kind of thing it was done to.
    pub resource_type: Option<&'a str>,
    /// Which one.
    pub resource_id: Option<&'a str>,
    /// The user who did it, if that isn't whoever acts.
    pub user_id: Option<UserId>,
    /// More about it: a JSON object.
    pub metadata: Option<&'a serde_json::Map<String, serde_json::Value>>,
}

/// Something that somebody did.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// Its id.
    pub id: String,
    /// Such as `settings.update`.
    pub action: String,
    /// What kind of thing it was done to.
    pub resource_type: Option<String>,
    /// Which one.
    pub resource_id: Option<String>,
    /// The user who did it.
    pub user_id: Option<String>,
    /// The address of that user, who may be gone.
    pub user_email: Option<String>,
    /// More about it, a JSON object as text.
    pub metadata: String,
    /// Where the request came from.
    pub ip_address: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

/// Which activities to list.
#[derive(Debug, Clone, Default)]
pub struct ActivityQuery {
    /// Only this action.
    pub action: Option<String>,
    /// Only what was done to this kind of thing.
    pub resource_type: Option<String>,
    /// Only what this user did.
    pub user_id: Option<UserId>,
    /// At most so many.
    pub limit: u32,
    /// After so many.
    pub offset: u32,
}

#[derive(Serialize)]
struct Columns<'a> {
    i: Uuid,
    a: &'a str,
    y: Option<&'a str>,
    r: Option<&'a str>,
    u: Option<UserId>,
    m: Option<&'a RawValue>,
    p: Option<IpAddr>,
    t: i64,
}

impl NewActivity {
    /// Something that whoever is behind the cause does.
    pub fn new(deed: Deed<'_>, cause: &Cause, at: Timestamp) -> Self {
        let metadata = metadata(deed, cause);
        let columns = Columns {
            i: Uuid::now_v7(),
            a: deed.action,
            y: deed.resource_type,
            r: deed.resource_id,
            u: deed.user_id.or_else(|| cause.identity.user_id()),
            m: metadata.as_deref(),
            p: cause.address,
            t: micros(at),
        };
        let row = serde_json::to_string(&columns)
            .unwrap_or_else(|_| unreachable!("strings and numbers serialise"));
        Self { row: row.into() }
    }

    /// What an event says that somebody did; none for one that nobody did.
    pub(crate) fn of_event(event: &Event, cause: &Cause, at: Timestamp) -> Option<Self> {
        let kind = event.kind();
        match event {
            Event::RecordCreate(record)
            | Event::RecordUpdate(record)
            | Event::RecordDelete(record) => {
                let id = record.record_id.map(|id| id.to_string());
                let collection = serde_json::Value::from(record.collection.as_str());
                let mut metadata =
                    serde_json::Map::from_iter([("collection".to_owned(), collection)]);
                if record.old_owner_id != record.owner_id {
                    for (key, owner) in
                        [("owner_id", record.owner_id), ("old_owner_id", record.old_owner_id)]
                    {
                        let owner = owner.map(|owner| owner.to_string());
                        metadata.insert(key.to_owned(), owner.into());
                    }
                }
                let deed = Deed {
                    action: kind.as_str(),
                    resource_type: Some("record"),
                    resource_id: id.as_deref(),
                    user_id: None,
                    metadata: Some(&metadata),
                };
                Some(Self::new(deed, cause, at))
            }
            Event::UserRegister(user) | Event::UserLogin(user) => {
                let id = user.user_id.map(|id| id.to_string());
                let deed = Deed {
                    action: kind.as_str(),
                    resource_type: Some("user"),
                    resource_id: id.as_deref(),
                    user_id: user.user_id,
                    metadata: None,
                };
                Some(Self::new(deed, cause, at))
            }
            Event::FunctionCall(_) | Event::FunctionComplete(_) => None,
        }
    }
}

/// What is known beside the columns: who acted if that was no user, and through which extension.
fn metadata(deed: Deed<'_>, cause: &Cause) -> Option<Box<RawValue>> {
    let actor = match &cause.identity {
        Identity::Operator => Some("operator".to_owned()),
        Identity::Extension(_) => Some("extension".to_owned()),
        Identity::Application(application) => Some(format!("application {}", application.id)),
        Identity::User { .. } | Identity::Anonymous => None,
    };
    let origin = cause.origin.as_ref().map(ToString::to_string);
    if actor.is_none() && origin.is_none() && deed.metadata.is_none() {
        return None;
    }
    let mut all = deed.metadata.cloned().unwrap_or_default();
    for (key, value) in [("actor", actor), ("extension", origin)] {
        if let Some(value) = value {
            all.entry(key).or_insert_with(|| value.into());
        }
    }
    serde_json::value::to_raw_value(&all).ok()
}

pub(crate) const APPEND_ACTIVITIES: Sql = Sql::each(
    "
    insert into activity_log
        (id, action, resource_type, resource_id, user_id, metadata, ip_address, created_at)
    select new.value ->> 'i', new.value ->> 'a', new.value ->> 'y', new.value ->> 'r',
           new.value ->> 'u', coalesce(new.value ->> 'm', '{}'), new.value ->> 'p',
           new.value ->> 't'
    from json_each($1) new
    order by new.key",
    "
    insert into activity_log
        (id, action, resource_type, resource_id, user_id, metadata, ip_address, created_at)
    select new.value ->> 'i', new.value ->> 'a', new.value ->> 'y', new.value ->> 'r',
           new.value ->> 'u', coalesce(new.value ->> 'm', '{}'), new.value ->> 'p',
           (new.value ->> 't')::bigint
    from json_array_elements($1::json) with ordinality new (value, number)
    order by new.number",
);

pub(crate) const ACTIVITIES: Sql = Sql::same(
    "
    select a.id, a.action, a.resource_type, a.resource_id, a.user_id, u.email, a.metadata,
           a.ip_address, a.created_at
    from activity_log a left join users u on u.id = a.user_id
    where (cast($1 as text) is null or a.action = $1)
      and (cast($2 as text) is null or a.resource_type = $2)
      and (cast($3 as text) is null or a.user_id = $3)
    order by a.position desc limit $4 offset $5",
);

pub(crate) const COUNT_ACTIVITIES: Sql = Sql::same(
    "
    select count(*) from activity_log a
    where (cast($1 as text) is null or a.action = $1)
      and (cast($2 as text) is null or a.resource_type = $2)
      and (cast($3 as text) is null or a.user_id = $3)",
);

/// Takes the oldest, which are before a time or beyond the number that is kept.
pub(crate) const CLEAN_UP_ACTIVITIES: Sql = Sql::same(
    "
    delete from activity_log where position in (
        select position from activity_log
        where position <= (select max(position) from activity_log) - $2 or created_at < $1
        order by position limit $3)",
);

const WHAT: &str = "the activity log";

impl Store {
    /// Activities, the newest first, and how many there are without limit and offset.
    pub async fn activities(
        &self,
        wanted: &ActivityQuery,
    ) -> Result<(Vec<Activity>, u64), StoreError> {
        let user = wanted.user_id.map(|id| id.to_string());
        let filtered = |sql| {
            query(sql)
                .bind(wanted.action.as_deref())
                .bind(wanted.resource_type.as_deref())
                .bind(user.as_deref())
        };
        let rows = filtered(ACTIVITIES)
            .bind(i64::from(wanted.limit))
            .bind(i64::from(wanted.offset))
            .fetch_all(self.reader())
            .await
            .map_err(StoreError::read(WHAT))?;
        let total = filtered(COUNT_ACTIVITIES).fetch_one(self.reader()).await;
        let total = total.and_then(|row| row.count(0)).map_err(StoreError::read(WHAT))?;
        Ok((rows.iter().map(decode).collect::<Result<_, _>>()?, total))
    }

    /// Writes an activity down, without waiting for the disk.
    pub fn note_activity(&self, activity: NewActivity) -> Result<(), StoreError> {
        self.enqueue(activity).map(drop)
    }

    /// Writes an activity down and waits until it is on the disk.
    pub async fn add_activity(&self, activity: NewActivity) -> Result<(), StoreError> {
        self.write(activity).await
    }

    /// Deletes at most `limit` of the oldest activities: those from before a time, and those beyond
    /// the newest `keep`. Tells how many.
    pub async fn clean_up_activities(
        &self,
        before: Timestamp,
        keep: u32,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let bounds = [micros(before), keep.into(), limit.into()];
        self.sweep(WHAT, CLEAN_UP_ACTIVITIES, bounds).await
    }
}

impl Write for NewActivity {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut Connection,
        _: &mut Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        append(connection, &[self]).await
    }
}

/// Appends rows in their order.
pub(crate) async fn append(
    connection: &mut Connection,
    activities: &[&NewActivity],
) -> Result<(), StoreError> {
    if activities.is_empty() {
        return Ok(());
    }
    query(APPEND_ACTIVITIES)
        .bind(json_array(activities.iter().map(|activity| &*activity.row)))
        .execute(connection)
        .await
        .map(drop)
        .map_err(StoreError::write(WHAT))
}

fn decode(row: &Row) -> Result<Activity, StoreError> {
    let read = || -> Result<_, sqlx::Error> {
        let optional = |index| row.optional_text(index).map(|text| text.map(str::to_owned));
        Ok(Activity {
            id: row.text(0)?.to_owned(),
            action: row.text(1)?.to_owned(),
            resource_type: optional(2)?,
            resource_id: optional(3)?,
            user_id: optional(4)?,
            user_email: optional(5)?,
            metadata: row.text(6)?.to_owned(),
            ip_address: optional(7)?,
            created_at: Timestamp::UNIX_EPOCH,
        })
    };
    let created_at = row.integer(8).map_err(StoreError::read(WHAT))?;
    let activity = read().map_err(StoreError::read(WHAT))?;
    Ok(Activity { created_at: timestamp(created_at)?, ..activity })
}
