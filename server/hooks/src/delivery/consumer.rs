//! One durable subscription at work: reads, delivers, stores. All decisions are the book's.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tinybase_model::Position;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::POLL_INTERVAL;
use super::attempt::deliver;
use super::book::{Book, Bounds, Moment, Work};
use super::feed::Batch;
use super::gate::IN_FLIGHT_MAX;
use super::lease::Lease;
use super::subscription::Subscription;
use super::verdict::Verdict;
use super::writes::Writes;
use crate::event_log::{LogError, SubscriptionState};

/// How long a delivery waits that met a busy or leaving extension.
const PAUSE: Duration = Duration::from_millis(200);

/// How late the cursor is stored when little is behind it, and when nothing is but unwanted events.
const CURSOR_DELAY: Duration = Duration::from_secs(1);
const SKIP_DELAY: Duration = Duration::from_secs(10);

/// How long the last write may take when a subscription is put down.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A subscription at work.
struct Consumer {
    subscription: Subscription,
    book: Book,
    jobs: Jobs,
    lease: Lease,
    head: watch::Receiver<Option<Position>>,
    /// Until when nothing is delivered or read.
    paused_until: Instant,
    /// Until when nothing is stored, after that failed.
    store_at: Instant,
    /// Since when the cursor is ahead of the stored one.
    unstored_since: Option<Instant>,
}

/// What is under way. Each ends on its own, whatever happens to the others.
#[derive(Default)]
struct Jobs {
    deliveries: FuturesUnordered<BoxFuture<'static, (Work, Verdict)>>,
    read: Option<BoxFuture<'static, Result<Batch, LogError>>>,
    store: Option<BoxFuture<'static, (Writes, Result<(), LogError>)>>,
}

/// The end of a job.
enum Ended {
    Delivery(Work, Verdict),
    Read(Result<Batch, LogError>),
    Store(Writes, Result<(), LogError>),
}

/// Runs a subscription until it is stopped, whenever this node holds it; then what is known is
/// stored. `since` is where the log stood when the handler was registered, unless it was run since
/// then.
pub(super) async fn run(
    subscription: Subscription,
    mut since: Option<Position>,
    stop: CancellationToken,
) {
    while let Some(lease) = Lease::take(&subscription, &stop).await {
        let Some(state) = subscribe(&subscription, &stop).await else { break };
        let bounds = Bounds::new(&subscription.shared.options);
        let book = Book::resume(state, since.take(), bounds, Moment::now());
        let head = subscription.shared.feed.head();
        let now = Instant::now();
        let mut consumer = Consumer {
            subscription: subscription.clone(),
            book,
            jobs: Jobs::default(),
            lease,
            head,
            paused_until: now,
            store_at: now,
            unstored_since: None,
        };
        consumer.work(&stop).await;
        consumer.put_down().await;
    }
}

/// Finds where the subscription stands. Not given up half-way: what was asked of the log happens.
async fn subscribe(
    subscription: &Subscription,
    stop: &CancellationToken,
) -> Option<SubscriptionState> {
    let Subscription { key, shared, .. } = subscription;
    loop {
        match shared.log.subscribe(key).await {
            Ok(state) => return Some(state),
            Err(error) => subscription.log_storage(&error),
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
    }
}

impl Consumer {
    async fn work(&mut self, stop: &CancellationToken) {
        let mut changes = self.subscription.shared.invoker.changes();
        while !stop.is_cancelled() {
            self.begin();
            let timer = self.timer();
            // Every arm can be dropped: jobs stay where they are until they have ended.
            tokio::select! {
                () = stop.cancelled() => {}
                ended = self.jobs.next() => self.end(ended),
                still_held = self.lease.keep(&self.subscription) => {
                    if !still_held {
                        return;
                    }
                }
                () = changed(&mut self.head) => {}
                () = changed(&mut changes) => {}
                () = sleep_until(timer) => {}
            }
        }
    }

    /// Begins all that can be begun.
    fn begin(&mut self) {
        let now = Instant::now();
        let Subscription { hook, shared, .. } = &self.subscription;
        if now >= self.paused_until && shared.invoker.is_ready(&hook.extension) {
            self.fill();
            self.dispatch(now);
        }
        self.store(now);
    }

    /// Takes events for as long as there is room.
    fn fill(&mut self) {
        while self.jobs.read.is_none() && self.book.has_room() && self.is_behind() {
            let after = self.book.read_to();
            let shared = Arc::clone(&self.subscription.shared);
            match shared.feed.recent(after) {
                Some(batch) => self.take(batch),
                None => {
                    self.jobs.read = Some(Box::pin(async move { shared.feed.read(after).await }));
                }
            }
        }
    }

    fn is_behind(&self) -> bool {
        self.head.borrow().is_some_and(|head| head > self.book.read_to())
    }

    fn take(&mut self, batch: Batch) {
        let at = Moment::now();
        for event in batch.events {
            if !self.book.has_room() {
                return;
            }
            if self.subscription.wants(&event) {
                self.book.take(event, at);
            } else {
                self.book.skip_to(event.position);
            }
        }
        self.book.skip_to(batch.through);
    }

    fn dispatch(&mut self, now: Instant) {
        while self.jobs.deliveries.len() < IN_FLIGHT_MAX as usize {
            let Some(work) = self.book.start(now) else { return };
            self.jobs.deliveries.push(Box::pin(deliver(self.subscription.clone(), work)));
        }
    }

    /// Stores what is urgent, or all when it has waited for long enough.
    fn store(&mut self, now: Instant) {
        let (events, any) = self.book.unstored();
        self.unstored_since = any.then(|| self.unstored_since.unwrap_or(now));
        if self.jobs.store.is_some() || now < self.store_at {
            return;
        }
        let delay = if events > 0 { CURSOR_DELAY } else { SKIP_DELAY };
        let late = self.unstored_since.is_some_and(|since| now >= since + delay);
        let writes = if late { Some(self.book.all_writes()) } else { self.book.urgent_writes() };
        if let Some(writes) = writes {
            let Subscription { key, shared, .. } = self.subscription.clone();
            self.jobs.store = Some(Box::pin(async move {
                let result = writes.store(&*shared.log, &key).await;
                (writes, result)
            }));
        }
    }

    fn end(&mut self, ended: Ended) {
        match ended {
            Ended::Delivery(work, verdict) => self.judge(&work, verdict),
            Ended::Read(Ok(batch)) => self.take(batch),
            Ended::Read(Err(error)) => {
                self.subscription.log_storage(&error);
                self.paused_until = Instant::now() + POLL_INTERVAL;
            }
            Ended::Store(writes, Ok(())) => {
                self.subscription.storage_works();
                self.book.stored(&writes);
                self.unstored_since = None;
            }
            Ended::Store(writes, Err(error)) => {
                self.subscription.log_storage(&error);
                self.book.not_stored(writes);
                self.store_at = Instant::now() + POLL_INTERVAL;
            }
        }
    }

    fn judge(&mut self, work: &Work, verdict: Verdict) {
        let at = Moment::now();
        match verdict {
            Verdict::Delivered => self.book.succeed(work),
            Verdict::NotNow => {
                self.book.put_back(work, at.now);
                self.paused_until = at.now + PAUSE;
            }
            Verdict::Failed(failure) => {
                let fate = self.book.fail(work, &failure, (at, rand::random()));
                self.subscription.log_failure(work, &failure, fate);
            }
            Verdict::Hopeless(failure) => {
                let fate = self.book.bury(work, &failure);
                self.subscription.log_failure(work, &failure, fate);
            }
        }
    }

    /// When there may be something to do without any other sign.
    fn timer(&self) -> Instant {
        let now = Instant::now();
        let due = self.book.next_due().filter(|due| *due > now);
        let pause = Some(self.paused_until).filter(|until| *until > now);
        let poll = now + POLL_INTERVAL;
        due.into_iter().chain(pause).fold(poll, Instant::min)
    }

    /// Lets go of what is under way and stores the rest.
    async fn put_down(mut self) {
        self.jobs.deliveries.clear();
        let is_limited = self.lease.is_limited();
        let last = async {
            if let Some(store) = self.jobs.store.take() {
                let (writes, result) = store.await;
                match result {
                    Ok(()) => self.book.stored(&writes),
                    Err(_) => self.book.not_stored(writes),
                }
            }
            let Subscription { key, shared, .. } = &self.subscription;
            self.book.all_writes().store(&*shared.log, key).await?;
            // Another node can go on at once.
            if is_limited { shared.log.let_go(key).await } else { Ok(()) }
        };
        if let Ok(Err(error)) = timeout(STOP_TIMEOUT, last).await {
            self.subscription.log_storage(&error);
        }
    }
}

impl Jobs {
    /// The next job that ends. Dropping it loses nothing.
    async fn next(&mut self) -> Ended {
        let Self { deliveries, read, store } = self;
        tokio::select! {
            Some((work, verdict)) = deliveries.next(), if !deliveries.is_empty() => {
                Ended::Delivery(work, verdict)
            }
            batch = finished(read) => Ended::Read(batch),
            (writes, result) = finished(store) => Ended::Store(writes, result),
        }
    }
}

/// The end of a job that may not be there. The job stays in its place until it has ended.
async fn finished<T>(job: &mut Option<BoxFuture<'static, T>>) -> T {
    match job {
        Some(running) => {
            let end = running.await;
            *job = None;
            end
        }
        None => std::future::pending().await,
    }
}

/// The next change; never, once nobody can change it any more.
async fn changed<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
