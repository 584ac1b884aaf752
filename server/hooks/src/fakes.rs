//! An event log in memory and an extension that is a closure, for tests.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tinybase_model::{
    Body, Event, EventId, EventKind, ExtensionName, HookBinding, HookDeclaration, HookFilter,
    Invocation, InvocationTarget, InvokeError, JsonBytes, LoggedEvent, Outcome, Permissions, Phase,
    Position, RecordEvent,
};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::{
    EventLog, Hooks, HooksOptions, Invoker, LogError, ParkedDelivery, SubscriptionKey,
    SubscriptionState,
};

pub(crate) fn name(text: &str) -> ExtensionName {
    text.parse().expect("an extension's name")
}

pub(crate) fn json(text: &str) -> JsonBytes {
    JsonBytes::checked(text.to_owned().into()).expect("JSON")
}

pub(crate) fn created(collection: &str, data: &str) -> Event {
    Event::RecordCreate(RecordEvent {
        collection: collection.to_owned(),
        record_id: None,
        owner_id: None,
        data: json(data),
        old_data: None,
    })
}

pub(crate) fn hook(event: EventKind, phase: Phase, handler: &str) -> HookBinding {
    HookBinding {
        event,
        phase,
        filter: HookFilter::All,
        handler: handler.to_owned(),
        priority: 0,
        timeout: None,
        reentrant: false,
    }
}

/// Permissions that declare a before-hook on each event.
pub(crate) fn declares(events: &[EventKind], fail_open: bool) -> Permissions {
    let declaration = |event: &EventKind| HookDeclaration {
        event: *event,
        phase: Phase::Before,
        filter: HookFilter::All,
        fail_open,
    };
    Permissions::Listed {
        capabilities: [].into(),
        environment: [].into(),
        hooks: Some(events.iter().map(declaration).collect()),
    }
}

pub(crate) fn done() -> Answer {
    Ok(Outcome::Success { output: None, patch: None }).into()
}

pub(crate) fn patch(text: &str) -> Answer {
    Ok(Outcome::Success { output: None, patch: Some(json(text)) }).into()
}

pub(crate) fn fault(message: &str) -> Answer {
    Ok(Outcome::Fault(tinybase_model::Fault {
        kind: "KeyError".to_owned(),
        message: message.to_owned(),
        stack: String::new(),
        retry_after: None,
    }))
    .into()
}

/// How a fake extension ends an invocation, and after which time.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) after: Duration,
    pub(crate) end: Result<Outcome, InvokeError>,
}

impl Answer {
    pub(crate) fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }
}

impl From<Result<Outcome, InvokeError>> for Answer {
    fn from(end: Result<Outcome, InvokeError>) -> Self {
        Self { after: Duration::ZERO, end }
    }
}

/// One invocation that a fake extension got.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) extension: ExtensionName,
    pub(crate) handler: String,
    pub(crate) attempt: u32,
    pub(crate) timeout: Duration,
    pub(crate) depth: u32,
    /// A record's data, a function's input, an address.
    pub(crate) body: String,
}

type Script = Box<dyn Fn(&Call) -> Answer + Send + Sync>;

/// All extensions, played by one closure.
pub(crate) struct FakeInvoker {
    script: Script,
    calls: Mutex<Vec<Call>>,
    running: Mutex<Vec<String>>,
    ready: Mutex<HashSet<ExtensionName>>,
    changes: watch::Sender<u64>,
}

impl FakeInvoker {
    pub(crate) fn new(script: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            script: Box::new(script),
            calls: Mutex::default(),
            running: Mutex::default(),
            ready: Mutex::default(),
            changes: watch::Sender::new(0),
        })
    }

    pub(crate) fn set_ready(&self, extension: &str, ready: bool) {
        let mut all = self.ready.lock().expect("lock");
        if ready {
            all.insert(name(extension))
        } else {
            all.remove(&name(extension))
        };
        self.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("lock").clone()
    }

    /// The bodies of all calls, in order.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.body).collect()
    }

    /// The bodies of what is under way.
    pub(crate) fn running(&self) -> Vec<String> {
        self.running.lock().expect("lock").clone()
    }
}

#[async_trait]
impl Invoker for FakeInvoker {
    async fn invoke(
        &self,
        extension: &ExtensionName,
        invocation: Invocation,
    ) -> Result<Outcome, InvokeError> {
        if !self.is_ready(extension) {
            return Err(InvokeError::NotReady { state: "stopped" });
        }
        let call = Call {
            extension: extension.clone(),
            handler: match invocation.target {
                InvocationTarget::Hook { handler, .. } => handler,
                InvocationTarget::Function(name) => name,
            },
            attempt: invocation.attempt,
            timeout: invocation.timeout,
            depth: invocation.depth,
            body: match invocation.body {
                Body::Nothing => String::new(),
                Body::Record(record) => record.data.text().to_owned(),
                Body::User(user) => user.email,
                Body::Function(call) => call.input.text().to_owned(),
                Body::Completion(completion) => completion.name,
            },
        };
        let _running = Running::start(self, &call.body);
        let answer = (self.script)(&call);
        self.calls.lock().expect("lock").push(call);
        match timeout(invocation.timeout, sleep(answer.after)).await {
            Ok(()) => answer.end,
            Err(_) => Err(InvokeError::TimedOut(invocation.timeout)),
        }
    }

    fn is_ready(&self, extension: &ExtensionName) -> bool {
        self.ready.lock().expect("lock").contains(extension)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

struct Running<'a> {
    invoker: &'a FakeInvoker,
    body: String,
}

impl<'a> Running<'a> {
    fn start(invoker: &'a FakeInvoker, body: &str) -> Self {
        invoker.running.lock().expect("lock").push(body.to_owned());
        Self { invoker, body: body.to_owned() }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut all = self.invoker.running.lock().expect("lock");
        let index = all.iter().position(|body| *body == self.body).expect("it runs");
        all.remove(index);
    }
}

/// What a subscription has stored.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stored {
    pub(crate) cursor: Position,
    pub(crate) parked: BTreeMap<Position, ParkedDelivery>,
    pub(crate) dead: BTreeMap<Position, (u32, String)>,
}

/// An event log in memory.
#[derive(Default)]
pub(crate) struct MemoryLog {
    events: Mutex<Vec<LoggedEvent>>,
    subscriptions: Mutex<BTreeMap<SubscriptionKey, Stored>>,
    pub(crate) broken: AtomicBool,
}

impl MemoryLog {
    /// Commits an event and gives its position.
    pub(crate) fn append(&self, order_key: &str, event: Event) -> Position {
        self.append_with(order_key, event, |_| {})
    }

    pub(crate) fn append_with(
        &self,
        order_key: &str,
        event: Event,
        change: impl FnOnce(&mut LoggedEvent),
    ) -> Position {
        let mut events = self.events.lock().expect("lock");
        // Positions have gaps, as a rolled back transaction leaves them.
        let position = Position(2 * (i64::try_from(events.len()).expect("few") + 1));
        let mut event = LoggedEvent {
            position,
            id: EventId::generate(),
            order_key: order_key.to_owned(),
            occurred_at: Timestamp::UNIX_EPOCH,
            origin: None,
            depth: 0,
            traceparent: String::new(),
            event,
        };
        change(&mut event);
        events.push(event);
        position
    }

    pub(crate) fn stored(&self, extension: &str, handler: &str) -> Option<Stored> {
        let key = SubscriptionKey { extension: name(extension), handler: handler.to_owned() };
        self.subscriptions.lock().expect("lock").get(&key).cloned()
    }

    fn check(&self) -> Result<(), LogError> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(LogError::new("the disk is gone"));
        }
        Ok(())
    }

    fn change(
        &self,
        key: &SubscriptionKey,
        change: impl FnOnce(&mut Stored),
    ) -> Result<(), LogError> {
        self.check()?;
        if let Some(stored) = self.subscriptions.lock().expect("lock").get_mut(key) {
            change(stored);
        }
        Ok(())
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn head(&self) -> Result<Position, LogError> {
        self.check()?;
        let events = self.events.lock().expect("lock");
        Ok(events.last().map_or_else(Position::default, |event| event.position))
    }

    async fn subscribe(&self, key: &SubscriptionKey) -> Result<SubscriptionState, LogError> {
        let cursor = self.head().await?;
        let mut all = self.subscriptions.lock().expect("lock");
        let new = || Stored { cursor, ..Stored::default() };
        let stored = all.entry(key.clone()).or_insert_with(new);
        let parked = stored.parked.values().cloned().collect();
        Ok(SubscriptionState { cursor: stored.cursor, parked })
    }

    async fn unsubscribe(
        &self,
        extension: &ExtensionName,
        keep: &[String],
    ) -> Result<(), LogError> {
        self.check()?;
        let mut all = self.subscriptions.lock().expect("lock");
        all.retain(|key, _| key.extension != *extension || keep.contains(&key.handler));
        Ok(())
    }

    async fn read(&self, after: Position, limit: u32) -> Result<Vec<LoggedEvent>, LogError> {
        self.check()?;
        let events = self.events.lock().expect("lock");
        let wanted = events.iter().filter(|event| event.position > after);
        Ok(wanted.take(limit as usize).cloned().collect())
    }

    async fn advance(&self, key: &SubscriptionKey, cursor: Position) -> Result<(), LogError> {
        self.change(key, |stored| stored.cursor = stored.cursor.max(cursor))
    }

    async fn park(&self, key: &SubscriptionKey, parked: &[ParkedDelivery]) -> Result<(), LogError> {
        self.change(key, |stored| {
            let rows = parked.iter().map(|delivery| (delivery.position, delivery.clone()));
            stored.parked.extend(rows);
        })
    }

    async fn unpark(&self, key: &SubscriptionKey, position: Position) -> Result<(), LogError> {
        self.change(key, |stored| {
            stored.parked.remove(&position);
        })
    }

    async fn bury(
        &self,
        key: &SubscriptionKey,
        position: Position,
        attempt: u32,
        error: &str,
    ) -> Result<(), LogError> {
        self.change(key, |stored| {
            stored.parked.remove(&position);
            stored.dead.insert(position, (attempt, error.to_owned()));
        })
    }

    async fn event(&self, position: Position) -> Result<Option<LoggedEvent>, LogError> {
        self.check()?;
        let events = self.events.lock().expect("lock");
        Ok(events.iter().find(|event| event.position == position).cloned())
    }
}

/// Hooks over fakes.
pub(crate) fn hooks(invoker: &Arc<FakeInvoker>, log: &Arc<MemoryLog>) -> Hooks {
    let invoker: Arc<FakeInvoker> = Arc::clone(invoker);
    let log: Arc<MemoryLog> = Arc::clone(log);
    Hooks::with_invoker(invoker, log, HooksOptions::default())
}
