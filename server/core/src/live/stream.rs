//! One stream of live changes: its place in the log, and what its reader may see.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tinybase_model::{Event, Identity, LoggedEvent, Position};
use tinybase_store::now;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

use super::place::Place;
use super::seen::{Change, Sight};
use super::tail::Batch;
use super::{COLLECTIONS_MAX, LiveError};
use crate::Core;
use crate::access::Actor;
use crate::record_list::sight;
use crate::record_view::Selection;

/// How long a reader goes without another look at who it is and what it may see.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// How long a reader hears nothing.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// The most events that are read at once.
const READ_MAX: usize = 32;

/// Who reads a stream.
#[derive(Clone)]
pub enum Viewer {
    /// Somebody who is known without a token, or nobody.
    Known(Identity),
    /// Whoever has this token, as long as it is valid.
    Token(String),
}

impl std::fmt::Debug for Viewer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Known(identity) => write!(f, "Known({identity:?})"),
            Self::Token(_) => f.write_str("Token"),
        }
    }
}

/// What a stream is to tell.
#[derive(Debug, Clone, Default)]
pub struct LiveQuery {
    /// Changes of records of these collections.
    pub collections: Vec<String>,
    /// Only of those that fulfil this.
    pub filter: Option<String>,
    /// Which of their fields; all unless given.
    pub fields: Option<String>,
    /// After this place; from now on unless given.
    pub after: Option<String>,
}

/// What a stream tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveEvent {
    /// `record.create`, `record.update`, `record.delete`, `reset` or `end`; none for a heartbeat.
    pub name: Option<&'static str>,
    /// The place after it.
    pub place: String,
    /// What it is about, as JSON.
    pub data: String,
}

/// A stream of live changes.
#[derive(Debug)]
pub struct LiveStream {
    core: Core,
    viewer: Viewer,
    query: LiveQuery,
    view: View,
    place: Place,
    ready: VecDeque<LiveEvent>,
    timing: Timing,
    _permit: OwnedSemaphorePermit,
}

/// What the reader sees, for an identity and versions of the collections.
#[derive(Debug)]
struct View {
    identity: Identity,
    collections: Vec<(Sight, Selection, i64)>,
}

#[derive(Debug)]
struct Timing {
    head: watch::Receiver<Option<Position>>,
    check_at: Instant,
    heartbeat_at: Instant,
    ended: bool,
}

impl Core {
    /// Opens a stream of live changes.
    ///
    /// # Errors
    /// If there are too many streams, the query makes no sense, or its records can't be listed.
    pub async fn watch(&self, viewer: Viewer, query: LiveQuery) -> Result<LiveStream, LiveError> {
        let asked = query.collections.len();
        if !(1..=COLLECTIONS_MAX).contains(&asked) {
            let detail = format!("a stream is of 1 to {COLLECTIONS_MAX} collections, not {asked}");
            return Err(LiveError::Query(detail));
        }
        let identity = self.viewer(&viewer).await?;
        let view = self.live_view(identity, &query).await?;
        let permit = self.inner.live.take_place()?;
        let (place, is_lost) = self.begin(query.after.as_deref()).await?;
        let timing = Timing {
            head: self.inner.live.head.subscribe(),
            check_at: Instant::now() + CHECK_INTERVAL,
            heartbeat_at: Instant::now() + HEARTBEAT_INTERVAL,
            ended: false,
        };
        let mut stream = LiveStream {
            core: self.clone(),
            viewer,
            query,
            view,
            place,
            ready: VecDeque::new(),
            timing,
            _permit: permit,
        };
        if is_lost {
            stream.tell(
                "reset",
                &json!({ "reason": "the log no longer has what came after that place" }),
            );
        } else {
            stream.beat();
        }
        Ok(stream)
    }

    async fn viewer(&self, viewer: &Viewer) -> Result<Identity, LiveError> {
        match viewer {
            Viewer::Known(identity) => Ok(identity.clone()),
            Viewer::Token(token) => Ok(self.identify(token).await?),
        }
    }

    async fn live_view(&self, identity: Identity, query: &LiveQuery) -> Result<View, LiveError> {
        let mut collections = Vec::with_capacity(query.collections.len());
        for name in &query.collections {
            let shelved = self.find_collection(name).await?;
            let sight = sight(&shelved, &identity, query.filter.as_deref())?;
            let fields = shelved.fields(Actor::client(&identity));
            let selection = Selection::read(fields, query.fields.as_deref())?;
            collections.push((sight, selection, shelved.version));
        }
        Ok(View { identity, collections })
    }

    /// Where a stream begins, and whether what came before is lost.
    async fn begin(&self, after: Option<&str>) -> Result<(Place, bool), LiveError> {
        let store = &self.inner.store;
        let epoch = store.epoch().await?;
        let head = store.events_head().await?;
        let Some(after) = after else {
            return Ok((Place { epoch, position: head, at: now() }, false));
        };
        if let Some(place) = Place::read(after) {
            let retention = self.inner.options.event_retention;
            let kept_from = now() - retention + (retention / 10).min(Duration::from_mins(1));
            let first = store.events_first().await?;
            let is_kept = place.epoch == epoch
                && place.position <= head
                && (place.position == head
                    || (place.at >= kept_from && first.0 <= place.position.0 + 1));
            if is_kept {
                return Ok((place, false));
            }
        }
        Ok((Place { epoch, position: head, at: now() }, true))
    }
}

impl LiveStream {
    /// What is next; none once the stream has ended.
    pub async fn next(&mut self) -> Option<LiveEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.timing.heartbeat_at = Instant::now() + HEARTBEAT_INTERVAL;
                return Some(event);
            }
            if self.timing.ended || self.core.inner.live.closed.is_cancelled() {
                return None;
            }
            self.check().await;
            if self.ready.is_empty() && !self.timing.ended && !self.read().await {
                self.wait().await;
            }
        }
    }

    /// Looks again at who reads and at what that one may see.
    async fn check(&mut self) {
        self.timing.check_at = Instant::now() + CHECK_INTERVAL;
        let identity = match self.core.viewer(&self.viewer).await {
            Ok(identity) => identity,
            Err(error) => return self.end(&error),
        };
        let mut is_same = identity == self.view.identity;
        for (name, (_, _, version)) in self.query.collections.iter().zip(&self.view.collections) {
            match self.core.find_collection(name).await {
                Ok(shelved) => is_same &= shelved.version == *version,
                Err(error) => return self.end(&error.into()),
            }
        }
        if is_same {
            return;
        }
        match self.core.live_view(identity, &self.query).await {
            Ok(view) => {
                self.view = view;
                let reason = "the collection, its rules or what you may see has changed";
                self.tell("reset", &json!({ "reason": reason }));
            }
            Err(error) => self.end(&error),
        }
    }

    /// Reads on; false if there is nothing to read.
    async fn read(&mut self) -> bool {
        let head = *self.timing.head.borrow_and_update();
        if head.is_some_and(|head| head <= self.place.position) {
            return false;
        }
        let position = self.place.position;
        let batch = match self.core.inner.live.tail.after(position, READ_MAX) {
            Some(batch) if head.is_some() => batch,
            Some(_) | None => match self.read_log(position).await {
                Ok(batch) => batch,
                Err(error) => {
                    self.end(&error);
                    return true;
                }
            },
        };
        for event in &batch.events {
            self.take(event);
        }
        let moved = batch.through > position;
        if batch.through > self.place.position {
            self.place.position = batch.through;
            self.place.at = now();
        }
        moved
    }

    /// Reads what the tail no longer has, or not yet.
    async fn read_log(&self, after: Position) -> Result<Batch, LiveError> {
        let limit = u32::try_from(READ_MAX).unwrap_or(u32::MAX);
        let events = self.core.inner.store.events_after(after, limit).await?;
        let through = events.last().map_or(after, |event| event.position);
        let events = events.into_iter().filter(|event| event.event.kind().is_record());
        Ok(Batch { events: events.map(Arc::new).collect(), through })
    }

    fn take(&mut self, logged: &LoggedEvent) {
        self.place.position = logged.position;
        self.place.at = logged.occurred_at;
        let (Event::RecordCreate(about) | Event::RecordUpdate(about) | Event::RecordDelete(about)) =
            &logged.event
        else {
            return;
        };
        let view = self.view.collections.iter();
        let found = view.into_iter().find_map(|(sight, selection, _)| {
            Some((sight.of(logged)?, selection, sight.collection_id))
        });
        let Some((change, selection, collection_id)) = found else { return };
        let (name, data) = match change {
            Change::Created(record) => {
                ("record.create", serde_json::to_value(selection.view(record, None)))
            }
            Change::Updated(record) => {
                ("record.update", serde_json::to_value(selection.view(record, None)))
            }
            Change::Deleted(id) => {
                ("record.delete", Ok(json!({ "id": id, "collection_id": collection_id })))
            }
        };
        match data {
            Ok(data) => self.tell(name, &data),
            Err(error) => {
                tracing::error!(%error, collection = about.collection, "an event could not be shown");
            }
        }
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self) {
        let Timing { head, check_at, heartbeat_at, .. } = &mut self.timing;
        let until = (*check_at).min(*heartbeat_at);
        tokio::select! {
            // The sender lives as long as the core.
            _ = head.changed() => {}
            () = self.core.inner.live.closed.cancelled() => {}
            () = sleep_until(until) => {}
        }
        if Instant::now() >= self.timing.heartbeat_at {
            self.beat();
        }
    }

    fn tell(&mut self, name: &'static str, data: &Value) {
        let place = self.place.text();
        self.ready.push_back(LiveEvent { name: Some(name), place, data: data.to_string() });
    }

    /// Says only where it stands, so that a quiet stream's reader needn't go far back.
    fn beat(&mut self) {
        let place = self.place.text();
        self.ready.push_back(LiveEvent { name: None, place, data: String::new() });
    }

    fn end(&mut self, error: &LiveError) {
        use crate::problem::{Kind, Problem};

        self.timing.ended = true;
        let reason = if matches!(error.kind(), Kind::Unavailable | Kind::Internal) {
            "the server can't go on now".to_owned()
        } else {
            error.to_string()
        };
        self.tell("end", &json!({ "reason": reason }));
    }
}
