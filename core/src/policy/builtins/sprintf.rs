//! `sprintf` as OPA has it: Go's `fmt.Sprintf` over whole numbers, floats and strings, where any other
//! value comes as the string OPA prints for it.

use regorus::Value;

use super::text::{MAX_PRINTED, go_quote, term_text};

/// An argument as Go sees it.
enum Arg {
    Int(i128),
    /// Decimal digits of a number beyond 128 bits.
    Big(String),
    Float(f64),
    Text(String),
}

impl Arg {
    fn new(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text.to_string()),
            Value::Number(number) => {
                if let Some(int) = number.as_i128() {
                    Self::Int(int)
                } else if let (false, Some(float)) = (number.is_integer(), number.as_f64()) {
                    Self::Float(float)
                } else {
                    Self::Big(number.format_decimal())
                }
            }
            other => Self::Text(term_text(other)),
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::Int(int) if i64::try_from(*int).is_ok() => "int",
            Self::Int(_) | Self::Big(_) => "*big.Int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
        }
    }
}

#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of a format directive")]
struct Flags {
    sharp: bool,
    zero: bool,
    plus: bool,
    minus: bool,
    space: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Larger widths and precisions are ignored, as in Go.
const MAX_NUMBER: usize = 1_000_000;

/// The formatted text; with too few or too many arguments it says so in Go's words.
pub(super) fn sprintf(format: &str, values: &[Value]) -> String {
    let args: Vec<Arg> = values.iter().map(Arg::new).collect();
    let format: Vec<char> = format.chars().collect();
    let mut printer =
        Printer { out: String::new(), args: &args, next: 0, reordered: false, good_index: true };
    printer.run(&format);
    printer.out
}

struct Printer<'args> {
    out: String,
    args: &'args [Arg],
    next: usize,
    reordered: bool,
    good_index: bool,
}

impl Printer<'_> {
    fn run(&mut self, format: &[char]) {
        let at = |index: usize| format.get(index).copied();
        let mut i = 0;
        while let Some(c) = at(i) {
            i += 1;
            // Whoever called refuses a text of this size.
            if self.out.len() > MAX_PRINTED {
                return;
            }
            if c != '%' {
                self.out.push(c);
                continue;
            }
            self.good_index = true;
            let mut flags = Flags::default();
            while let Some(c) = at(i) {
                match c {
                    '#' => flags.sharp = true,
                    '0' => flags.zero = true,
                    '+' => flags.plus = true,
                    '-' => flags.minus = true,
                    ' ' => flags.space = true,
                    _ => break,
                }
                i += 1;
            }
            let mut after_index = self.index(format, &mut i);
            if at(i) == Some('*') {
                i += 1;
                match self.number_argument() {
                    None => self.out.push_str("%!(BADWIDTH)"),
                    Some(width) => {
                        flags.minus |= width < 0;
                        flags.width = usize::try_from(width.unsigned_abs()).ok();
                    }
                }
                after_index = false;
            } else {
                flags.width = parse_number(format, &mut i);
                if after_index && flags.width.is_some() {
                    self.good_index = false;
                }
            }
            if at(i) == Some('.') {
                i += 1;
                if after_index {
                    self.good_index = false;
                }
                after_index = self.index(format, &mut i);
                if at(i) == Some('*') {
                    i += 1;
                    match self.number_argument() {
                        None => self.out.push_str("%!(BADPREC)"),
                        Some(precision) => flags.precision = usize::try_from(precision).ok(),
                    }
                    after_index = false;
                } else {
                    flags.precision = Some(parse_number(format, &mut i).unwrap_or(0));
                }
            }
            if !after_index {
                self.index(format, &mut i);
            }
            let Some(verb) = at(i) else {
                self.out.push_str("%!(NOVERB)");
                break;
            };
            i += 1;
            if verb == '%' {
                self.out.push('%');
            } else if !self.good_index {
                self.bad(verb, "BADINDEX");
            } else if let Some(arg) = self.args.get(self.next) {
                self.next += 1;
                self.out.push_str(&print(arg, verb, flags));
            } else {
                self.bad(verb, "MISSING");
            }
        }
        let extra = self.args.get(self.next..).unwrap_or_default();
        if !self.reordered && !extra.is_empty() {
            let extra: Vec<String> = extra
                .iter()
                .map(|arg| format!("{}={}", arg.type_name(), print(arg, 'v', Flags::default())))
                .collect();
            self.out.push_str("%!(EXTRA ");
            self.out.push_str(&extra.join(", "));
            self.out.push(')');
        }
    }

    fn bad(&mut self, verb: char, why: &str) {
        self.out.push_str("%!");
        self.out.push(verb);
        self.out.push('(');
        self.out.push_str(why);
        self.out.push(')');
    }

    /// Reads `[3]`; whether there was one.
    fn index(&mut self, format: &[char], i: &mut usize) -> bool {
        if format.get(*i) != Some(&'[') {
            return false;
        }
        self.reordered = true;
        let rest = format.get(*i..).unwrap_or_default();
        let Some(close) = rest.iter().position(|c| *c == ']') else {
            self.good_index = false;
            *i += 1;
            return false;
        };
        let mut inside = *i + 1;
        let number = parse_number(format, &mut inside);
        let complete = inside == *i + close;
        *i += close + 1;
        match number {
            Some(number) if complete && number >= 1 && number <= self.args.len() => {
                self.next = number - 1;
                true
            }
            _ => {
                self.good_index = false;
                number.is_some() && complete
            }
        }
    }

    fn number_argument(&mut self) -> Option<i128> {
        let arg = self.args.get(self.next)?;
        self.next += 1;
        match arg {
            Arg::Int(int) if int.unsigned_abs() <= MAX_NUMBER as u128 => Some(*int),
            _ => None,
        }
    }
}

fn parse_number(format: &[char], i: &mut usize) -> Option<usize> {
    let mut number: Option<usize> = None;
    while let Some(digit) = format.get(*i).and_then(|c| c.to_digit(10)) {
        let next = number.unwrap_or(0).saturating_mul(10).saturating_add(digit as usize);
        *i += 1;
        if next > MAX_NUMBER {
            *i = format.len();
            return None;
        }
        number = Some(next);
    }
    number
}

fn print(arg: &Arg, verb: char, flags: Flags) -> String {
    if verb == 'T' {
        return pad(arg.type_name(), flags);
    }
    let printed = match arg {
        Arg::Int(int) => print_int(*int, verb, flags),
        Arg::Big(digits) => matches!(verb, 'd' | 'v' | 's').then(|| print_digits(digits, flags, "")),
        Arg::Float(float) => print_float(*float, verb, flags),
        Arg::Text(text) => print_text(text, verb, flags),
    };
    printed.unwrap_or_else(|| {
        let value = if verb == 'v' { String::new() } else { print(arg, 'v', flags) };
        format!("%!{verb}({}={value})", arg.type_name())
    })
}

fn print_int(int: i128, verb: char, flags: Flags) -> Option<String> {
    let magnitude = int.unsigned_abs();
    let signed = |digits: String| if int < 0 { format!("-{digits}") } else { digits };
    let character =
        || u32::try_from(int).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    Some(match verb {
        'd' | 'v' => print_digits(&int.to_string(), flags, ""),
        's' if i64::try_from(int).is_err() => print_digits(&int.to_string(), flags, ""),
        'b' => print_digits(&signed(format!("{magnitude:b}")), flags, if flags.sharp { "0b" } else { "" }),
        'o' => print_digits(&signed(format!("{magnitude:o}")), flags, if flags.sharp { "0" } else { "" }),
        'O' => print_digits(&signed(format!("{magnitude:o}")), flags, "0o"),
        'x' => print_digits(&signed(format!("{magnitude:x}")), flags, if flags.sharp { "0x" } else { "" }),
        'X' => print_digits(&signed(format!("{magnitude:X}")), flags, if flags.sharp { "0X" } else { "" }),
        'c' => pad(&character().to_string(), flags),
        'q' => pad(&quote_rune(character()), flags),
        'U' => pad(&format!("U+{magnitude:04X}"), flags),
        _ => return None,
    })
}

fn quote_rune(c: char) -> String {
    if c == '\'' {
        return "'\\''".to_owned();
    }
    let quoted = go_quote(&c.to_string());
    let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default().replace("\\\"", "\"");
    format!("'{inner}'")
}

/// Sign, prefix and zeros of a whole number in any base.
fn print_digits(number: &str, flags: Flags, prefix: &str) -> String {
    let (negative, digits) = match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number),
    };
    if flags.precision == Some(0) && digits == "0" {
        return " ".repeat(flags.width.unwrap_or(0));
    }
    let sign = if negative {
        "-"
    } else if flags.plus {
        "+"
    } else if flags.space {
        " "
    } else {
        ""
    };
    let least = match (flags.precision, flags.width) {
        (Some(precision), _) => precision,
        (None, Some(width)) if flags.zero && !flags.minus => width.saturating_sub(sign.len()),
        _ => 0,
    };
    let zeros = "0".repeat(least.saturating_sub(digits.len()));
    pad(&format!("{sign}{prefix}{zeros}{digits}"), Flags { zero: false, ..flags })
}

fn print_float(float: f64, verb: char, flags: Flags) -> Option<String> {
    let text = match verb {
        'v' => general(float, None),
        'g' | 'G' => general(float, flags.precision),
        'e' | 'E' => scientific(float, Some(flags.precision.unwrap_or(6))),
        'f' | 'F' => format!("{float:.*}", flags.precision.unwrap_or(6)),
        _ => return None,
    };
    let text = if verb.is_ascii_uppercase() { text.to_uppercase() } else { text };
    let text = if text.starts_with('-') {
        text
    } else if flags.plus {
        format!("+{text}")
    } else if flags.space {
        format!(" {text}")
    } else {
        text
    };
    let missing = flags.width.unwrap_or(0).saturating_sub(text.len());
    if flags.zero && !flags.minus && missing > 0 && text.starts_with(['+', '-', ' ']) {
        let (sign, digits) = text.split_at_checked(1)?;
        return Some(format!("{sign}{}{digits}", "0".repeat(missing)));
    }
    Some(pad(&text, flags))
}

/// `1.5e+07`; the shortest digits that mean the number where no precision is given.
fn scientific(float: f64, precision: Option<usize>) -> String {
    let text = match precision {
        Some(precision) => format!("{float:.precision$e}"),
        None => format!("{float:e}"),
    };
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// Go's `%g`.
fn general(float: f64, precision: Option<usize>) -> String {
    let exponent_of = |text: &str| text.split_once('e').and_then(|(_, e)| e.parse::<i32>().ok()).unwrap_or(0);
    match precision {
        None => {
            // Go decides by six digits where it prints the shortest form.
            let exponent = exponent_of(&format!("{float:e}"));
            if (-4..6).contains(&exponent) { float.to_string() } else { scientific(float, None) }
        }
        Some(precision) => {
            let precision = precision.max(1);
            let exponent = exponent_of(&format!("{float:.*e}", precision - 1));
            let trim = |text: &str| {
                if text.contains('.') {
                    text.trim_end_matches('0').trim_end_matches('.').to_owned()
                } else {
                    text.to_owned()
                }
            };
            match usize::try_from(exponent) {
                Ok(exponent) if exponent >= precision => {
                    let text = scientific(float, Some(precision - 1));
                    text.split_once('e').map_or(text.clone(), |(digits, e)| format!("{}e{e}", trim(digits)))
                }
                Err(_) if exponent < -4 => {
                    let text = scientific(float, Some(precision - 1));
                    text.split_once('e').map_or(text.clone(), |(digits, e)| format!("{}e{e}", trim(digits)))
                }
                _ => {
                    let decimals = i32::try_from(precision).unwrap_or(i32::MAX) - 1 - exponent;
                    trim(&format!("{float:.*}", usize::try_from(decimals).unwrap_or(0)))
                }
            }
        }
    }
}

fn print_text(text: &str, verb: char, flags: Flags) -> Option<String> {
    let cut: String = match flags.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    };
    Some(match verb {
        'v' if flags.sharp => pad(&go_quote(&cut), flags),
        'v' | 's' => pad(&cut, flags),
        'q' if flags.sharp && !cut.contains('`') => pad(&format!("`{cut}`"), flags),
        'q' => pad(&go_quote(&cut), flags),
        'x' | 'X' => {
            let bytes = text.as_bytes();
            let bytes = bytes.get(..flags.precision.unwrap_or(bytes.len())).unwrap_or(bytes);
            let hex: Vec<String> = bytes
                .iter()
                .map(|byte| if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") })
                .collect();
            pad(&hex.join(if flags.space { " " } else { "" }), flags)
        }
        _ => return None,
    })
}

fn pad(text: &str, flags: Flags) -> String {
    let missing = flags.width.unwrap_or(0).saturating_sub(text.chars().count());
    if missing == 0 {
        text.to_owned()
    } else if flags.minus {
        format!("{text}{}", " ".repeat(missing))
    } else {
        format!("{}{text}", if flags.zero { "0" } else { " " }.repeat(missing))
    }
}
