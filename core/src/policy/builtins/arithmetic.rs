//! Arithmetic as OPA has it: exact on decimal fractions (`2.01 * 1000` is 2010), and undefined where
//! its operands do not fit.

use std::collections::BTreeSet;

use regorus::Value;

/// The name the engine knows an operator's function by.
pub(in crate::policy) fn function_of(operator: &str) -> Option<&'static str> {
    Some(match operator {
        "+" => "__plus",
        "-" => "__minus",
        "*" => "__times",
        "/" => "__divided",
        "%" => "__remainder",
        _ => return None,
    })
}

/// An operation that is exact on decimal fractions.
#[derive(Clone, Copy)]
enum Operation {
    Plus,
    Minus,
    Times,
}

pub(super) fn plus(args: &[Value]) -> Option<Value> {
    calculate(args, Operation::Plus)
}

pub(super) fn minus(args: &[Value]) -> Option<Value> {
    if let [Value::Set(a), Value::Set(b)] = args {
        let rest: BTreeSet<Value> = a.iter().filter(|item| !b.contains(item)).cloned().collect();
        return Some(Value::from(rest));
    }
    calculate(args, Operation::Minus)
}

pub(super) fn times(args: &[Value]) -> Option<Value> {
    calculate(args, Operation::Times)
}

pub(super) fn divided(args: &[Value]) -> Option<Value> {
    const EXACT: u128 = 1 << 53;
    let [a, b] = args else { return None };
    let (Value::Number(x), Value::Number(y)) = (a, b) else { return None };
    if y.as_f64() == Some(0.0) {
        return None;
    }
    if let Some((x, y, _)) = Decimal::new(a).zip(Decimal::new(b)).and_then(|(x, y)| x.common(y)) {
        if x.checked_rem(y)? == 0 {
            return Decimal { digits: x.checked_div(y)?, scale: 0 }.value();
        }
        if x.unsigned_abs() < EXACT && y.unsigned_abs() < EXACT {
            #[expect(clippy::cast_precision_loss, reason = "both are small enough to be exact")]
            return Some(Value::from(x as f64 / y as f64));
        }
    }
    x.clone().divide(y).ok().map(Value::Number)
}

pub(super) fn remainder(args: &[Value]) -> Option<Value> {
    let [Value::Number(a), Value::Number(b)] = args else { return None };
    if !a.is_integer() || !b.is_integer() || b.as_f64() == Some(0.0) {
        return None;
    }
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => Decimal { digits: a.checked_rem(b)?, scale: 0 }.value(),
        _ => a.clone().modulo(b).ok().map(Value::Number),
    }
}

fn calculate(args: &[Value], operation: Operation) -> Option<Value> {
    let [a, b] = args else { return None };
    let (Value::Number(x), Value::Number(y)) = (a, b) else { return None };
    let exact = Decimal::new(a).zip(Decimal::new(b)).and_then(|(x, y)| match operation {
        Operation::Plus => {
            let (x, y, scale) = x.common(y)?;
            Some(Decimal { digits: x.checked_add(y)?, scale })
        }
        Operation::Minus => {
            let (x, y, scale) = x.common(y)?;
            Some(Decimal { digits: x.checked_sub(y)?, scale })
        }
        Operation::Times => {
            Some(Decimal { digits: x.digits.checked_mul(y.digits)?, scale: x.scale.checked_add(y.scale)? })
        }
    });
    if let Some(value) = exact.and_then(Decimal::value) {
        return Some(value);
    }
    let rough = match operation {
        Operation::Plus => x.add(y),
        Operation::Minus => x.sub(y),
        Operation::Times => x.mul(y),
    };
    // Multiplied often enough, whole numbers would have no end.
    let rough = rough.ok()?;
    rough.format_decimal().parse::<f64>().is_ok_and(f64::is_finite).then_some(Value::Number(rough))
}

/// `digits / 10^scale`.
#[derive(Clone, Copy)]
struct Decimal {
    digits: i128,
    scale: u32,
}

impl Decimal {
    fn new(value: &Value) -> Option<Self> {
        if let Ok(digits) = value.as_i128() {
            return Some(Self { digits, scale: 0 });
        }
        // The shortest digits that mean the number, as it was written.
        let text = value.as_f64().ok()?.to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let digits = format!("{whole}{fraction}").parse().ok()?;
        Some(Self { digits, scale: u32::try_from(fraction.len()).ok()? })
    }

    /// Both with one scale.
    fn common(self, other: Self) -> Option<(i128, i128, u32)> {
        let scale = self.scale.max(other.scale);
        let raise = |decimal: Self| decimal.digits.checked_mul(10_i128.checked_pow(scale - decimal.scale)?);
        Some((raise(self)?, raise(other)?, scale))
    }

    fn value(mut self) -> Option<Value> {
        while self.scale > 0 && self.digits % 10 == 0 {
            self.digits /= 10;
            self.scale -= 1;
        }
        if self.scale == 0 {
            return Value::from_numeric_string(&self.digits.to_string()).ok();
        }
        let negative = self.digits < 0;
        let width = self.scale as usize + 1;
        let digits = format!("{:0>width$}", self.digits.unsigned_abs());
        let (whole, fraction) = digits.split_at_checked(digits.len() - self.scale as usize)?;
        let float: f64 = format!("{}{whole}.{fraction}", if negative { "-" } else { "" }).parse().ok()?;
        Some(Value::from(float))
    }
}
