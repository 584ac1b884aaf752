use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tinybase_model::{
    EventKind, Fault, HookBinding, HookFilter, InvokeError, Outcome, Permissions, Phase, Position,
    Registration, Rejection,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::Hooks;
use crate::fakes::{Answer, Call, FakeInvoker, MemoryLog, created, done, fault, hook, hooks, name};

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

#[tokio::test(start_paused = true)]
async fn every_subscription_gets_each_event_once() {
    let stage = Stage::new(|_| done()).await;
    stage.hooks.permit(&name("mail"), &Permissions::Broad);
    stage.register("mail", vec![after()]).await;
    stage.invoker.set_ready("mail", true);
    let other = HookBinding { handler: "other".to_owned(), ..after() };
    stage.start(vec![after(), other]).await;
    let last = stage.commit_many(1000);
    stage.stored(last).await;
    stage.calls(3000).await;
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_subscription_begins_at_the_head() {
    let stage = Stage::new(|_| done()).await;
    let before = stage.commit("1", r#"{"n":1}"#);
    let known = || *stage.hooks.inner.registry.head().borrow() == Some(before);
    until("the event is known", known).await;
    stage.start(vec![after()]).await;
    stage.commit("1", r#"{"n":2}"#);
    stage.calls(1).await;
    assert_eq!(stage.invoker.bodies(), [r#"{"n":2}"#]);
    assert_eq!(stage.invoker.calls()[0].attempt, 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_right_after_the_registration_is_not_lost() {
    let stage = Stage::new(|_| done()).await;
    let registration = Registration::new(vec![after()], vec![]).expect("distinct names");
    let taken = stage.hooks.inner.registry.register(&name("shop"), &registration);
    taken.expect("it is taken");
    // The subscription can't have been created yet: nothing else ran in between.
    stage.commit("1", r#"{"n":1}"#);
    stage.invoker.set_ready("shop", true);
    stage.calls(1).await;
    assert_eq!(stage.invoker.bodies(), [r#"{"n":1}"#]);
}

#[tokio::test(start_paused = true)]
async fn events_of_other_collections_and_of_its_own_are_not_sent() {
    let stage = Stage::new(|_| done()).await;
    let filter = HookFilter::Named("orders".to_owned());
    let reentrant = HookBinding { handler: "r".to_owned(), reentrant: true, ..after() };
    stage.start(vec![HookBinding { filter, ..after() }, reentrant]).await;
    stage.log.append("1", created("users", r#"{"n":1}"#));
    let own = |event: &mut tinybase_model::LoggedEvent| event.origin = Some(name("shop"));
    stage.log.append_with("2", created("orders", r#"{"n":2}"#), own);
    stage.commit("3", r#"{"n":3}"#);
    stage.calls(4).await;
    let of = |handler: &str| {
        let calls = stage.invoker.calls().into_iter().filter(|call| call.handler == handler);
        calls.map(|call| call.body).collect::<Vec<_>>()
    };
    assert_eq!(of("h"), [r#"{"n":3}"#]);
    assert_eq!(of("r"), [r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#]);
}

#[tokio::test(start_paused = true)]
async fn a_circle_of_after_hooks_ends() {
    let stage = Stage::new(|_| done()).await;
    stage.start(vec![after()]).await;
    for depth in [7, 8] {
        let deep = |event: &mut tinybase_model::LoggedEvent| event.depth = depth;
        stage.log.append_with("1", created("orders", "{}"), deep);
    }
    let last = stage.commit("2", "{}");
    stage.stored(last).await;
    let depths: Vec<_> = stage.invoker.calls().iter().map(|call| call.depth).collect();
    assert_eq!(depths, [8, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_event_holds_back_its_own_record_only() {
    let failures = AtomicU32::new(3);
    let stage = Stage::new(move |call| {
        let again = call.body == r#"{"n":1}"#
            && failures
                .try_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                .is_ok();
        if again { fault("not yet") } else { done() }
    })
    .await;
    stage.start(vec![after()]).await;
    for (key, data) in [("a", r#"{"n":1}"#), ("b", r#"{"n":2}"#), ("a", r#"{"n":3}"#)] {
        stage.commit(key, data);
    }
    // The cursor passes over what is parked, and a later event of the record waits behind it.
    let last = stage.commit("b", r#"{"n":4}"#);
    stage.stored(last).await;
    let stored = stage.log.stored("shop", "h").expect("it is there");
    assert_eq!(stored.parked.len(), 2);
    stage.commit("a", r#"{"n":5}"#);
    stage.calls(8).await;
    let bodies = stage.invoker.bodies();
    assert_eq!(bodies[1..3], [r#"{"n":2}"#, r#"{"n":4}"#]);
    let of_a: Vec<_> = stage
        .invoker
        .calls()
        .into_iter()
        .filter(|call| call.body != bodies[1] && call.body != bodies[2])
        .map(|call| (call.body, call.attempt))
        .collect();
    let first = |attempt| (r#"{"n":1}"#.to_owned(), attempt);
    let later = [(r#"{"n":3}"#.to_owned(), 1), (r#"{"n":5}"#.to_owned(), 1)];
    assert_eq!(of_a[..4], [first(1), first(2), first(3), first(4)]);
    assert_eq!(of_a[4..], later);
    let empty = || stage.log.stored("shop", "h").is_some_and(|known| known.parked.is_empty());
    until("nothing is parked any more", empty).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_never_succeeds_goes_to_the_dead_letters_and_its_record_goes_on() {
    let stage =
        Stage::new(|call| if call.body == r#"{"n":1}"# { fault("no") } else { done() }).await;
    stage.start(vec![after()]).await;
    let first = stage.commit("a", r#"{"n":1}"#);
    stage.commit("a", r#"{"n":2}"#);
    stage.calls(9).await;
    let bodies = stage.invoker.bodies();
    assert!(bodies[..8].iter().all(|body| body == r#"{"n":1}"#), "{bodies:?}");
    assert_eq!(bodies[8], r#"{"n":2}"#);
    until("it is buried", || stage.dead(first).is_some()).await;
    assert_eq!(stage.dead(first), Some((8, "KeyError: no".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn what_can_never_succeed_is_not_tried_again() {
    let stage = Stage::new(|call| {
        let rejection = Rejection {
            status: 400,
            code: "no".to_owned(),
            message: "Not this one.".to_owned(),
            violations: vec![],
        };
        match call.body.as_str() {
            r#"{"n":1}"# => Ok(Outcome::Reject(rejection)).into(),
            r#"{"n":2}"# => Err(InvokeError::TooLarge { size: 2, limit: 1 }).into(),
            _ => done(),
        }
    })
    .await;
    stage.start(vec![after()]).await;
    let positions = ["1", "2", "3"].map(|n| stage.commit("a", &format!("{{\"n\":{n}}}")));
    stage.stored(positions[2]).await;
    assert_eq!(stage.invoker.calls().len(), 3);
    assert_eq!(stage.dead(positions[0]), Some((1, "refused: no Not this one.".to_owned())));
    let too_large = "the body has 2 bytes; the limit is 1".to_owned();
    assert_eq!(stage.dead(positions[1]), Some((1, too_large)));
    assert_eq!(stage.dead(positions[2]), None);
}

#[tokio::test(start_paused = true)]
async fn an_extension_chooses_when_an_event_is_tried_again() {
    let hour = Duration::from_hours(1);
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    let stage = Stage::new(move |call| {
        seen.lock().expect("lock").push(Instant::now());
        if call.attempt > 1 {
            return done();
        }
        Ok(Outcome::Fault(Fault {
            kind: "Quota".to_owned(),
            message: "used up".to_owned(),
            stack: String::new(),
            retry_after: Some(hour),
        }))
        .into()
    })
    .await;
    stage.start(vec![after()]).await;
    stage.commit("a", "{}");
    stage.calls(2).await;
    let times = times.lock().expect("lock").clone();
    assert!(times[1] - times[0] >= hour, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn events_wait_for_an_extension_that_is_not_there_without_an_attempt_being_counted() {
    let busy = AtomicU32::new(5);
    let stage = Stage::new(move |_| {
        let busy = busy.try_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        if busy.is_ok() { Err(InvokeError::Overloaded).into() } else { done() }
    })
    .await;
    stage.start(vec![after()]).await;
    stage.invoker.set_ready("shop", false);
    let last = stage.commit_many(100);
    sleep(Duration::from_mins(30)).await;
    assert!(stage.invoker.calls().is_empty());
    stage.invoker.set_ready("shop", true);
    stage.stored(last).await;
    let calls = stage.invoker.calls();
    assert_eq!(calls.len(), 105);
    assert!(calls.iter().all(|call| call.attempt == 1));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_ends_each_process_is_given_up_and_takes_no_other_with_it() {
    // The process dies of the poisoned event, with all that it has in hand then.
    let stage = Stage::new(|call| {
        let poisoned = call.body == r#"{"n":7}"#;
        let end =
            if poisoned || call.attempt == 1 { Err(InvokeError::Disconnected) } else { Ok(()) };
        end.map_or_else(|error| Err(error).into(), |()| done())
    })
    .await;
    stage.start(vec![after()]).await;
    let positions: Vec<_> =
        (0..16).map(|n| stage.commit(&format!("{n}"), &format!("{{\"n\":{n}}}"))).collect();
    until("the poisoned one is buried", || stage.dead(positions[7]).is_some()).await;
    let empty = || stage.log.stored("shop", "h").is_some_and(|known| known.parked.is_empty());
    until("nothing is parked any more", empty).await;
    let stored = stage.log.stored("shop", "h").expect("it is there");
    assert_eq!(stored.dead.keys().collect::<Vec<_>>(), [&positions[7]]);
    assert_eq!(stored.dead[&positions[7]].0, 3);
}

#[tokio::test(start_paused = true)]
async fn a_suspect_is_delivered_alone() {
    let slow = Duration::from_secs(1);
    let stage = Stage::new(move |call| match (call.body.as_str(), call.attempt) {
        (r#"{"n":1}"#, 1) => Err(InvokeError::Disconnected).into(),
        _ => done().after(slow),
    })
    .await;
    stage.start(vec![after()]).await;
    stage.commit("1", r#"{"n":1}"#);
    stage.calls(1).await;
    for n in 2..200 {
        stage.commit(&n.to_string(), &format!("{{\"n\":{n}}}"));
    }
    let running = || stage.invoker.running();
    until("the suspect runs", || running().contains(&r#"{"n":1}"#.to_owned())).await;
    assert_eq!(running().len(), 1);
    until("the others go on", || running().len() > 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_extension_gets_fewer_events_at_once() {
    let stage = Stage::new(|_| done().after(Duration::from_mins(1))).await;
    stage.start(vec![after()]).await;
    stage.commit_many(100);
    until("many at first", || stage.invoker.running().len() == 16).await;
    until("one at last", || stage.invoker.running().len() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_killed_server_delivers_again_at_most_a_window_and_says_so() {
    let stage = Stage::new(|_| done()).await;
    stage.start(vec![after()]).await;
    let bodies: Vec<_> = (0..600).map(|n| format!("{{\"n\":{n}}}")).collect();
    for (n, body) in bodies.iter().enumerate() {
        stage.commit(&n.to_string(), body);
    }
    stage.calls(500).await;
    let first = stage.invoker.calls();
    let log = stage.kill().await;

    let stage = Stage::over(log, |_| done()).await;
    stage.start(vec![after()]).await;
    let last = Position(1200);
    stage.stored(last).await;
    let second = stage.invoker.calls();
    let known = |call: &&Call| first.iter().any(|earlier| earlier.body == call.body);
    let again: Vec<_> = second.iter().filter(known).collect();
    assert!(again.len() <= 256, "{} were delivered again", again.len());
    assert!(again.iter().all(|call| call.attempt == 2));
    for body in &bodies {
        let got = first.iter().chain(&second).any(|call| call.body == *body);
        assert!(got, "{body} is lost");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_server_delivers_nothing_again() {
    let stage =
        Stage::new(|call| if call.body == r#"{"n":1}"# { fault("no") } else { done() }).await;
    stage.start(vec![after()]).await;
    for n in 0..5 {
        stage.commit(&n.to_string(), &format!("{{\"n\":{n}}}"));
    }
    stage.calls(5).await;
    let log = stage.end().await;
    let stage = Stage::over(log, |_| done()).await;
    stage.start(vec![after()]).await;
    stage.commit("9", r#"{"n":9}"#);
    stage.calls(2).await;
    let mut calls: Vec<_> =
        stage.invoker.calls().into_iter().map(|call| (call.body, call.attempt)).collect();
    calls.sort();
    assert_eq!(calls, [(r#"{"n":1}"#.to_owned(), 2), (r#"{"n":9}"#.to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_outlives_a_restart_and_ends_when_it_is_left_out() {
    let stage = Stage::new(|_| done()).await;
    let other = HookBinding { handler: "other".to_owned(), ..after() };
    stage.start(vec![after(), other.clone()]).await;
    stage.invoker.set_ready("shop", false);
    stage.commit("1", r#"{"n":1}"#);
    // The next process registers one of both, with another filter and timeout.
    let filter = HookFilter::Named("orders".to_owned());
    let timeout = Some(Duration::from_secs(9));
    stage.start(vec![HookBinding { filter, timeout, ..after() }]).await;
    stage.calls(1).await;
    until("the other one has ended", || stage.log.stored("shop", "other").is_none()).await;
    let calls = stage.invoker.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].timeout, Duration::from_secs(9));
    // What it left out begins anew, at the head.
    stage.start(vec![after(), other]).await;
    stage.commit("1", r#"{"n":2}"#);
    stage.calls(3).await;
    assert_eq!(stage.invoker.bodies()[1..], [r#"{"n":2}"#, r#"{"n":2}"#]);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_extension_gets_nothing_more() {
    let stage = Stage::new(|_| done().after(Duration::from_secs(5))).await;
    stage.start(vec![after()]).await;
    stage.commit_many(100);
    stage.calls(16).await;
    stage.hooks.forget(&name("shop")).await.expect("the log works");
    assert!(stage.invoker.running().is_empty(), "what was under way is cancelled");
    assert!(stage.log.stored("shop", "h").is_none());
    sleep(Duration::from_mins(5)).await;
    assert_eq!(stage.invoker.calls().len(), 16);
    assert!(stage.log.stored("shop", "h").is_none(), "no consumer brought it back");
}

#[tokio::test(start_paused = true)]
async fn deliveries_go_on_when_the_log_works_again() {
    let stage = Stage::new(|call| if call.attempt == 1 { fault("no") } else { done() }).await;
    stage.start(vec![after()]).await;
    stage.log.broken.store(true, Ordering::Relaxed);
    let last = stage.commit_many(20);
    sleep(Duration::from_mins(1)).await;
    assert!(stage.invoker.calls().is_empty(), "no event can be read");
    stage.log.broken.store(false, Ordering::Relaxed);
    stage.calls(20).await;
    stage.log.broken.store(true, Ordering::Relaxed);
    sleep(Duration::from_mins(1)).await;
    stage.log.broken.store(false, Ordering::Relaxed);
    stage.stored(last).await;
    let empty = || stage.log.stored("shop", "h").is_some_and(|known| known.parked.is_empty());
    until("all were tried again", empty).await;
    assert_eq!(stage.invoker.calls().len(), 40);
}

#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_holds_back_no_other() {
    let stage = Stage::new(|call| match call.extension.as_str() {
        "shop" => done().after(Duration::from_secs(29)),
        _ => done(),
    })
    .await;
    stage.start(vec![after()]).await;
    stage.hooks.permit(&name("mail"), &Permissions::Broad);
    stage.register("mail", vec![after()]).await;
    stage.invoker.set_ready("mail", true);
    let start = Instant::now();
    stage.commit_many(2000);
    let mails =
        || stage.invoker.calls().iter().filter(|call| call.extension == name("mail")).count();
    until("mail has all", || mails() == 2000).await;
    assert!(start.elapsed() < Duration::from_secs(29), "it waited for the slow one");
    let shop = stage.invoker.calls().len() - mails();
    assert!(shop <= 16, "{shop} at once");
}
