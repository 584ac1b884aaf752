//! What an event in the log is to somebody who sees a part of the records. Pure.

use jiff::Timestamp;
use serde_json::Value;
use tinybase_model::{
    CollectionId, CollectionName, Event, Filter, LoggedEvent, Record, RecordEvent, RecordFacts,
    RecordId, UserId,
};

/// The records that somebody sees.
#[derive(Debug, Clone)]
pub(crate) struct Sight {
    pub(crate) collection_id: CollectionId,
    pub(crate) collection: CollectionName,
    /// If set, only this user's.
    pub(crate) owner: Option<UserId>,
    /// Only those that fulfil this.
    pub(crate) filter: Filter,
}

/// What happened, for somebody who sees a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A record is there, or came into sight.
    Created(Record),
    /// A record in sight changed and still is.
    Updated(Record),
    /// A record is gone, or went out of sight.
    Deleted(RecordId),
}

impl Sight {
    /// What an event is; none if it is about nothing in sight.
    pub(super) fn of(&self, logged: &LoggedEvent) -> Option<Change> {
        let (event, before, after) = match &logged.event {
            Event::RecordCreate(event) => (event, None, Some(&event.data)),
            Event::RecordUpdate(event) => (event, event.old_data.as_ref(), Some(&event.data)),
            Event::RecordDelete(event) => (event, Some(&event.data), None),
            Event::UserRegister(_)
            | Event::UserLogin(_)
            | Event::FunctionCall(_)
            | Event::FunctionComplete(_) => return None,
        };
        if event.collection != self.collection.as_str() {
            return None;
        }
        let id = event.record_id?;
        let created_at = created_at(id).unwrap_or(logged.occurred_at);
        let sees = |data: Option<&tinybase_model::JsonBytes>, owner_id| {
            data.is_some_and(|data| {
                // Data is an object.
                let data = data.parse().unwrap_or_default();
                self.shows((event.record_id, owner_id), created_at, logged, &data)
            })
        };
        match (sees(before, event.old_owner_id), sees(after, event.owner_id)) {
            (false, false) => None,
            (false, true) => Some(Change::Created(self.record(event, id, created_at, logged))),
            (true, true) => Some(Change::Updated(self.record(event, id, created_at, logged))),
            (true, false) => Some(Change::Deleted(id)),
        }
    }

    fn shows(
        &self,
        (id, owner_id): (Option<RecordId>, Option<UserId>),
        created_at: Timestamp,
        logged: &LoggedEvent,
        data: &Value,
    ) -> bool {
        if self.owner.is_some() && owner_id != self.owner {
            return false;
        }
        self.filter.matches(&RecordFacts {
            id,
            collection_id: self.collection_id,
            owner_id,
            created_at: Some(created_at),
            updated_at: Some(logged.occurred_at),
            data,
        })
    }

    fn record(
        &self,
        event: &RecordEvent,
        id: RecordId,
        created_at: Timestamp,
        logged: &LoggedEvent,
    ) -> Record {
        Record {
            id,
            collection_id: self.collection_id,
            collection: self.collection.clone(),
            owner_id: event.owner_id,
            data: event.data.clone(),
            created_at,
            updated_at: logged.occurred_at,
            version: event.version,
        }
    }
}

/// When a record was created: its id says so.
fn created_at(id: RecordId) -> Option<Timestamp> {
    let (seconds, nanoseconds) = id.uuid().get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanoseconds).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tinybase_model::{Comparison, EventId, JsonBytes, Position};

    use super::*;

    fn logged(event: Event) -> LoggedEvent {
        LoggedEvent {
            position: Position(1),
            id: EventId::generate(),
            order_key: String::new(),
            occurred_at: tinybase_store::now(),
            origin: None,
            depth: 0,
            traceparent: String::new(),
            event,
        }
    }

    fn sight(owner: Option<UserId>) -> Sight {
        Sight {
            collection_id: CollectionId::generate(),
            collection: "notes".parse().expect("a name"),
            owner,
            filter: Filter::value("data.open", Comparison::Equal, true),
        }
    }

    fn event(owner_id: Option<UserId>, old: Option<bool>, new: bool) -> RecordEvent {
        let data = |open: bool| JsonBytes::from(&json!({ "open": open }));
        RecordEvent {
            collection: "notes".to_owned(),
            record_id: Some(RecordId::generate()),
            owner_id,
            old_owner_id: owner_id,
            data: data(new),
            old_data: old.map(data),
            version: 1,
        }
    }

    fn word(change: Option<&Change>) -> &'static str {
        match change {
            None => "nothing",
            Some(Change::Created(_)) => "created",
            Some(Change::Updated(_)) => "updated",
            Some(Change::Deleted(_)) => "deleted",
        }
    }

    #[test]
    fn what_comes_into_sight_is_created_and_what_leaves_it_deleted() {
        let user = UserId::generate();
        for (event, expected) in [
            (Event::RecordCreate(event(None, None, true)), "created"),
            (Event::RecordCreate(event(None, None, false)), "nothing"),
            (Event::RecordUpdate(event(None, Some(false), true)), "created"),
            (Event::RecordUpdate(event(None, Some(true), true)), "updated"),
            (Event::RecordUpdate(event(None, Some(true), false)), "deleted"),
            (Event::RecordUpdate(event(None, Some(false), false)), "nothing"),
            (Event::RecordDelete(event(None, None, true)), "deleted"),
            (Event::RecordDelete(event(None, None, false)), "nothing"),
        ] {
            assert_eq!(
                word(sight(None).of(&logged(event.clone())).as_ref()),
                expected,
                "{event:?}"
            );
            assert_eq!(word(sight(Some(user)).of(&logged(event)).as_ref()), "nothing", "not mine");
        }
        for (from, to, expected) in
            [(Some(user), None, "deleted"), (None, Some(user), "created"), (None, None, "nothing")]
        {
            let given = RecordEvent { old_owner_id: from, ..event(to, Some(true), true) };
            let seen = sight(Some(user)).of(&logged(Event::RecordUpdate(given)));
            assert_eq!(word(seen.as_ref()), expected, "from {from:?} to {to:?}");
        }
        let mine = Event::RecordCreate(event(Some(user), None, true));
        assert_eq!(word(sight(Some(user)).of(&logged(mine)).as_ref()), "created");
        let mut elsewhere = event(None, None, true);
        elsewhere.collection = "other".to_owned();
        assert_eq!(
            word(sight(None).of(&logged(Event::RecordCreate(elsewhere))).as_ref()),
            "nothing"
        );
    }
}
