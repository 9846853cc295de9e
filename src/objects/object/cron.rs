//! Schedules of CronJobs, as upstream's parser reads them (robfig/cron v3, `ParseStandard`): five fields or a descriptor.

use crate::text::duration::parse_duration;
use jiff::{
    SignedDuration, Timestamp, ToSpan, Zoned,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use std::time::Duration;

/// How far a schedule is searched for its next time: one that does not fire within so many years never does.
const YEARS_SEARCHED: i16 = 5;

/// When something happens again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// At the minutes that all five fields allow.
    Fields(ScheduleFields),
    /// Again and again after this time, in whole seconds, at least one.
    Every(Duration),
}

/// The five fields, each a set of numbers as bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleFields {
    minute: u64,
    hour: u64,
    day: u64,
    month: u64,
    weekday: u64,
    /// Whether the day of the month or that of the week was left open (`*`, `?`): then both must allow a day, else one of
    /// them suffices.
    any_day: bool,
}

/// Which numbers a field takes, and which names it has for them.
struct Bounds {
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

const MINUTES: Bounds = Bounds { min: 0, max: 59, names: &[] };
const HOURS: Bounds = Bounds { min: 0, max: 23, names: &[] };
const DAYS: Bounds = Bounds { min: 1, max: 31, names: &[] };
const MONTHS: Bounds = Bounds {
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Bounds = Bounds { min: 0, max: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// Upstream's sentence about it.
    pub fn parse(text: &str) -> Result<Schedule, String> {
        if text.is_empty() {
            return Err("empty spec string".to_owned());
        }
        if let Some(descriptor) = text.strip_prefix('@') {
            return parse_descriptor(text, descriptor);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
        };
        let (minute, _) = parse_field(minute, &MINUTES)?;
        let (hour, _) = parse_field(hour, &HOURS)?;
        let (day, any_day_of_month) = parse_field(day, &DAYS)?;
        let (month, _) = parse_field(month, &MONTHS)?;
        let (weekday, any_weekday) = parse_field(weekday, &WEEKDAYS)?;
        let any_day = any_day_of_month || any_weekday;
        Ok(Schedule::Fields(ScheduleFields { minute, hour, day, month, weekday, any_day }))
    }

    /// The first time after `after`; `None` if there is none within five years. The work is bounded by the days of these.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            // Upstream counts from whole seconds.
            Schedule::Every(delay) => Timestamp::from_second(after.as_second()).ok()?.checked_add(*delay).ok(),
            Schedule::Fields(fields) => fields.next(after, zone),
        }
    }

    /// The latest time after `after` and not after `until`, if there is one. However long that is, the schedule is asked
    /// only some forty times.
    pub fn latest(&self, after: Timestamp, until: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if let Schedule::Every(delay) = self {
            let first = self.next(after, zone).filter(|first| *first <= until)?;
            let delay = i64::try_from(delay.as_secs()).unwrap_or(i64::MAX).max(1);
            let times = (until.as_second() - first.as_second()) / delay;
            return Timestamp::from_second(first.as_second() + times * delay).ok();
        }
        let fires_after = |second: i64| {
            let from = Timestamp::from_second(second).ok()?;
            self.next(from.max(after), zone).filter(|next| *next <= until)
        };
        // Whether it fires after a second, and by `until`, is true up to the one before its latest time.
        let (mut low, mut high) = (after.as_second(), until.as_second());
        let mut latest = fires_after(low)?;
        while low < high {
            let middle = low + (high - low) / 2;
            match fires_after(middle) {
                Some(found) => {
                    latest = latest.max(found);
                    low = found.as_second().max(middle + 1);
                }
                None => high = middle,
            }
        }
        Some(latest)
    }
}

impl ScheduleFields {
    fn allows_day(&self, date: Date) -> bool {
        let day = has(self.day, date.day().into());
        let weekday = has(self.weekday, date.weekday().to_sunday_zero_offset().into());
        if self.any_day { day && weekday } else { day || weekday }
    }

    fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let start = Timestamp::from_second(after.as_second()).ok()?.checked_add(SignedDuration::from_secs(1)).ok()?;
        let start = start.to_zoned(zone.clone());
        let (mut date, end) = (start.date(), start.year().checked_add(YEARS_SEARCHED)?);
        while date.year() <= end {
            if !has(self.month, date.month().into()) {
                // The first of the next month.
                date = date.last_of_month().tomorrow().ok()?;
                continue;
            }
            if self.allows_day(date)
                && let Some(found) = self.on_day(date, &start)
            {
                return Some(found);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// The first minute of a day that is not before `start`. Hours are walked as they pass, so that an hour that the clock
    /// skips does not come, and one that it repeats comes twice, as upstream has it.
    fn on_day(&self, date: Date, start: &Zoned) -> Option<Timestamp> {
        let midnight = DateTime::from_parts(date, jiff::civil::Time::midnight());
        let midnight = start.time_zone().to_ambiguous_zoned(midnight).compatible().ok()?;
        let mut at = if midnight < *start { start.clone() } else { midnight };
        // To a whole minute.
        let seconds = i64::from(at.second());
        if seconds > 0 {
            at = at.checked_add((60 - seconds).seconds()).ok()?;
        }
        while at.date() == date {
            if !has(self.hour, at.hour().into()) {
                at = at.checked_add((60 - i64::from(at.minute())).minutes()).ok()?;
            } else if !has(self.minute, at.minute().into()) {
                at = at.checked_add(1.minute()).ok()?;
            } else {
                return Some(at.timestamp());
            }
        }
        None
    }
}

fn has(set: u64, number: i32) -> bool {
    u32::try_from(number).ok().and_then(|number| 1_u64.checked_shl(number)).is_some_and(|bit| set & bit != 0)
}

/// A field: a list of ranges. The set, and whether one of the ranges leaves it open.
fn parse_field(text: &str, bounds: &Bounds) -> Result<(u64, bool), String> {
    let (mut set, mut open) = (0, false);
    for range in text.split(',').filter(|range| !range.is_empty()) {
        let (more, any) = parse_range(range, bounds)?;
        set |= more;
        open |= any;
    }
    Ok((set, open))
}

/// `number`, `number-number`, `*` or `?`, each also with a step: `*/5`, `3-20/4`, `3/4`.
fn parse_range(text: &str, bounds: &Bounds) -> Result<(u64, bool), String> {
    let parts: Vec<&str> = text.split('/').collect();
    let ends: Vec<&str> = parts[0].split('-').collect();
    let mut open = matches!(ends[0], "*" | "?");
    let (start, mut end) = match ends[..] {
        _ if open => (bounds.min, bounds.max),
        [only] => {
            let number = parse_number(only, bounds.names, bounds.min)?;
            (number, number)
        }
        [first, last] => {
            (parse_number(first, bounds.names, bounds.min)?, parse_number(last, bounds.names, bounds.min)?)
        }
        _ => {
            parse_number(ends[0], bounds.names, bounds.min)?;
            return Err(format!("too many hyphens: {text}"));
        }
    };
    let step = match parts[..] {
        [_] => 1,
        [_, step] => {
            let step = parse_number(step, &[], 0)?;
            if ends.len() == 1 {
                end = bounds.max;
            }
            open &= step <= 1;
            step
        }
        _ => return Err(format!("too many slashes: {text}")),
    };
    if start < bounds.min {
        return Err(format!("beginning of range ({start}) below minimum ({}): {text}", bounds.min));
    }
    if end > bounds.max {
        return Err(format!("end of range ({end}) above maximum ({}): {text}", bounds.max));
    }
    if start > end {
        return Err(format!("beginning of range ({start}) beyond end of range ({end}): {text}"));
    }
    let Some(step) = usize::try_from(step).ok().filter(|step| *step > 0) else {
        return Err(format!("step of range should be a positive number: {text}"));
    };
    Ok(((start..=end).step_by(step).fold(0, |set, number| set | 1 << number), open))
}

/// A number, or one of the names, the first of which is `first`.
fn parse_number(text: &str, names: &[&str], first: u32) -> Result<u32, String> {
    if let Some(at) = names.iter().position(|name| text.eq_ignore_ascii_case(name)) {
        return Ok(first + u32::try_from(at).unwrap_or(0));
    }
    let refused = |why: &str| format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: {why}");
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(refused("invalid syntax"));
    }
    let number: i64 = text.parse().map_err(|_| refused("value out of range"))?;
    if number < 0 {
        return Err(format!("negative number ({number}) not allowed: {text}"));
    }
    // What does not fit is above every maximum all the same.
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

fn parse_descriptor(text: &str, descriptor: &str) -> Result<Schedule, String> {
    let fields = match descriptor {
        "yearly" | "annually" => "0 0 1 1 *",
        "monthly" => "0 0 1 * *",
        "weekly" => "0 0 * * 0",
        "daily" | "midnight" => "0 0 * * *",
        "hourly" => "0 * * * *",
        _ => {
            let Some(every) = descriptor.strip_prefix("every ") else {
                return Err(format!("unrecognized descriptor: {text}"));
            };
            let refused = || format!("failed to parse duration {text}: time: invalid duration {every:?}");
            // One below a second, also below zero, is a second.
            let delay = match every.strip_prefix('-') {
                Some(negative) => parse_duration(negative).map(|_| Duration::ZERO),
                None => parse_duration(every.strip_prefix('+').unwrap_or(every)),
            };
            let seconds = delay.map_err(|_| refused())?.as_secs().max(1);
            return Ok(Schedule::Every(Duration::from_secs(seconds)));
        }
    };
    Schedule::parse(fields)
}

/// The time zone of this name in the IANA database; none is UTC.
///
/// # Errors
/// Upstream's sentence about a name that there is not.
pub fn time_zone(name: Option<&str>) -> Result<TimeZone, String> {
    match name {
        None => Ok(TimeZone::UTC),
        Some(name) => match TimeZone::get(name) {
            // The database is searched without regard to case; upstream's is not.
            Ok(zone) if zone.iana_name() == Some(name) => Ok(zone),
            _ => Err(format!("unknown time zone {name}")),
        },
    }
}

#[cfg(test)]
mod tests;
