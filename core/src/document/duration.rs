//! Durations as people write them: `30s`, `5m`, `1h30m`, `14d`, `2w`.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time in milliseconds, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(i64);

const UNITS: [(&str, i64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration: write a number and a unit, such as 30s, 5m, 1h30m or 14d")]
pub struct DurationError(String);

impl Duration {
    /// So many milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(if millis < 0 { 0 } else { millis })
    }

    /// So many seconds.
    pub const fn from_secs(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1_000))
    }

    /// Milliseconds.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The same as the standard library has it.
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0.unsigned_abs())
    }

    /// Reads whole numbers with the units w, d, h, m, s, ms, largest first or in any order.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        let fail = || DurationError(text.to_owned());
        let mut rest = text.trim();
        let mut total: i64 = 0;
        if rest.is_empty() {
            return Err(fail());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(fail)?;
            let (number, tail) = rest.split_at_checked(digits).ok_or_else(fail)?;
            let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at_checked(letters).ok_or_else(fail)?;
            let factor = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(fail)?.1;
            let number: i64 = number.parse().map_err(|_| fail())?;
            total = number.checked_mul(factor).and_then(|part| total.checked_add(part)).ok_or_else(fail)?;
            rest = tail;
        }
        Ok(Self(total))
    }
}

impl fmt::Display for Duration {
    /// The two largest units that say something: `14d`, `9d 4h`, `1h 30m`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Milliseconds say nothing beside seconds.
        let mut rest = if self.0 >= 1_000 { self.0 - self.0 % 1_000 } else { self.0 };
        let mut parts = Vec::new();
        for (unit, factor) in UNITS.iter().skip(1) {
            let count = rest / factor;
            rest %= factor;
            if count > 0 {
                parts.push(format!("{count}{unit}"));
            } else if !parts.is_empty() {
                break;
            }
            if parts.len() == 2 {
                break;
            }
        }
        if parts.is_empty() { f.pad("0s") } else { f.pad(&parts.join(" ")) }
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rest = self.0;
        let mut text = String::new();
        for (unit, factor) in UNITS.iter().skip(1) {
            if rest / factor > 0 {
                text.push_str(&(rest / factor).to_string());
                text.push_str(unit);
                rest %= factor;
            }
        }
        serializer.serialize_str(if text.is_empty() { "0s" } else { &text })
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "title": "a duration such as 30s, 5m or 14d",
            "pattern": r"^([0-9]+(w|d|h|ms|m|s))+$",
            "description": "Whole numbers with the units w, d, h, m, s and ms, such as 1h30m."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Duration;

    #[test]
    fn reads_and_prints_what_people_write() {
        for (text, millis, shown) in [
            ("30s", 30_000, "30s"),
            ("14d", 1_209_600_000, "14d"),
            ("2w", 1_209_600_000, "14d"),
            ("1h30m", 5_400_000, "1h 30m"),
            ("500ms", 500, "500ms"),
            ("0s", 0, "0s"),
            ("9d4h3m", 792_180_000, "9d 4h"),
        ] {
            let duration = Duration::parse(text).unwrap();
            assert_eq!((duration.millis(), duration.to_string().as_str()), (millis, shown), "{text}");
        }
        for text in ["", "5", "m", "5 m", "-5m", "1.5h", "5y", "99999999999999d"] {
            assert!(Duration::parse(text).is_err(), "{text}");
        }
    }
}
