//! Schedules: what is read, what is refused, and when they fire.
#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

#[test]
fn refusals() {
    let rows = [
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("* * * * * *", "expected exactly 5 fields, found 6: [* * * * * *]"),
        ("bad", "expected exactly 5 fields, found 1: [bad]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"),
        ("a b c d e", "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax"),
        (
            "99999999999999999999 * * * *",
            "failed to parse int from 99999999999999999999: strconv.Atoi: parsing \"99999999999999999999\": value out of range",
        ),
        ("-1 * * * *", "failed to parse int from : strconv.Atoi: parsing \"\": invalid syntax"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("*/-1 * * * *", "negative number (-1) not allowed: -1"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("@often", "unrecognized descriptor: @often"),
        ("@every soon", "failed to parse duration @every soon: time: invalid duration \"soon\""),
        ("", "empty spec string"),
    ];
    for (text, expected) in rows {
        assert_eq!(Schedule::parse(text), Err(expected.to_owned()), "{text:?}");
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn next_times() {
    // A schedule, its time zone, a time, and the next times after it; `-` is none.
    let rows: &[(&str, &str, &str, &[&str])] = &[
        ("* * * * *", "UTC", "2026-01-01T00:00:00Z", &["2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z"]),
        ("*/20 * * * *", "UTC", "2026-01-01T00:59:59.5Z", &["2026-01-01T01:00:00Z", "2026-01-01T01:20:00Z"]),
        ("0 3 * * *", "UTC", "2026-02-28T03:00:00Z", &["2026-03-01T03:00:00Z"]),
        ("5/20 8-9 * * *", "UTC", "2026-01-01T08:25:00Z", &["2026-01-01T08:45:00Z", "2026-01-01T09:05:00Z"]),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
        ("0 0 31 2 *", "UTC", "2026-01-01T00:00:00Z", &["-"]),
        (", * * * *", "UTC", "2026-01-01T00:00:00Z", &["-"]),
        // Either day, where both are given; both, where one is open.
        ("0 0 13 * FRI", "UTC", "2026-02-09T00:00:00Z", &["2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z"]),
        ("0 0 ? * mon-wed", "UTC", "2026-02-11T00:00:00Z", &["2026-02-16T00:00:00Z", "2026-02-17T00:00:00Z"]),
        ("0 0 */2 * MON", "UTC", "2026-02-01T00:00:00Z", &["2026-02-02T00:00:00Z", "2026-02-03T00:00:00Z"]),
        ("0 12 1 JAN,jul *", "UTC", "2026-02-01T00:00:00Z", &["2026-07-01T12:00:00Z", "2027-01-01T12:00:00Z"]),
        ("@weekly", "UTC", "2026-02-11T00:00:00Z", &["2026-02-15T00:00:00Z"]),
        ("@yearly", "UTC", "2026-02-11T00:00:00Z", &["2027-01-01T00:00:00Z"]),
        ("@every 90s", "UTC", "2026-01-01T00:00:00.7Z", &["2026-01-01T00:01:30Z", "2026-01-01T00:03:00Z"]),
        ("@every 10ms", "UTC", "2026-01-01T00:00:00Z", &["2026-01-01T00:00:01Z"]),
        ("@every -1h", "UTC", "2026-01-01T00:00:00Z", &["2026-01-01T00:00:01Z"]),
        ("0 3 * * *", "Asia/Kolkata", "2026-01-01T00:00:00Z", &["2026-01-01T21:30:00Z"]),
        // The clock goes from 2:00 to 3:00 on 2026-03-29 in Berlin: 2:30 does not come that day.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", &["2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"]),
        ("0 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", &["2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"]),
        // It goes from 3:00 back to 2:00 on 2026-10-25: 2:30 comes twice.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"],
        ),
        // There is no midnight on the first day of summer time in Santiago: the day begins at one o'clock.
        ("0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", &["2026-09-07T03:00:00Z"]),
        // 2011-12-30 was left out in Samoa.
        ("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", &["2012-12-29T22:00:00Z"]),
    ];
    for (schedule, zone, after, expected) in rows {
        let (parsed, zone) = (Schedule::parse(schedule).unwrap(), time_zone(Some(zone)).unwrap());
        let mut after = at(after);
        for expected in *expected {
            let next = parsed.next(after, &zone);
            assert_eq!(next.map_or("-".to_owned(), |next| next.to_string()), *expected, "{schedule} after {after}");
            after = next.unwrap_or(after);
        }
    }
    assert_eq!(time_zone(Some("Mars/Base")), Err("unknown time zone Mars/Base".to_owned()));
    let end = Schedule::parse("* * * * *").unwrap();
    assert_eq!(end.next(Timestamp::MAX, &TimeZone::UTC), None);
    assert_eq!(Schedule::Every(Duration::MAX).next(Timestamp::UNIX_EPOCH, &TimeZone::UTC), None);
}

#[test]
fn latest_times() {
    let rows = [
        ("* * * * *", "2026-01-01T00:00:30Z", "2126-01-01T00:00:30Z", "2126-01-01T00:00:00Z"),
        ("* * * * *", "2026-01-01T00:00:30Z", "2026-01-01T00:00:59Z", "-"),
        ("* * * * *", "2026-01-01T00:00:30Z", "2026-01-01T00:01:00Z", "2026-01-01T00:01:00Z"),
        ("* * * 1 *", "2026-01-31T23:58:00Z", "2027-02-15T00:00:00Z", "2027-01-31T23:59:00Z"),
        ("30 6-16/4 * * 1-5", "2026-01-01T00:00:00Z", "2026-02-08T12:00:00Z", "2026-02-06T14:30:00Z"),
        ("@every 7s", "2026-01-01T00:00:00Z", "2026-01-01T00:00:30Z", "2026-01-01T00:00:28Z"),
        ("0 0 31 2 *", "2026-01-01T00:00:00Z", "2126-01-01T00:00:00Z", "-"),
        // The clock went back.
        ("* * * * *", "2026-01-01T00:00:30Z", "2025-01-01T00:00:30Z", "-"),
    ];
    for (schedule, after, until, expected) in rows {
        let latest = Schedule::parse(schedule).unwrap().latest(at(after), at(until), &TimeZone::UTC);
        assert_eq!(latest.map_or("-".to_owned(), |latest| latest.to_string()), expected, "{schedule} {after} {until}");
    }
}

proptest! {
    /// The latest time is the one that walking from the first to the last finds.
    #[test]
    fn latest_is_the_last_of_the_next(
        minute in 0..60_u32, step in 1..30_u32, hour in 0..24_u32, from in 0..4_000_000_i64, length in 0..400_000_i64,
    ) {
        let schedule = Schedule::parse(&format!("{minute}/{step} {hour}/5 * * *")).unwrap();
        let zone = time_zone(Some("Europe/Berlin")).unwrap();
        let after = Timestamp::from_second(1_790_000_000 + from).unwrap();
        let until = after + SignedDuration::from_secs(length);
        let mut walked = None;
        while let Some(next) = schedule.next(walked.unwrap_or(after), &zone).filter(|next| *next <= until) {
            walked = Some(next);
        }
        prop_assert_eq!(schedule.latest(after, until, &zone), walked);
    }

    #[test]
    fn nothing_panics(text in ".{0,40}", fields in "[-*/?,0-9a-z]{1,12}( [-*/?,0-9a-z]{1,8}){4}") {
        for text in [text, fields] {
            if let Ok(schedule) = Schedule::parse(&text) {
                let _ = schedule.next(Timestamp::UNIX_EPOCH, &TimeZone::UTC);
            }
        }
    }
}
