//! How long ago something was, in Go's short form (`HumanDuration` of apimachinery).

use jiff::Timestamp;
use serde_json::Value;

/// `119s`, `2m5s`, `170m`, `3h5m`, `47h`, `2d3h`, `200d`, `2y40d`: two units at most, the smaller one where it matters.
/// Clocks may differ by a second; what is further in the future is `<invalid>`.
pub fn human_duration(seconds: i64) -> String {
    const DAY: i64 = 24;
    const YEAR: i64 = 365 * DAY;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let two = |large: i64, unit: &str, small: i64, of: &str| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{of}"),
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        _ if seconds < 120 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 8 * DAY => two(hours / DAY, "d", hours % DAY, "h"),
        _ if hours < 2 * YEAR => format!("{}d", hours / DAY),
        _ if hours < 8 * YEAR => two(hours / YEAR, "y", hours / DAY % 365, "d"),
        _ => format!("{}y", hours / YEAR),
    }
}

/// The time since a timestamp of an object; `<unknown>` without one.
pub(super) fn since(timestamp: &str, now: Timestamp) -> String {
    match timestamp.parse::<Timestamp>() {
        // Whole seconds, rounded towards zero, as Go's conversion does.
        Ok(then) => human_duration(now.duration_since(then).as_secs()),
        Err(_) => "<unknown>".to_owned(),
    }
}

/// The time since an object was created.
pub(super) fn age(object: &Value, now: Timestamp) -> String {
    since(super::text(object, "/metadata/creationTimestamp"), now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        const MINUTE: i64 = 60;
        const HOUR: i64 = 60 * MINUTE;
        const DAY: i64 = 24 * HOUR;
        for (seconds, expected) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (10 * MINUTE - 1, "9m59s"),
            (10 * MINUTE, "10m"),
            (170 * MINUTE + 59, "170m"),
            (3 * HOUR, "3h"),
            (3 * HOUR + 5 * MINUTE, "3h5m"),
            (8 * HOUR, "8h"),
            (48 * HOUR - 1, "47h"),
            (2 * DAY, "2d"),
            (2 * DAY + 3 * HOUR, "2d3h"),
            (8 * DAY - 1, "7d23h"),
            (8 * DAY + HOUR, "8d"),
            (200 * DAY, "200d"),
            (729 * DAY, "729d"),
            (730 * DAY, "2y"),
            (770 * DAY, "2y40d"),
            (8 * 365 * DAY + DAY, "8y"),
            (i64::MIN, "<invalid>"),
            (i64::MAX, "292471208677y"),
        ] {
            assert_eq!(human_duration(seconds), expected, "{seconds}");
        }
    }
}
