use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn hourly() -> (Timing, Origin) {
    let timing = Timing::parse(&json!({ "method": "cron", "cron": "0 * * * *" }));
    let origin = Origin { anchor: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
    (timing.expect("a timing"), origin)
}

fn planned(missed: MissedPolicy, due: &str, now: &str) -> Plan {
    let (timing, origin) = hourly();
    plan(&timing, &origin, missed, at(due), at(now))
}

#[test]
fn a_tick_in_time_runs_under_every_policy() {
    for missed in MissedPolicy::ALL {
        let plan = planned(missed, "2026-05-01T10:00:00Z", "2026-05-01T10:00:30Z");
        let (tick, next) = (at("2026-05-01T10:00:00Z"), Some(at("2026-05-01T11:00:00Z")));
        assert_eq!(plan, Plan { tick, fate: Fate::Run, next }, "{missed:?}");
    }
}

#[test]
fn after_an_outage_the_policy_decides() {
    let (due, now) = ("2026-05-01T10:00:00Z", "2026-05-01T14:30:00Z");
    let (first, last) = (at("2026-05-01T10:00:00Z"), at("2026-05-01T14:00:00Z"));
    let next = Some(at("2026-05-01T15:00:00Z"));
    let plan = planned(MissedPolicy::Skip, due, now);
    assert_eq!(plan, Plan { tick: last, fate: Fate::Missed, next });
    let plan = planned(MissedPolicy::RunOnce, due, now);
    assert_eq!(plan, Plan { tick: last, fate: Fate::Run, next });
    let plan = planned(MissedPolicy::RunAll, due, now);
    let next = Some(at("2026-05-01T11:00:00Z"));
    assert_eq!(plan, Plan { tick: first, fate: Fate::CatchUp, next });
}

#[test]
fn skipping_still_runs_the_tick_that_has_just_come() {
    let plan = planned(MissedPolicy::Skip, "2026-05-01T10:00:00Z", "2026-05-01T14:00:05Z");
    assert_eq!(plan.fate, Fate::Run);
    assert_eq!(plan.tick, at("2026-05-01T14:00:00Z"));
}

#[test]
fn no_more_than_a_hundred_ticks_are_made_up_for() {
    let mut due = at("2026-05-01T00:00:00Z");
    let now = at("2026-06-01T00:00:00Z");
    let (timing, origin) = hourly();
    let mut runs = 0;
    while due <= now {
        let plan = plan(&timing, &origin, MissedPolicy::RunAll, due, now);
        assert_ne!(plan.fate, Fate::Missed);
        runs += 1;
        due = plan.next.expect("a tick");
    }
    assert_eq!(runs, CATCH_UP_MAX);
}

#[test]
fn the_last_tick_of_all_has_no_successor() {
    let once = json!({ "method": "once", "date": "2026-05-01", "time": "10:00:00" });
    let timing = Timing::parse(&once).expect("a timing");
    let (_, origin) = hourly();
    let due = at("2026-05-01T10:00:00Z");
    for (missed, fate) in [
        (MissedPolicy::Skip, Fate::Missed),
        (MissedPolicy::RunOnce, Fate::Run),
        (MissedPolicy::RunAll, Fate::CatchUp),
    ] {
        let plan = plan(&timing, &origin, missed, due, at("2026-05-02T00:00:00Z"));
        assert_eq!(plan, Plan { tick: due, fate, next: None });
    }
}

proptest! {
    #[test]
    fn a_plan_never_looks_back(
        minutes in 1..300_u32,
        since in 1..100_000_i64,
        late in 0..1_000_000_i64,
        missed in prop_oneof![
            Just(MissedPolicy::Skip), Just(MissedPolicy::RunOnce), Just(MissedPolicy::RunAll)
        ],
    ) {
        let interval = json!({ "method": "interval", "unit": "minutes", "value": minutes });
        let timing = Timing::parse(&interval).expect("a timing");
        let (_, origin) = hourly();
        let due = timing
            .next_after(origin.anchor + SignedDuration::from_mins(since), &origin)
            .expect("a tick");
        let now = due + SignedDuration::from_secs(late);
        let plan = plan(&timing, &origin, missed, due, now);
        let next = plan.next.expect("a tick");
        prop_assert!(due <= plan.tick && plan.tick <= now && plan.tick < next);
        let late = next <= now || now.duration_since(plan.tick) > MISSED_AFTER;
        prop_assert_eq!(plan.fate == Fate::CatchUp, missed == MissedPolicy::RunAll && late);
        prop_assert!(plan.fate == Fate::CatchUp || next > now);
    }
}
