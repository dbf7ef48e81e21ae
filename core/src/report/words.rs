//! Figures, times and lists as people write them.

use jiff::Timestamp;

/// `9,674`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 policy`, `1,200 policies`.
pub(super) fn many(number: u64, one: &str, more: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { more })
}

/// `2026-11-21 11:24 UTC`.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `2026-11-21`.
pub(super) fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// How long ago, in the one unit that matters: `12 days`, `3 hours`, `5 minutes`.
pub(super) fn age(from: Timestamp, to: Timestamp) -> String {
    let minutes = u64::try_from((to.as_second() - from.as_second()) / 60).unwrap_or(0);
    match minutes {
        0 => "under a minute".to_owned(),
        1..60 => many(minutes, "minute", "minutes"),
        60..2_880 => many(minutes / 60, "hour", "hours"),
        _ => many(minutes / 1_440, "day", "days"),
    }
}

/// How long something took: `2.8 s`, `3 min 20 s`.
pub(super) fn took(from: Timestamp, to: Timestamp) -> String {
    let millis = u64::try_from(to.as_millisecond() - from.as_millisecond()).unwrap_or(0);
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        _ => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1_000),
    }
}

/// `96.2`; figures of the model are rounded already.
pub(super) fn tenths(number: f64) -> String {
    if (number - 100.0).abs() < f64::EPSILON { "100".to_owned() } else { format!("{number:.1}") }
}

/// `+0.4`, `−1.2`, `±0`.
pub(super) fn delta(number: f64) -> String {
    let text = format!("{:.1}", number.abs());
    match text.as_str() {
        "0.0" => "±0".to_owned(),
        _ if number < 0.0 => format!("−{text}"),
        _ => format!("+{text}"),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// The first letter made a capital, for the start of a sentence; a name or a path stays as it is.
pub(super) fn sentence(text: &str) -> String {
    let word = text.split([' ', ':', ',']).next().unwrap_or("");
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if word.chars().all(char::is_lowercase) => first.to_uppercase().chain(letters).collect(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{age, count, delta, list, many, sentence, took};
    use jiff::Timestamp;

    #[test]
    fn figures_are_grouped_in_thousands() {
        assert_eq!([0, 999, 1_000, 9_674, 1_234_567].map(count), ["0", "999", "1,000", "9,674", "1,234,567"]);
        assert_eq!(many(1, "policy", "policies"), "1 policy");
        assert_eq!(delta(-1.25), "−1.2");
        assert_eq!(delta(0.01), "±0");
    }

    #[test]
    fn times_are_told_in_the_unit_that_matters() {
        let from = Timestamp::UNIX_EPOCH;
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(age(from, at(90)), "1 minute");
        assert_eq!(age(from, at(7_200)), "2 hours");
        assert_eq!(age(from, at(86_400 * 12)), "12 days");
        assert_eq!(age(at(60), from), "under a minute");
        assert_eq!(took(from, Timestamp::from_millisecond(2_850).unwrap()), "2.8 s");
    }

    #[test]
    fn a_sentence_begins_with_a_capital_and_a_path_does_not() {
        assert_eq!(sentence("soak 9d of 14d"), "Soak 9d of 14d");
        assert_eq!(sentence("objects/cart.yaml:3: not YAML"), "objects/cart.yaml:3: not YAML");
        assert_eq!(sentence(""), "");
    }

    #[test]
    fn lists_end_with_and() {
        let items: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        assert_eq!(list(&items), "a, b and c");
        assert_eq!(list(&items[..1]), "a");
    }
}
