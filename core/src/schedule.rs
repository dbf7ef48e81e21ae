//! Cron expressions in a time zone: when the next slot comes, when the last one was.

use std::fmt;

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{
    Timestamp, ToSpan, Zoned,
    tz::{self, TimeZone},
};

use crate::document::{Duration, closest};

/// A cron expression (five fields, or six with the seconds first) in a time zone.
///
/// Where a clock goes forward, a slot at a fixed time inside the skipped hour comes when the hour has
/// passed; where it goes back, such a slot comes once. Expressions with `*` or steps in minutes or hours
/// follow the wall clock through both.
#[derive(Clone)]
pub struct Schedule {
    expression: String,
    cron: Cron,
    zone: TimeZone,
}

/// A schedule that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Not five fields and not six.
    #[error("expected five fields, or six with the seconds first, found {found}")]
    Fields {
        /// How many there are.
        found: usize,
    },
    /// A field that says nothing a clock could show.
    #[error("the {field} field `{text}` is wrong: {reason}")]
    Field {
        /// Which one.
        field: &'static str,
        /// What stands there.
        text: String,
        /// What it may hold.
        reason: String,
    },
    /// A date that does not exist.
    #[error("`{expression}` never comes")]
    Never {
        /// The expression.
        expression: String,
    },
    /// A time zone nobody knows.
    #[error("unknown time zone `{name}`")]
    Zone {
        /// The name.
        name: String,
        /// A name that is known and looks like it.
        near: Option<String>,
    },
}

impl ScheduleError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Fields { .. } => {
                "write minute, hour, day of month, month, day of week, such as `*/15 * * * *`".to_owned()
            }
            Self::Field { .. } => "write a number, a range `1-5`, a list `1,15` or a step `*/10`".to_owned(),
            Self::Never { .. } => "choose a day that the month has".to_owned(),
            Self::Zone { near: Some(near), .. } => format!("did you mean `{near}`?"),
            Self::Zone { near: None, .. } => {
                "write a name of the IANA database, such as UTC or Europe/Berlin".to_owned()
            }
        }
    }
}

/// Name, what it may hold, and a value that is always good.
const FIELDS: [(&str, &str); 6] = [
    ("seconds", "0 to 59"),
    ("minutes", "0 to 59"),
    ("hours", "0 to 23"),
    ("day of month", "1 to 31, or L for the last"),
    ("month", "1 to 12, or JAN to DEC"),
    ("day of week", "0 to 7 (0 and 7 are Sunday), or SUN to SAT"),
];

const HOUR: i64 = 3_600;

impl Schedule {
    /// Reads an expression and an IANA time zone name.
    pub fn parse(expression: &str, zone: &str) -> Result<Self, ScheduleError> {
        let zone = time_zone(zone)?;
        let expression = expression.split_whitespace().collect::<Vec<_>>().join(" ");
        let cron = cron(&expression)?;
        let schedule = Self { expression, cron, zone };
        match schedule.next_after(ANCHOR) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::Never { expression: schedule.expression }),
        }
    }

    /// The expression, with single spaces.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The IANA name of the time zone.
    pub fn zone(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// The first slot later than this.
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        let mut from = self.seconds(time);
        // A slot in a skipped hour is reported where the hour ends, which may be where we are.
        for _ in 0..4 {
            let next = self.cron.find_next_occurrence(&from, false).ok()?;
            if next.timestamp() > time {
                return Some(next.timestamp());
            }
            from = from.checked_add(1.second()).ok()?;
        }
        None
    }

    /// The last slot that is not later than this.
    pub fn previous_at_or_before(&self, time: Timestamp) -> Option<Timestamp> {
        let previous = self.cron.find_previous_occurrence(&self.seconds(time), true).ok()?.timestamp();
        // The search backwards does not see what a skipped hour put off; the one forwards does.
        let mut last = previous;
        while let Some(next) = self.next_after(last) {
            if next > time {
                break;
            }
            last = next;
        }
        Some(last)
    }

    /// The usual time between two slots: the most frequent among the first hundred of 2026.
    pub fn interval(&self) -> Duration {
        let mut gaps: Vec<i64> = self.slots(ANCHOR).take(100).map(|(_, gap)| gap).collect();
        gaps.sort_unstable();
        let usual = gaps.chunk_by(|a, b| a == b).max_by_key(|same| same.len()).and_then(<[i64]>::first);
        Duration::from_secs(usual.copied().unwrap_or_default())
    }

    /// The longest time between two slots within a year: over the weekend for office hours.
    pub fn largest_gap(&self) -> Duration {
        let mut largest = self.slots(ANCHOR).take(100).map(|(_, gap)| gap).max().unwrap_or_default();
        // Looks once an hour for five weeks, once a day for the rest of the year, at the gap it stands in.
        let mut at = ANCHOR;
        for step in std::iter::repeat_n(HOUR, 35 * 24).chain(std::iter::repeat_n(24 * HOUR, 366)) {
            let (Some(before), Some(after)) = (self.previous_at_or_before(at), self.next_after(at)) else {
                break;
            };
            largest = largest.max(after.as_second() - before.as_second());
            let stepped = Timestamp::from_second(at.as_second() + step).unwrap_or(Timestamp::MAX);
            at = stepped.max(after);
            if at.as_second() - ANCHOR.as_second() > 400 * 24 * HOUR {
                break;
            }
        }
        Duration::from_secs(largest)
    }

    /// The slots after a time, each with the seconds since the one before.
    fn slots(&self, from: Timestamp) -> impl Iterator<Item = (Timestamp, i64)> {
        let first = self.next_after(from);
        std::iter::successors(first.map(|first| (first, None)), |(slot, _)| {
            let next = self.next_after(*slot)?;
            Some((next, Some(next.as_second() - slot.as_second())))
        })
        .filter_map(|(slot, gap)| Some((slot, gap?)))
    }

    fn seconds(&self, time: Timestamp) -> Zoned {
        let whole =
            Timestamp::from_second(time.as_nanosecond().div_euclid(1_000_000_000).try_into().unwrap_or(0));
        whole.unwrap_or(time).to_zoned(self.zone.clone())
    }
}

/// 2026-01-01T00:00:00Z: where a question about a schedule alone begins to count.
const ANCHOR: Timestamp = Timestamp::constant(1_767_225_600, 0);

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({self})")
    }
}

impl fmt::Display for Schedule {
    /// `*/15 * * * * UTC`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.expression, self.zone())
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression && self.zone() == other.zone()
    }
}

/// The time zone of an IANA name.
pub fn time_zone(name: &str) -> Result<TimeZone, ScheduleError> {
    TimeZone::get(name).map_err(|_| {
        let names: Vec<String> = tz::db().available().map(|known| known.as_str().to_owned()).collect();
        // Many people write the city alone.
        let city = names.iter().find(|known| {
            known.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(&name.replace(' ', "_")))
        });
        let near = city.map(String::as_str).or_else(|| closest(name, names.iter().map(String::as_str)));
        ScheduleError::Zone { name: name.to_owned(), near: near.map(str::to_owned) }
    })
}

fn cron(expression: &str) -> Result<Cron, ScheduleError> {
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    let parts: Vec<&str> = expression.split_whitespace().collect();
    let nickname = parts.len() == 1 && expression.starts_with('@');
    if !nickname && parts.len() != 5 && parts.len() != 6 {
        return Err(ScheduleError::Fields { found: parts.len() });
    }
    parser.parse(expression).map_err(|error| {
        let names = FIELDS.iter().skip(FIELDS.len() - parts.len().min(FIELDS.len()));
        // Each field on its own, to say which one is wrong.
        let wrong = parts.iter().zip(names).enumerate().find(|(at, (part, _))| {
            let alone: Vec<&str> =
                (0..parts.len()).map(|other| if other == *at { *part } else { "*" }).collect();
            parser.parse(&alone.join(" ")).is_err()
        });
        match wrong {
            Some((_, (part, (field, range)))) => {
                ScheduleError::Field { field, text: (*part).to_owned(), reason: format!("expected {range}") }
            }
            None => ScheduleError::Field {
                field: "whole",
                text: expression.to_owned(),
                reason: error.to_string().to_lowercase().trim_end_matches('.').to_owned(),
            },
        }
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::Schedule;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn slots(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
        let first = schedule.next_after(at(from));
        std::iter::successors(first, |slot| schedule.next_after(*slot))
            .take(count)
            .map(|t| t.to_string())
            .collect()
    }

    #[test]
    fn a_fixed_time_in_the_skipped_hour_comes_when_the_hour_has_passed() {
        // Berlin goes from 02:00 to 03:00 on 2026-03-29.
        let schedule = Schedule::parse("30 2 * * *", "Europe/Berlin").unwrap();
        assert_eq!(
            slots(&schedule, "2026-03-27T12:00:00Z", 3),
            ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
        );
    }

    #[test]
    fn a_fixed_time_in_the_repeated_hour_comes_once() {
        // Berlin goes from 03:00 back to 02:00 on 2026-10-25.
        let schedule = Schedule::parse("30 2 * * *", "Europe/Berlin").unwrap();
        assert_eq!(
            slots(&schedule, "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
    }

    #[test]
    fn steps_follow_the_wall_clock_through_both_changes() {
        let schedule = Schedule::parse("*/30 * * * *", "Europe/Berlin").unwrap();
        for day in ["2026-03-29T00:00:00Z", "2026-10-25T00:00:00Z"] {
            let mut expected = at(day);
            for slot in slots(&schedule, day, 8) {
                expected = Timestamp::from_second(expected.as_second() + 1_800).unwrap();
                assert_eq!(slot, expected.to_string());
            }
        }
    }

    #[test]
    fn the_previous_slot_is_the_last_of_those_that_came() {
        for (cron, zone) in [
            ("30 2 * * *", "Europe/Berlin"),
            ("*/20 * * * *", "Europe/Berlin"),
            ("0 */2 * * *", "America/New_York"),
            ("0 8 * * MON", "Europe/Berlin"),
            ("*/10 * * * * *", "UTC"),
        ] {
            let schedule = Schedule::parse(cron, zone).unwrap();
            for start in ["2026-03-28T20:00:00.5Z", "2026-10-24T20:00:00Z", "2026-03-07T23:00:00Z"] {
                let mut last = schedule.next_after(at(start)).unwrap();
                for _ in 0..60 {
                    let next = schedule.next_after(last).unwrap();
                    assert!(next > last, "{schedule}");
                    let shortly_before = Timestamp::from_millisecond(next.as_millisecond() - 1).unwrap();
                    assert_eq!(schedule.previous_at_or_before(shortly_before), Some(last), "{schedule}");
                    assert_eq!(schedule.previous_at_or_before(next), Some(next), "{schedule}");
                    last = next;
                }
            }
        }
    }

    #[test]
    fn sunday_is_zero_and_seven_and_seconds_come_first() {
        let sunday = ["2026-01-04T08:00:00Z", "2026-01-11T08:00:00Z"];
        for expression in ["0 8 * * 0", "0 8 * * 7", "0 8 * * SUN", "0 0 8 * * sun"] {
            let schedule = Schedule::parse(expression, "UTC").unwrap();
            assert_eq!(slots(&schedule, "2026-01-01T00:00:00Z", 2), sunday, "{expression}");
        }
        let seconds = Schedule::parse("*/5 * * * * *", "UTC").unwrap();
        assert_eq!(slots(&seconds, "2026-01-01T00:00:00Z", 1), ["2026-01-01T00:00:05Z"]);
    }

    #[test]
    fn the_error_names_the_field() {
        for (expression, message) in [
            ("61 * * * *", "the minutes field `61` is wrong: expected 0 to 59"),
            ("0 25 * * *", "the hours field `25` is wrong: expected 0 to 23"),
            (
                "0 8 * * MOON",
                "the day of week field `MOON` is wrong: expected 0 to 7 (0 and 7 are Sunday), or SUN to SAT",
            ),
            ("0 8 * JANU *", "the month field `JANU` is wrong: expected 1 to 12, or JAN to DEC"),
            ("0 8 32 * *", "the day of month field `32` is wrong: expected 1 to 31, or L for the last"),
            ("99 0 8 * * *", "the seconds field `99` is wrong: expected 0 to 59"),
            ("*/0 * * * *", "the minutes field `*/0` is wrong: expected 0 to 59"),
            ("* * * *", "expected five fields, or six with the seconds first, found 4"),
            ("0 0 0 1 1 * 2030", "expected five fields, or six with the seconds first, found 7"),
            ("0 0 31 2 *", "`0 0 31 2 *` never comes"),
        ] {
            assert_eq!(Schedule::parse(expression, "UTC").unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_time_zone_that_is_nearly_right_gets_a_suggestion() {
        for (zone, hint) in [
            ("Europe/Berln", "did you mean `Europe/Berlin`?"),
            ("berlin", "did you mean `Europe/Berlin`?"),
            ("Middle-earth", "write a name of the IANA database, such as UTC or Europe/Berlin"),
        ] {
            assert_eq!(Schedule::parse("* * * * *", zone).unwrap_err().hint(), hint);
        }
    }

    #[test]
    fn interval_is_the_usual_gap_and_largest_gap_the_longest() {
        for (expression, interval, largest) in [
            ("*/15 * * * *", "15m", "15m"),
            ("*/5 * * * * *", "5s", "5s"),
            ("*/15 9-17 * * MON-FRI", "15m", "2d 15h"),
            ("0 8 * * MON", "7d", "7d"),
            ("0 0 1 * *", "31d", "31d"),
            ("@hourly", "1h", "1h"),
        ] {
            let schedule = Schedule::parse(expression, "UTC").unwrap();
            assert_eq!(schedule.interval().to_string(), interval, "{expression}");
            assert_eq!(schedule.largest_gap().to_string(), largest, "{expression}");
        }
    }
}
