//! The core over a real database and extensions that the tests play.

mod access;
mod collections;
mod differential;
mod functions;
mod hosts;
mod passwords;
mod records;
mod relations;
mod schedules;
mod settings;
mod users;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tinybase_hooks::{CallTerms, OwnSchedules, RegisteredFunction};
use tinybase_model::{
    Cause, Event, EventKind, ExtensionName, FunctionAuth, FunctionBinding, FunctionEvent, Identity,
    JsonBytes, Outcome, Position, Rejection, User, UserId,
};
use tinybase_store::testing::TestDatabase;
use tinybase_store::{Store, StoreOptions};
use tokio::sync::watch;

use crate::{Approved, CallFailure, Core, CoreOptions, HookEngine, HookRefusal, NewCollection};

type Before = dyn Fn(Event) -> Result<Event, HookRefusal> + Send + Sync;
type Call = dyn Fn(&FunctionEvent) -> Result<Outcome, CallFailure> + Send + Sync;

/// Extensions as a test wants them.
#[derive(Default)]
struct FakeHooks {
    before: Mutex<Option<Arc<Before>>>,
    call: Mutex<Option<Arc<Call>>>,
    functions: Mutex<Vec<Arc<RegisteredFunction>>>,
    schedules: Mutex<Vec<Arc<OwnSchedules>>>,
    version: watch::Sender<u64>,
    /// What a function that streams sends before it is run.
    chunks: Mutex<Vec<Value>>,
    is_slow: AtomicBool,
    asked: Mutex<Vec<EventKind>>,
    observed: AtomicUsize,
    wakes: AtomicUsize,
}

#[async_trait]
impl HookEngine for FakeHooks {
    async fn before(&self, event: Event, _: &Cause) -> Result<Approved, HookRefusal> {
        self.asked.lock().expect("a lock").push(event.kind());
        let before = self.before.lock().expect("a lock").clone();
        let event = before.map_or_else(|| Ok(event.clone()), |before| before(event.clone()))?;
        Ok(Approved { event, failed_open: Vec::new() })
    }

    async fn observe_call(&self, _: Event, _: &Cause) {
        self.observed.fetch_add(1, Ordering::Relaxed);
    }

    async fn call_function(
        &self,
        call: FunctionEvent,
        _: &Cause,
        terms: CallTerms,
    ) -> Result<Outcome, CallFailure> {
        let chunks = self.chunks.lock().expect("a lock").clone();
        if let Some(sink) = &terms.chunks {
            for chunk in &chunks {
                if let Err(fault) = sink.put(chunk.into()).await {
                    return Ok(Outcome::Fault(fault));
                }
            }
        }
        if self.is_slow.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        let run = self.call.lock().expect("a lock").clone();
        run.map_or(Err(CallFailure::Unknown), |run| run(&call))
    }

    fn function(&self, name: &str) -> Option<Arc<RegisteredFunction>> {
        let functions = self.functions.lock().expect("a lock");
        functions.iter().find(|function| function.binding.name == name).cloned()
    }

    fn schedules(&self) -> Vec<Arc<OwnSchedules>> {
        self.schedules.lock().expect("a lock").clone()
    }

    fn versions(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn is_ready(&self, _: &ExtensionName) -> bool {
        true
    }

    fn functions(&self) -> Vec<Arc<RegisteredFunction>> {
        self.functions.lock().expect("a lock").clone()
    }

    fn events_committed(&self) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
    }
}

/// A core with a database of its own.
struct TestCore {
    core: Core,
    hooks: Arc<FakeHooks>,
    store: Store,
    _database: TestDatabase,
}

impl TestCore {
    async fn new() -> Self {
        Self::with(CoreOptions::default()).await
    }

    async fn with(options: CoreOptions) -> Self {
        let database = TestDatabase::create().await;
        let store = Store::open(StoreOptions::new(database.url())).await.expect("a store");
        let hooks = Arc::new(FakeHooks::default());
        let engine: Arc<dyn HookEngine> = Arc::clone(&hooks) as _;
        let core = Core::new(options, store.clone(), engine);
        Self { core, hooks, store, _database: database }
    }

    /// Has the before-hooks do something.
    fn before(&self, hook: impl Fn(Event) -> Result<Event, HookRefusal> + Send + Sync + 'static) {
        *self.hooks.before.lock().expect("a lock") = Some(Arc::new(hook));
    }

    /// Offers a function.
    fn offer(
        &self,
        binding: FunctionBinding,
        run: impl Fn(&FunctionEvent) -> Result<Outcome, CallFailure> + Send + Sync + 'static,
    ) {
        let function = RegisteredFunction {
            extension: extension(),
            version: "1.0.0".to_owned(),
            binding,
            loaded_at: tinybase_store::now(),
        };
        self.hooks.functions.lock().expect("a lock").push(Arc::new(function));
        *self.hooks.call.lock().expect("a lock") = Some(Arc::new(run));
    }

    /// Offers a function that never ends by itself.
    fn offer_slow(&self, binding: FunctionBinding) {
        self.offer(binding, |_| unreachable!("slow functions have no outcome"));
        self.hooks.is_slow.store(true, Ordering::Relaxed);
    }

    /// A collection with the field `n`, a whole number that is required, and the field `s`.
    async fn collection(&self, name: &str, access: Value) {
        let new = NewCollection {
            name: name.to_owned(),
            label: name.to_owned(),
            schema: json!({"fields": [
                {"name": "n", "type": "int", "required": true},
                {"name": "s", "type": "string"},
            ]}),
            options: Some(json!({"access": access})),
        };
        self.core.collections().create(&operator(), new).await.expect("a collection");
    }

    /// A user with the password "password".
    async fn user(&self, email: &str) -> User {
        let cause = caused_by(Identity::Anonymous);
        let user = self.core.users().register(&cause, email, "password").await;
        user.expect("a user").value
    }

    /// All events, the oldest first.
    async fn events(&self) -> Vec<Event> {
        let events = self.store.events_after(Position(0), 10_000).await.expect("events");
        events.into_iter().map(|logged| logged.event).collect()
    }

    async fn kinds(&self) -> Vec<EventKind> {
        self.events().await.iter().map(Event::kind).collect()
    }
}

fn extension() -> ExtensionName {
    "one".parse().expect("a name")
}

fn caused_by(identity: Identity) -> Cause {
    Cause::request(identity, String::new())
}

fn operator() -> Cause {
    caused_by(Identity::Operator)
}

fn user(id: UserId) -> Identity {
    Identity::User { id, is_admin: false }
}

fn map(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("{value} is no object") };
    map
}

fn function(name: &str, auth: FunctionAuth) -> FunctionBinding {
    FunctionBinding {
        name: name.to_owned(),
        description: String::new(),
        auth,
        input_schema: None,
        output_schema: None,
        tags: Vec::new(),
        timeout: None,
        concurrency: None,
        streams: false,
    }
}

fn rejected(message: &str) -> HookRefusal {
    let rejection = Rejection {
        status: 422,
        code: "no".to_owned(),
        message: message.to_owned(),
        violations: Vec::new(),
    };
    HookRefusal::Rejected { extension: extension(), rejection }
}

fn json_bytes(value: &Value) -> JsonBytes {
    value.into()
}
