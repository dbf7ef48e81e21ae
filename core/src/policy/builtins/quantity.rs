//! Numbers in texts, alone and with units, as OPA reads them, and nothing beyond what a float64 can
//! hold: `1e999999999` is short, but its digits would fill the memory.

use num_bigint::BigUint;
use regorus::Value;

/// Significant digits that are kept; of the others it matters only whether there are any.
const MAX_DIGITS: usize = 800;
/// Digits that OPA takes in the exponent of an amount with a unit.
const MAX_EXPONENT_DIGITS: usize = 6;
/// The bits of Go's `big.Float` when it reads a text.
const PRECISION: u64 = 64;

/// `digits · 10^exponent`.
struct Decimal {
    negative: bool,
    digits: BigUint,
    exponent: i64,
}

impl Decimal {
    /// A sign, digits with or without a point, an exponent; `None` beyond the range of a float64.
    fn parse(text: &str) -> Option<Self> {
        let float = in_range(text)?;
        let (negative, unsigned) = match text.strip_prefix(['+', '-']) {
            Some(unsigned) => (text.starts_with('-'), unsigned),
            None => (false, text),
        };
        // Too small to be anything.
        if float == 0.0 {
            return Some(Self { negative: false, digits: BigUint::ZERO, exponent: 0 });
        }
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut exponent = exponent.parse::<i64>().ok()?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        let mut digits = format!("{whole}{fraction}").trim_start_matches('0').to_owned();
        if digits.len() > MAX_DIGITS {
            let more = digits.split_off(MAX_DIGITS);
            exponent = exponent.checked_add(i64::try_from(more.len()).ok()?)?;
            if more.bytes().any(|digit| digit != b'0') {
                digits.push('1');
                exponent -= 1;
            }
        }
        Some(Self { negative, digits: digits.parse().ok()?, exponent })
    }
}

/// The text as a float64, if it is a number within its range, as Go's `strconv.ParseFloat` has it;
/// infinities, hexadecimal and underscores apart.
fn in_range(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty())
        || !digits(whole)
        || !digits(fraction)
        || exponent.is_some_and(|exponent| exponent.is_empty() || !digits(exponent))
    {
        return None;
    }
    text.parse::<f64>().ok().filter(|float| float.is_finite())
}

/// Whether a number in a Rego text is one that the engine can be given.
pub(in crate::policy) fn is_literal_in_range(text: &str) -> bool {
    // What is no number at all is for the parser to report.
    text.parse::<f64>()
        .map_or(true, |float| float.is_finite() && (float != 0.0 || !text.contains(['e', 'E'])))
}

/// `to_number` of a text.
pub(super) fn to_number(text: &str) -> Option<Value> {
    let float = in_range(text)?;
    if float == 0.0 {
        return Some(Value::from(0_u64));
    }
    Value::from_numeric_string(text.strip_prefix('+').unwrap_or(text)).ok()
}

/// A number from its digits, if a float64 could hold it.
fn value(negative: bool, digits: &str) -> Option<Value> {
    to_number(&format!("{}{digits}", if negative { "-" } else { "" }))
}

/// OPA's `extractNumAndUnit`; `None` where the exponent is too long or there is no number.
fn split(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'e' | b'E' => {
                let signed = matches!(bytes.get(at + 1), Some(b'+' | b'-'));
                if !signed && !is_digit(at + 1) {
                    break;
                }
                at += usize::from(signed);
                let length = (at + 1..bytes.len()).take_while(|at| is_digit(*at)).count();
                if length > MAX_EXPONENT_DIGITS {
                    return None;
                }
            }
            b'0'..=b'9' | b'.' | b'+' | b'-' => {}
            _ => break,
        }
        at += 1;
    }
    text.split_at_checked(at).filter(|(number, _)| !number.is_empty())
}

/// `units.parse`: exact, and with ten digits behind the point where it is no whole number.
pub(super) fn parse(text: &str) -> Option<Value> {
    let text = text.replace('"', "");
    if text.contains(' ') {
        return None;
    }
    let (number, unit) = split(&text)?;
    let mut letters = unit.chars();
    let first = letters.next();
    let unit: String = first.into_iter().chain(letters.map(super::shims::lower)).collect();
    let factor = match unit.as_str() {
        // Go's float64 0.001 as a fraction, with 2^60 below.
        "m" => 1_152_921_504_606_847,
        "" => 1,
        "k" | "K" => 1000,
        "M" => 1000_u64.pow(2),
        "g" | "G" => 1000_u64.pow(3),
        "t" | "T" => 1000_u64.pow(4),
        "p" | "P" => 1000_u64.pow(5),
        "e" | "E" => 1000_u64.pow(6),
        "ki" | "Ki" => 1 << 10,
        "mi" | "Mi" => 1 << 20,
        "gi" | "Gi" => 1 << 30,
        "ti" | "Ti" => 1 << 40,
        "pi" | "Pi" => 1 << 50,
        "ei" | "Ei" => 1 << 60,
        _ => return None,
    };
    let Decimal { negative, digits, exponent } = Decimal::parse(number)?;
    let power = BigUint::from(10_u32).pow(u32::try_from(exponent.unsigned_abs()).ok()?);
    let mut above = digits * factor;
    let mut below = BigUint::from(if unit == "m" { 1_u64 << 60 } else { 1 });
    if exponent < 0 {
        below *= power;
    } else {
        above *= power;
    }
    let (whole, rest) = (&above / &below, &above % &below);
    if rest == BigUint::ZERO {
        return value(negative, &whole.to_string());
    }
    let rounded = (above * 20_000_000_000_u64 + &below) / (below * 2_u32);
    let digits = format!("{rounded:0>11}");
    let (whole, fraction) = digits.split_at_checked(digits.len().checked_sub(10)?)?;
    value(negative, &format!("{whole}.{fraction}"))
}

/// `units.parse_bytes`: through Go's `big.Float`, and what is behind the point cut off.
pub(super) fn parse_bytes(text: &str) -> Option<Value> {
    let text: String = text.chars().map(super::shims::lower).filter(|c| *c != '"').collect();
    if text.contains(' ') {
        return None;
    }
    let (number, unit) = split(&text)?;
    let factor = match unit {
        "" => 1,
        "kb" | "k" => 1000,
        "mb" | "m" => 1000_u64.pow(2),
        "gb" | "g" => 1000_u64.pow(3),
        "tb" | "t" => 1000_u64.pow(4),
        "pb" | "p" => 1000_u64.pow(5),
        "eb" | "e" => 1000_u64.pow(6),
        "kib" | "ki" => 1 << 10,
        "mib" | "mi" => 1 << 20,
        "gib" | "gi" => 1 << 30,
        "tib" | "ti" => 1 << 40,
        "pib" | "pi" => 1 << 50,
        "eib" | "ei" => 1 << 60,
        _ => return None,
    };
    let number = Decimal::parse(number)?;
    let float = Float::of(&number)?;
    let bytes = float.times(&Float { mantissa: BigUint::from(factor), exponent: 0 }, PRECISION).whole();
    value(number.negative, &bytes.to_string())
}

/// `mantissa · 2^exponent`: Go's `big.Float`, as far as it is used to read a text.
struct Float {
    mantissa: BigUint,
    exponent: i64,
}

impl Float {
    /// As `big.Float.SetString` does it: powers of five are rounded, but to more bits.
    fn of(number: &Decimal) -> Option<Self> {
        let exact = Self { mantissa: number.digits.clone(), exponent: number.exponent };
        if number.exponent == 0 {
            return Some(exact.rounded(PRECISION, false));
        }
        let power = Self::power_of_five(number.exponent.unsigned_abs());
        Some(if number.exponent < 0 { exact.over(&power)? } else { exact.times(&power, PRECISION) })
    }

    fn power_of_five(mut power: u64) -> Self {
        const TABLE: u64 = 27;
        const BITS: u64 = PRECISION + 64;
        let five = |power: u32| Self { mantissa: BigUint::from(5_u32).pow(power), exponent: 0 };
        let small = power.min(TABLE);
        let mut result = five(u32::try_from(small).unwrap_or_default());
        power -= small;
        let mut factor = five(1);
        while power > 0 {
            if power & 1 == 1 {
                result = result.times(&factor, BITS);
            }
            factor = factor.times(&factor, BITS + 64);
            power >>= 1;
        }
        result
    }

    fn times(&self, other: &Self, bits: u64) -> Self {
        let mantissa = &self.mantissa * &other.mantissa;
        Self { mantissa, exponent: self.exponent + other.exponent }.rounded(bits, false)
    }

    fn over(&self, other: &Self) -> Option<Self> {
        // Enough for the quotient to have more bits than are kept.
        let shift = (PRECISION + 2 + other.mantissa.bits()).saturating_sub(self.mantissa.bits());
        let shifted = &self.mantissa << shift;
        let mantissa = &shifted / &other.mantissa;
        let rest = shifted % &other.mantissa != BigUint::ZERO;
        let exponent = self.exponent - other.exponent - i64::try_from(shift).ok()?;
        Some(Self { mantissa, exponent }.rounded(PRECISION, rest))
    }

    /// To the nearest, to the even of two; `more` says that something follows the mantissa.
    fn rounded(self, bits: u64, more: bool) -> Self {
        let Some(shift) = self.mantissa.bits().checked_sub(bits).filter(|shift| *shift > 0) else {
            return self;
        };
        let half = self.mantissa.bit(shift - 1);
        let more = more || self.mantissa.trailing_zeros().is_some_and(|zeros| zeros < shift - 1);
        let mut mantissa = self.mantissa >> shift;
        if half && (more || mantissa.bit(0)) {
            mantissa += 1_u32;
        }
        Self { mantissa, exponent: self.exponent + i64::try_from(shift).unwrap_or(i64::MAX) }
    }

    fn whole(self) -> BigUint {
        if self.exponent < 0 {
            self.mantissa >> self.exponent.unsigned_abs()
        } else {
            self.mantissa << self.exponent.unsigned_abs()
        }
    }
}
