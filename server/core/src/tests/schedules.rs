//! Schedules over a real database: what is taken, what is run, by whom, and how often.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tinybase_hooks::OwnSchedules;
use tinybase_model::{
    FunctionAuth, Identity, MissedPolicy, Outcome, OverlapPolicy, RunPolicy, ScheduleBinding,
    ScheduleId, Timing, UserId,
};
use tinybase_store::{RunStatus, ScheduleQuery, ScheduleRun, now};
use tokio_util::sync::CancellationToken;

use super::{TestCore, extension, function, json_bytes, user};
use crate::{Kind, NewSchedule, Problem, Schedule, ScheduleChange, ScheduleError, ScheduleState};

const ADMIN: Identity = Identity::Operator;

fn every_second() -> Value {
    json!({"method": "interval", "unit": "seconds", "value": 1})
}

fn yearly() -> Value {
    json!({"method": "cron", "cron": "0 0 1 1 *"})
}

fn new(schedule: Value) -> NewSchedule {
    NewSchedule {
        name: "often".to_owned(),
        function_name: "f".to_owned(),
        schedule,
        input_data: json_bytes(&json!({"x": 1})),
        is_active: true,
        policy: RunPolicy::default(),
    }
}

async fn with_function() -> TestCore {
    let test = TestCore::new().await;
    test.offer(function("f", FunctionAuth::Admin), |call| {
        Ok(Outcome::Success { output: Some(call.input.clone()), patch: None })
    });
    test
}

async fn create(test: &TestCore, new: NewSchedule) -> Schedule {
    test.core.schedules().create(&ADMIN, new).await.expect("a schedule")
}

async fn history(test: &TestCore, id: ScheduleId) -> Vec<ScheduleRun> {
    test.core.schedules().runs(&ADMIN, id, 100, 0).await.expect("runs").runs
}

/// Runs the scheduler until the work is done.
async fn scheduled<T>(test: &TestCore, work: impl Future<Output = T>) -> T {
    let stop = CancellationToken::new();
    let ((), done) = tokio::join!(test.core.run_schedules(stop.clone()), async {
        let done = tokio::time::timeout(Duration::from_secs(30), work).await;
        stop.cancel();
        done.expect("it comes to pass")
    });
    done
}

/// Looks after each commit whether something has come to pass.
async fn until(test: &TestCore, mut check: impl AsyncFnMut() -> bool) {
    let mut commits = test.store.commits();
    commits.mark_changed();
    while commits.changed().await.is_ok() {
        if check().await {
            return;
        }
    }
}

#[tokio::test]
async fn a_schedule_calls_its_function_with_its_input_and_nobody_as_user() {
    let test = with_function().await;
    let schedule = create(&test, new(every_second())).await;
    assert_eq!(schedule.state, ScheduleState::Active);
    assert!(schedule.next_run_at > Some(now()));
    scheduled(
        &test,
        until(&test, async || {
            let runs = history(&test, schedule.id).await;
            runs.iter().filter(|run| run.status == RunStatus::Succeeded).count() >= 2
        }),
    )
    .await;
    let runs = history(&test, schedule.id).await;
    let call = runs.last().and_then(|run| run.call_id).expect("a call");
    let call = test.core.functions().recorded_call(&ADMIN, call).await.expect("a call");
    assert_eq!(call.trigger_id, Some(schedule.id));
    assert_eq!((call.trigger_type.as_str(), call.requested_by_user_id), ("schedule", None));
    let gap = runs[0].scheduled_for.duration_since(runs[1].scheduled_for);
    assert_eq!(gap.as_millis() % 1000, 0, "ticks keep to their grid");
    let seen = test.core.schedules().get(&ADMIN, schedule.id).await.expect("it is there");
    assert_eq!(seen.last_run_at, Some(runs[0].scheduled_for));
    assert_eq!(seen.next_runs.map(|ticks| ticks.len()), Some(5));
}

#[tokio::test]
async fn two_schedulers_on_one_database_run_each_tick_once() {
    let test = with_function().await;
    let schedule = create(&test, new(every_second())).await;
    let stop = CancellationToken::new();
    let done = async {
        until(&test, async || {
            let runs = history(&test, schedule.id).await;
            runs.iter().filter(|run| run.status == RunStatus::Succeeded).count() >= 3
        })
        .await;
        stop.cancel();
    };
    let run = || test.core.run_schedules(stop.clone());
    tokio::time::timeout(Duration::from_mins(1), async { tokio::join!(run(), run(), done) })
        .await
        .expect("three ticks in time");
    let runs = history(&test, schedule.id).await;
    let mut ticks: Vec<_> = runs.iter().map(|run| run.scheduled_for).collect();
    let query = crate::CallQuery { trigger_id: Some(schedule.id), ..crate::CallQuery::default() };
    let calls = test.core.functions().calls(&ADMIN, &query).await.expect("calls");
    let started = runs.iter().filter(|run| run.call_id.is_some()).count();
    assert_eq!(calls.calls.len(), started, "a call for each tick that was run");
    ticks.dedup();
    assert_eq!(ticks.len(), runs.len());
}

#[tokio::test]
async fn what_cannot_be_scheduled_is_refused_with_words() {
    let test = with_function().await;
    let schedules = test.core.schedules();
    let cases = [
        (NewSchedule { function_name: "g".to_owned(), ..new(yearly()) }, "Function 'g' not found"),
        (new(json!({"method": "cron", "cron": "bad"})), "Invalid schedule configuration"),
        (new(json!({"method": "cron", "cron": "* * * * *", "x": 1})), "unknown field"),
        (
            new(json!({"method": "cron", "cron": "* * * * *", "timezone": "Mars"})),
            "no time zone \"Mars\"",
        ),
        (new(json!({"method": "once", "date": "2020-01-01", "time": "00:00:00"})), "in the past"),
        (NewSchedule { input_data: json_bytes(&json!([1])), ..new(yearly()) }, "JSON object"),
        (
            NewSchedule {
                policy: RunPolicy { timeout: Some(Duration::ZERO), ..RunPolicy::default() },
                ..new(yearly())
            },
            "timeout",
        ),
    ];
    for (new, words) in cases {
        let error = schedules.create(&ADMIN, new).await.expect_err(words);
        assert_eq!(error.kind(), Kind::Invalid, "{words}");
        assert!(error.to_string().contains(words), "{error}");
    }
    for stranger in [Identity::Anonymous, user(UserId::generate())] {
        let refused = schedules.create(&stranger, new(yearly())).await;
        assert!(matches!(refused, Err(ScheduleError::Denied(_))));
        assert!(schedules.list(&stranger, &ScheduleQuery::default()).await.is_err());
    }
}

#[tokio::test]
async fn pausing_clears_the_next_run_and_resuming_finds_it_anew() {
    let test = with_function().await;
    let schedules = test.core.schedules();
    let id = create(&test, new(yearly())).await.id;
    let switch =
        |is_active| ScheduleChange { is_active: Some(is_active), ..ScheduleChange::default() };
    let paused = schedules.change(&ADMIN, id, switch(false)).await.expect("a change");
    assert_eq!((paused.state, paused.next_run_at), (ScheduleState::Paused, None));
    let resumed = schedules.change(&ADMIN, id, switch(true)).await.expect("a change");
    assert!(resumed.next_run_at.is_some() && resumed.is_active);
    let sooner = ScheduleChange {
        schedule: Some(every_second()),
        overlap: Some(OverlapPolicy::Queue),
        ..ScheduleChange::default()
    };
    let changed = schedules.change(&ADMIN, id, sooner).await.expect("a change");
    assert!(changed.next_run_at < resumed.next_run_at);
    assert_eq!(changed.overlap, OverlapPolicy::Queue);
    schedules.delete(&ADMIN, id).await.expect("it is there");
    let gone = schedules.get(&ADMIN, id).await.expect_err("it is gone");
    assert_eq!(gone.kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_run_that_goes_on_keeps_the_next_ones_out_by_the_policy() {
    let test = TestCore::new().await;
    test.offer_slow(function("f", FunctionAuth::Public));
    let by = |overlap| NewSchedule {
        policy: RunPolicy { overlap, ..RunPolicy::default() },
        ..new(every_second())
    };
    let skip = create(&test, by(OverlapPolicy::Skip)).await.id;
    let queue = create(&test, by(OverlapPolicy::Queue)).await.id;
    let allow = create(&test, by(OverlapPolicy::Allow)).await.id;
    scheduled(&test, async {
        until(&test, async || {
            let skipped = history(&test, skip).await;
            let queued = history(&test, queue).await;
            let allowed = history(&test, allow).await;
            let count = |runs: &[ScheduleRun], status| {
                runs.iter().filter(|run| run.status == status).count()
            };
            count(&skipped, RunStatus::Skipped) >= 2
                && count(&queued, RunStatus::Skipped) >= 1
                && count(&allowed, RunStatus::Running) >= 2
        })
        .await;
        for (id, running, queued) in [(skip, 1, 0), (queue, 1, 1)] {
            let runs = history(&test, id).await;
            let count = |status| runs.iter().filter(|run| run.status == status).count();
            assert_eq!(count(RunStatus::Running), running, "{runs:?}");
            assert_eq!(count(RunStatus::Queued), queued, "{runs:?}");
            let skipped = runs.iter().filter(|run| run.status == RunStatus::Skipped);
            assert!(skipped.into_iter().all(|run| run.reason.as_deref() == Some("overlap")));
        }
        let busy = test.core.schedules().run_now(&ADMIN, skip).await.expect_err("it runs");
        assert_eq!(busy.kind(), Kind::Conflict);
    })
    .await;
}

#[tokio::test]
async fn a_schedule_is_run_now_when_somebody_asks() {
    let test = with_function().await;
    let id = create(&test, new(yearly())).await.id;
    let before = test.core.schedules().get(&ADMIN, id).await.expect("it is there").next_run_at;
    let asked = test.core.schedules().run_now(&ADMIN, id).await.expect("it is noted");
    scheduled(
        &test,
        until(&test, async || {
            let runs = history(&test, id).await;
            runs.first().is_some_and(|run| run.status == RunStatus::Succeeded)
        }),
    )
    .await;
    let runs = history(&test, id).await;
    assert_eq!((runs[0].scheduled_for, runs[0].is_manual), (asked, true));
    let after = test.core.schedules().get(&ADMIN, id).await.expect("it is there").next_run_at;
    assert_eq!(after, before, "its own ticks stay as they are");
}

#[tokio::test]
async fn a_schedule_whose_function_is_gone_says_so() {
    let test = with_function().await;
    let id = create(&test, new(yearly())).await.id;
    test.hooks.functions.lock().expect("a lock").clear();
    let seen = test.core.schedules().get(&ADMIN, id).await.expect("it is there");
    assert_eq!((seen.state, seen.is_active), (ScheduleState::FunctionMissing, true));
}

#[tokio::test]
async fn missed_ticks_are_left_out_coalesced_or_made_up_for() {
    let test = with_function().await;
    let by = |missed| NewSchedule {
        policy: RunPolicy { missed, ..RunPolicy::default() },
        ..new(json!({"method": "interval", "unit": "hours", "value": 1}))
    };
    let mut ids = Vec::new();
    for missed in [MissedPolicy::Skip, MissedPolicy::RunOnce, MissedPolicy::RunAll] {
        let id = create(&test, by(missed)).await.id;
        let mut stored = test.store.schedule(id).await.expect("a read").expect("it is there");
        // As if the server had been away for three and a half hours.
        stored.times.anchor_at = now() - Duration::from_mins(4 * 60 + 30);
        stored.times.next_run_at = Some(stored.times.anchor_at + Duration::from_hours(1));
        assert!(test.store.update_schedule(stored).await.expect("a write"));
        ids.push(id);
    }
    let count = async |id, status| {
        history(&test, id).await.iter().filter(|run| run.status == status).count()
    };
    scheduled(
        &test,
        until(&test, async || {
            count(ids[0], RunStatus::Skipped).await == 1
                && count(ids[1], RunStatus::Succeeded).await == 1
                && count(ids[2], RunStatus::Succeeded).await == 4
        }),
    )
    .await;
    for id in ids {
        let seen = test.core.schedules().get(&ADMIN, id).await.expect("it is there");
        assert!(seen.next_run_at > Some(now()));
    }
}

#[tokio::test]
async fn what_an_extension_declares_comes_and_goes_with_it() {
    let test = with_function().await;
    let binding = ScheduleBinding {
        name: "nightly".to_owned(),
        function: "f".to_owned(),
        timing: Timing::parse(&yearly()).expect("a timing"),
        input: json_bytes(&json!({})),
        policy: RunPolicy::default(),
    };
    let offer = |schedules: Vec<ScheduleBinding>| {
        let own = OwnSchedules { extension: extension(), schedules, is_complete: true };
        *test.hooks.schedules.lock().expect("a lock") = vec![Arc::new(own)];
    };
    offer(vec![binding.clone()]);
    let mut known = None;
    test.core.sync_schedules(&mut known).await.expect("a sync");
    let list = async || {
        let page = test.core.schedules().list(&ADMIN, &ScheduleQuery::default()).await;
        page.expect("a page").schedules
    };
    let [shown] = list().await.try_into().expect("one");
    assert_eq!((shown.extension, shown.name.as_str()), (Some(extension()), "nightly"));
    let rename = ScheduleChange { name: Some("x".to_owned()), ..ScheduleChange::default() };
    let owned = test.core.schedules().change(&ADMIN, shown.id, rename).await;
    assert!(matches!(owned, Err(ScheduleError::Owned(_))));
    let pause = ScheduleChange { is_active: Some(false), ..ScheduleChange::default() };
    test.core.schedules().change(&ADMIN, shown.id, pause).await.expect("it may be paused");

    let timing = Timing::parse(&every_second()).expect("a timing");
    offer(vec![ScheduleBinding { timing, ..binding }]);
    test.core.sync_schedules(&mut known).await.expect("a sync");
    let [changed] = list().await.try_into().expect("one");
    assert_eq!(changed.id, shown.id);
    assert_ne!(changed.schedule, shown.schedule);
    assert!(!changed.is_active, "it stays paused");

    test.hooks.schedules.lock().expect("a lock").clear();
    test.core.sync_schedules(&mut known).await.expect("a sync");
    assert!(list().await.is_empty());
}
