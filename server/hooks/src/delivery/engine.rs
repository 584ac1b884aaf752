//! Keeps one consumer running for each durable subscription that is registered.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tinybase_model::ExtensionName;
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::consumer;
use super::feed::Feed;
use super::gate::Gate;
use super::subscription::Subscription;
use super::{POLL_INTERVAL, Shared};
use crate::event_log::{EventLog, SubscriptionKey};
use crate::invoker::Invoker;
use crate::options::HooksOptions;
use crate::registry::{DurableHook, Kept, Registry, Snapshot};

/// The delivery engine.
pub(crate) struct Engine {
    registry: Arc<Registry>,
    shared: Arc<Shared>,
    running: HashMap<SubscriptionKey, Running>,
    tasks: JoinSet<()>,
    gates: HashMap<ExtensionName, Arc<Gate>>,
    /// The registration of each subscription that a consumer was started for.
    seen: HashMap<SubscriptionKey, u64>,
    /// The registration of each extension after which what it left out was ended.
    cleaned: HashMap<ExtensionName, u64>,
}

/// A consumer's task.
struct Running {
    hook: Arc<DurableHook>,
    task: Id,
    stop: CancellationToken,
    stopped: CancellationToken,
}

impl Engine {
    pub(crate) fn new(
        registry: Arc<Registry>,
        invoker: Arc<dyn Invoker>,
        (log, wake): (Arc<dyn EventLog>, Arc<Notify>),
        options: HooksOptions,
    ) -> Self {
        let feed = Feed::new(Arc::clone(&log), Arc::clone(&registry), wake);
        Self {
            registry,
            shared: Arc::new(Shared {
                invoker,
                log,
                feed,
                options,
                storage_failed: AtomicBool::new(false),
            }),
            running: HashMap::new(),
            tasks: JoinSet::new(),
            gates: HashMap::new(),
            seen: HashMap::new(),
            cleaned: HashMap::new(),
        }
    }

    /// Runs until it is stopped. `settled` follows the version of the registry that is in force.
    pub(crate) async fn run(
        mut self,
        stop: &CancellationToken,
        settled: &watch::Sender<Option<u64>>,
    ) {
        let shared = Arc::clone(&self.shared);
        let consume = async {
            self.supervise(stop, settled).await;
            for running in self.running.values() {
                running.stop.cancel();
            }
            while self.tasks.join_next().await.is_some() {}
        };
        tokio::join!(shared.feed.follow(stop), consume);
    }

    async fn supervise(&mut self, stop: &CancellationToken, settled: &watch::Sender<Option<u64>>) {
        let mut versions = self.registry.versions();
        let mut head = self.shared.feed.head();
        tokio::select! {
            () = stop.cancelled() => return,
            _ = head.wait_for(Option::is_some) => {}
        }
        while !stop.is_cancelled() {
            versions.mark_unchanged();
            let snapshot = self.registry.snapshot();
            self.stop_unwanted(&snapshot).await;
            self.start_wanted(&snapshot);
            self.shared.feed.set_consumers(self.running.len());
            let clean = self.end_left_out(&snapshot).await;
            settled.send_replace(Some(snapshot.version));
            tokio::select! {
                () = stop.cancelled() => {}
                _ = versions.changed() => {}
                Some(joined) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => {
                    self.reap(joined);
                }
                () = sleep(POLL_INTERVAL), if !clean => {}
            }
        }
    }

    /// Stops consumers whose hook is gone or changed, and waits until they have stored their last.
    async fn stop_unwanted(&mut self, snapshot: &Snapshot) {
        let wanted: HashMap<_, _> = snapshot.durable.iter().map(|hook| (key(hook), hook)).collect();
        let unwanted: Vec<_> = self
            .running
            .extract_if(|key, running| {
                wanted.get(key).is_none_or(|hook| hook.binding != running.hook.binding)
            })
            .collect();
        for (_, running) in &unwanted {
            running.stop.cancel();
        }
        for (_, running) in &unwanted {
            running.stopped.cancelled().await;
        }
        self.seen.retain(|key, _| snapshot.kept.iter().any(|kept| kept.extension == key.extension));
        self.gates.retain(|name, _| snapshot.kept.iter().any(|kept| kept.extension == *name));
    }

    fn start_wanted(&mut self, snapshot: &Snapshot) {
        for hook in &snapshot.durable {
            let key = key(hook);
            let seen = self.seen.insert(key.clone(), hook.registered_at);
            if self.running.contains_key(&key) {
                continue;
            }
            // Registered before the log was first looked at: it stood there or a little earlier.
            let since = hook.since.or(*self.registry.head().borrow());
            let since = since.filter(|_| seen != Some(hook.registered_at));
            let gate = self.gates.entry(hook.extension.clone()).or_default();
            let subscription = Subscription {
                key: key.clone(),
                hook: Arc::clone(hook),
                gate: Arc::clone(gate),
                shared: Arc::clone(&self.shared),
            };
            let stop = CancellationToken::new();
            let stopped = CancellationToken::new();
            let last = stopped.clone().drop_guard();
            let consumer = consumer::run(subscription, since, stop.clone());
            let task = self.tasks.spawn(async move {
                let _last = last;
                consumer.await;
            });
            let running = Running { hook: Arc::clone(hook), task: task.id(), stop, stopped };
            self.running.insert(key, running);
        }
    }

    /// Ends the subscriptions that a new registration left out. Whether all of that worked.
    async fn end_left_out(&mut self, snapshot: &Snapshot) -> bool {
        let mut all = true;
        for Kept { extension, registered_at, handlers } in &snapshot.kept {
            if self.cleaned.get(extension) == Some(registered_at) {
                continue;
            }
            match self.shared.log.unsubscribe(extension, handlers).await {
                Ok(()) => {
                    self.cleaned.insert(extension.clone(), *registered_at);
                }
                Err(error) => {
                    all = false;
                    let source = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%extension, %error, source, "old subscriptions aren't ended yet");
                }
            }
        }
        all
    }

    /// A consumer ends on its own only by a mistake of ours; it is started again.
    fn reap(&mut self, joined: Result<(Id, ()), JoinError>) {
        let id = match &joined {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let Some((key, _)) = self.running.extract_if(|_, running| running.task == id).next() else {
            return;
        };
        let error = joined.err().map(|error| error.to_string());
        tracing::error!(subscription = %key, error, "a consumer ended and is started again");
    }
}

fn key(hook: &DurableHook) -> SubscriptionKey {
    SubscriptionKey { extension: hook.extension.clone(), handler: hook.binding.handler.clone() }
}
