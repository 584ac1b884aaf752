use proptest::prelude::*;
use serde_json::json;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn origin(anchor: &str) -> Origin {
    Origin { anchor: at(anchor), zone: TimeZone::UTC }
}

fn cron(pattern: &str, zone: &str) -> Timing {
    let timing = json!({ "method": "cron", "cron": pattern, "timezone": zone });
    Timing::parse(&timing).expect("a timing")
}

fn every(value: u32, unit: &str) -> Timing {
    let timing = json!({ "method": "interval", "unit": unit, "value": value });
    Timing::parse(&timing).expect("a timing")
}

/// The ticks after a time, as many as are expected.
fn follow(timing: &Timing, after: &str, expected: &[&str]) {
    let origin = origin("2026-01-01T00:00:00Z");
    let mut last = at(after);
    for tick in expected {
        let next = timing.next_after(last, &origin).expect("a tick");
        assert_eq!(next, at(tick), "{timing:?} after {last}");
        last = next;
    }
}

/// Berlin: 2026-03-29 02:00 becomes 03:00; 2026-10-25 03:00 becomes 02:00.
#[test]
fn half_past_two_in_berlin_runs_after_the_gap_and_once_in_the_overlap() {
    let timing = cron("30 2 * * *", "Europe/Berlin");
    follow(
        &timing,
        "2026-03-28T00:00:00Z",
        &["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
    );
    follow(
        &timing,
        "2026-10-24T12:00:00Z",
        &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z", "2026-10-27T01:30:00Z"],
    );
}

/// New York: 2026-03-08 02:00 becomes 03:00; 2026-11-01 02:00 becomes 01:00.
#[test]
fn a_pattern_with_several_times_leaves_out_the_gap_and_runs_in_both_hours_of_the_overlap() {
    let timing = cron("*/30 1-3 * * *", "America/New_York");
    follow(
        &timing,
        "2026-03-08T06:00:00Z",
        &["2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z", "2026-03-08T07:30:00Z"],
    );
    follow(
        &timing,
        "2026-11-01T04:59:00Z",
        &[
            "2026-11-01T05:00:00Z",
            "2026-11-01T05:30:00Z",
            "2026-11-01T06:00:00Z",
            "2026-11-01T06:30:00Z",
            "2026-11-01T07:00:00Z",
        ],
    );
}

/// Lord Howe: 2026-10-04 02:00 becomes 02:30; 2026-04-05 02:00 becomes 01:30.
#[test]
fn a_shift_of_half_an_hour_is_kept_too() {
    let timing = cron("15 2 * * *", "Australia/Lord_Howe");
    follow(&timing, "2026-10-02T16:00:00Z", &["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"]);
    let timing = cron("45 1 * * *", "Australia/Lord_Howe");
    follow(&timing, "2026-04-03T15:00:00Z", &["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"]);
}

#[test]
fn a_leap_day_comes_every_four_years_and_the_last_day_of_each_month() {
    follow(
        &cron("0 12 29 2 *", "UTC"),
        "2026-01-01T00:00:00Z",
        &["2028-02-29T12:00:00Z", "2032-02-29T12:00:00Z"],
    );
    follow(
        &cron("0 0 L * *", "UTC"),
        "2028-01-31T12:00:00Z",
        &["2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z", "2028-04-30T00:00:00Z"],
    );
}

#[test]
fn six_fields_begin_with_seconds() {
    follow(
        &cron("*/20 * * * * *", "UTC"),
        "2026-05-01T10:00:05.5Z",
        &["2026-05-01T10:00:20Z", "2026-05-01T10:00:40Z", "2026-05-01T10:01:00Z"],
    );
}

#[test]
fn an_interval_keeps_to_its_grid_however_late_it_is_asked() {
    let timing = every(90, "seconds");
    let origin = origin("2026-01-01T00:00:10Z");
    let next = |after| timing.next_after(at(after), &origin).expect("a tick");
    assert_eq!(next("2025-01-01T00:00:00Z"), at("2026-01-01T00:01:40Z"), "never before the first");
    assert_eq!(next("2026-01-01T00:01:40Z"), at("2026-01-01T00:03:10Z"));
    assert_eq!(next("2026-01-01T00:04:39.999999Z"), at("2026-01-01T00:04:40Z"));
    let days = every(1, "days");
    let at_noon = Origin { anchor: at("2026-03-28T11:00:00Z"), zone: TimeZone::UTC };
    let tick = days.next_after(at("2026-03-29T12:00:00Z"), &at_noon);
    assert_eq!(tick, Some(at("2026-03-30T11:00:00Z")), "a day of an interval has 24 hours");
}

#[test]
fn once_is_once_in_the_zone_that_it_names() {
    let once = |date, time, zone: Option<&str>| {
        let mut timing = json!({ "method": "once", "date": date, "time": time });
        if let Some(zone) = zone {
            timing["timezone"] = zone.into();
        }
        Timing::parse(&timing).expect("a timing")
    };
    let berlin = TimeZone::get("Europe/Berlin").expect("a zone");
    let origin = Origin { anchor: Timestamp::UNIX_EPOCH, zone: berlin };
    let tokyo = once("2026-12-01", "09:00:00", Some("Asia/Tokyo"));
    let tick = at("2026-12-01T00:00:00Z");
    assert_eq!(tokyo.next_after(at("2026-11-30T00:00:00Z"), &origin), Some(tick));
    assert_eq!(tokyo.next_after(tick, &origin), None);
    // In the server's zone: in the gap, behind it; in the overlap, the first.
    let gap = once("2026-03-29", "02:30:00", None);
    let first = gap.next_after(Timestamp::UNIX_EPOCH, &origin);
    assert_eq!(first, Some(at("2026-03-29T01:30:00Z")));
    let overlap = once("2026-10-25", "02:30:00", None);
    let first = overlap.next_after(Timestamp::UNIX_EPOCH, &origin);
    assert_eq!(first, Some(at("2026-10-25T00:30:00Z")));
}

#[test]
fn what_cannot_be_used_is_refused_with_words() {
    let cases = [
        (json!({}), "", "method"),
        (json!({ "method": "often" }), "", "once"),
        (json!({ "method": "cron", "cron": "61 * * * *" }), "cron", "61 * * * *"),
        (json!({ "method": "cron", "cron": "nonsense" }), "cron", "five fields"),
        (json!({ "method": "cron", "cron": "* * *" }), "cron", "five fields"),
        (json!({ "method": "cron", "cron": "0 0 30 2 *" }), "cron", "no date"),
        (json!({ "method": "cron", "cron": "* * * * *", "tz": "UTC" }), "", "tz"),
        (
            json!({ "method": "cron", "cron": "* * * * *", "timezone": "Mars/Base" }),
            "timezone",
            "Mars/Base",
        ),
        (json!({ "method": "interval", "unit": "seconds", "value": 0 }), "value", "at least 1"),
        (json!({ "method": "interval", "unit": "seconds", "value": -1 }), "", "-1"),
        (json!({ "method": "interval", "unit": "days", "value": 4_000 }), "value", "ten years"),
        (json!({ "method": "interval", "unit": "weeks", "value": 1 }), "", "weeks"),
        (json!({ "method": "once", "date": "2026-02-30", "time": "00:00:00" }), "", "day"),
        (json!({ "method": "once", "date": "2026-02-20" }), "", "time"),
        (json!([1]), "", ""),
    ];
    for (timing, field, words) in cases {
        let error = Timing::parse(&timing).expect_err(&timing.to_string());
        assert_eq!(error.field, field, "{timing}: {error}");
        assert!(error.to_string().contains(words), "{timing}: {error}");
    }
}

#[test]
fn a_timing_reads_back_as_it_was_written() {
    for timing in [
        json!({ "method": "cron", "cron": "0 2 * * 1-5", "description": "workdays at two" }),
        json!({ "method": "interval", "unit": "minutes", "value": 5, "timezone": "UTC" }),
        json!({ "method": "once", "date": "2027-01-31", "time": "23:59:59" }),
    ] {
        let read = Timing::parse(&timing).expect("a timing");
        assert_eq!(serde_json::to_value(read.spec()).expect("JSON"), timing);
    }
}

#[test]
fn an_outage_of_a_pattern_of_seconds_is_not_walked_through() {
    let timing = cron("* * * * * *", "UTC");
    let origin = origin("2026-01-01T00:00:00Z");
    let until = at("2036-01-01T00:00:00Z");
    let ticks = timing.last_ticks(at("2026-01-01T00:00:00Z"), until, 100, &origin);
    assert_eq!(ticks.len(), 100);
    assert_eq!(ticks.last(), Some(&until));
    let interval = every(1, "seconds");
    let ticks = interval.last_ticks(origin.anchor, until, 100, &origin);
    assert_eq!((ticks.len(), ticks.last()), (100, Some(&until)));
}

fn timings() -> impl Strategy<Value = Timing> {
    let zones = prop_oneof![
        Just("Europe/Berlin"),
        Just("America/New_York"),
        Just("Australia/Lord_Howe"),
        Just("UTC")
    ];
    let minute = prop_oneof![(0..60_u32).prop_map(|m| m.to_string()), Just("*/7".to_owned())];
    let hour = prop_oneof![(0..24_u32).prop_map(|h| h.to_string()), Just("*".to_owned())];
    let pattern = (minute, hour, zones)
        .prop_map(|(minute, hour, zone)| cron(&format!("{minute} {hour} * * *"), zone));
    let unit = prop_oneof![Just("seconds"), Just("minutes"), Just("hours")];
    prop_oneof![pattern, (1..5_000_u32, unit).prop_map(|(value, unit)| every(value, unit))]
}

proptest! {
    #[test]
    fn ticks_grow_and_lie_behind_what_was_asked(
        timing in timings(),
        after in 1_735_689_600_i64..1_830_297_600,
    ) {
        let origin = origin("2026-01-01T00:00:00Z");
        let after = Timestamp::from_second(after).expect("a time");
        let first = timing.next_after(after, &origin).expect("a tick");
        let second = timing.next_after(first, &origin).expect("a tick");
        prop_assert!(after < first && first < second);
        // Nothing lies between: whoever asks from within gets the same tick.
        let within = after + (first.duration_since(after) / 2);
        prop_assert_eq!(timing.next_after(within, &origin), Some(first));
    }

    #[test]
    fn the_last_ticks_are_those_that_walking_gives(
        timing in timings(),
        from in 1_770_000_000_i64..1_830_000_000,
        minutes in 0..5_000_i64,
        most in 1..20_usize,
    ) {
        let origin = origin("2026-01-01T00:00:00Z");
        let from = Timestamp::from_second(from).expect("a time");
        let until = from + SignedDuration::from_mins(minutes);
        let mut walked = Vec::new();
        let mut last = from - SignedDuration::from_micros(1);
        while let Some(tick) = timing.next_after(last, &origin).filter(|tick| *tick <= until) {
            walked.push(tick);
            last = tick;
        }
        let expected = &walked[walked.len().saturating_sub(most)..];
        prop_assert_eq!(timing.last_ticks(from, until, most, &origin), expected);
    }
}
