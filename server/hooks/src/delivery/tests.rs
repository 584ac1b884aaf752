//! Deliveries in virtual time, over a log in memory and a scripted extension.

mod failures;
mod lifetimes;
mod order;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tinybase_model::{EventKind, HookBinding, Permissions, Phase, Position, Registration};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::Hooks;
use crate::fakes::{Answer, Call, FakeInvoker, MemoryLog, created, hook, hooks, name};

/// A server with deliveries running and the extension `shop`.
struct Stage {
    hooks: Hooks,
    invoker: Arc<FakeInvoker>,
    log: Arc<MemoryLog>,
    running: JoinSet<()>,
    stop: CancellationToken,
}

impl Stage {
    async fn new(script: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        Self::over(Arc::default(), script).await
    }

    /// A server over the data of an earlier one.
    async fn over(
        log: Arc<MemoryLog>,
        script: impl Fn(&Call) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let invoker = FakeInvoker::new(script);
        let hooks = hooks(&invoker, &log);
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn({
            let (hooks, stop) = (hooks.clone(), stop.clone());
            async move { hooks.run(stop).await }
        });
        let stage = Self { hooks, invoker, log, running, stop };
        stage.hooks.permit(&name("shop"), &Permissions::Broad);
        until("the head is known", || stage.hooks.inner.registry.head().borrow().is_some()).await;
        stage
    }

    async fn start(&self, bindings: Vec<HookBinding>) {
        self.register("shop", bindings).await;
        self.invoker.set_ready("shop", true);
    }

    async fn register(&self, extension: &str, bindings: Vec<HookBinding>) {
        let handlers: Vec<_> = bindings.iter().map(|binding| binding.handler.clone()).collect();
        let registration = Registration::new(bindings, vec![]).expect("distinct names");
        let taken = self.hooks.inner.registry.register(&name(extension), &registration);
        taken.expect("it is taken");
        for handler in handlers {
            let exists = || self.log.stored(extension, &handler).is_some();
            until("the subscription exists", exists).await;
        }
    }

    fn commit(&self, order_key: &str, data: &str) -> Position {
        let position = self.log.append(order_key, created("orders", data));
        self.hooks.events_committed();
        position
    }

    /// Commits events of as many records and gives the last one's position.
    fn commit_many(&self, count: usize) -> Position {
        for n in 1..count {
            self.commit(&n.to_string(), "{}");
        }
        self.commit("0", "{}")
    }

    async fn calls(&self, count: usize) {
        until("the calls were made", || self.invoker.calls().len() >= count).await;
    }

    async fn stored(&self, cursor: Position) {
        let stored = || self.log.stored("shop", "h").is_some_and(|known| known.cursor >= cursor);
        until("the cursor is stored", stored).await;
    }

    /// Whether an event was given up, with its attempts and its error.
    fn dead(&self, position: Position) -> Option<(u32, String)> {
        self.log.stored("shop", "h")?.dead.get(&position).cloned()
    }

    async fn end(mut self) -> Arc<MemoryLog> {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended.expect("deliveries end well");
        }
        self.log
    }

    /// The server is killed: nothing more is stored.
    async fn kill(mut self) -> Arc<MemoryLog> {
        self.log.broken.store(true, Ordering::Relaxed);
        self.running.shutdown().await;
        self.log.broken.store(false, Ordering::Relaxed);
        self.log
    }
}

/// Waits in virtual time.
async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_hours(2);
    while !is() {
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

fn after() -> HookBinding {
    hook(EventKind::RecordCreate, Phase::After, "h")
}
