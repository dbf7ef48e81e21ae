//! Logging to standard error: one line an event, or one JSON object an event.

use std::{fmt, io::IsTerminal};

use anstyle::{AnsiColor, Style};
use jiff::{Timestamp, Unit};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{JsonFields, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::config::{Log, LogFormat, LogLevel};

/// Sets up logging for the whole process. A second call changes nothing.
pub fn init(log: Log) {
    let level = match log.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    // What libraries say is of interest where something is wrong with them.
    let filter = EnvFilter::new(match log.level {
        LogLevel::Error => "error".to_owned(),
        LogLevel::Trace => "trace".to_owned(),
        _ => format!("warn,portcullis={level},portcullis_core={level}"),
    });
    let colour =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colour);
    let layer: Box<dyn Layer<_> + Send + Sync> = match log.format {
        LogFormat::Text => layer.event_format(Line { now: Timestamp::now }).boxed(),
        LogFormat::Json => {
            layer.fmt_fields(JsonFields::new()).event_format(Json { now: Timestamp::now }).boxed()
        }
    };
    // Fails where a subscriber is set already, as in tests that start the daemon twice.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
}

/// `2026-11-20T09:14:03Z info synced revision=3f9c2ab actions=2`
struct Line {
    now: fn() -> Timestamp,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (name, colour) = level(event.metadata());
        let mut text = TextFields::default();
        event.record(&mut text);
        let now = time(self.now);
        if writer.has_ansi_escapes() {
            let dim = Style::new().dimmed();
            let style = Style::new().fg_color(Some(colour.into()));
            write!(writer, "{dim}{now}{dim:#} {style}{name:5}{style:#} {}", text.message)?;
        } else {
            write!(writer, "{now} {name:5} {}", text.message)?;
        }
        writeln!(writer, "{}", text.fields)
    }
}

/// `{"time":"…","level":"info","message":"synced","revision":"3f9c2ab"}`
struct Json {
    now: fn() -> Timestamp,
}

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = MapFields::default();
        fields.0.insert("time".to_owned(), time(self.now).into());
        fields.0.insert("level".to_owned(), level(event.metadata()).0.into());
        event.record(&mut fields);
        writeln!(writer, "{}", serde_json::Value::Object(fields.0))
    }
}

fn time(now: fn() -> Timestamp) -> String {
    let now = now();
    now.round(Unit::Second).unwrap_or(now).to_string()
}

fn level(metadata: &Metadata<'_>) -> (&'static str, AnsiColor) {
    match *metadata.level() {
        Level::ERROR => ("error", AnsiColor::Red),
        Level::WARN => ("warn", AnsiColor::Yellow),
        Level::INFO => ("info", AnsiColor::Green),
        Level::DEBUG => ("debug", AnsiColor::Blue),
        Level::TRACE => ("trace", AnsiColor::Magenta),
    }
}

/// The message, and the fields as ` key=value`.
#[derive(Default)]
struct TextFields {
    message: String,
    fields: String,
}

impl TextFields {
    fn field(&mut self, field: &Field, value: &str) {
        // One event is one line, whatever a message from outside holds.
        let value: String = value.chars().flat_map(one_line).collect();
        if field.name() == "message" {
            self.message = value;
        } else if value.is_empty() || value.contains([' ', '"', '=']) {
            let quoted = value.replace('"', "'");
            self.fields.push_str(&[" ", field.name(), "=\"", &quoted, "\""].concat());
        } else {
            self.fields.push_str(&[" ", field.name(), "=", &value].concat());
        }
    }
}

fn one_line(c: char) -> impl Iterator<Item = char> {
    let shown = if c.is_control() { ' ' } else { c };
    std::iter::once(shown)
}

impl Visit for TextFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.field(field, &chain(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field, &format!("{value:?}"));
    }
}

/// The fields as JSON.
#[derive(Default)]
struct MapFields(serde_json::Map<String, serde_json::Value>);

impl Visit for MapFields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.0.insert(field.name().to_owned(), chain(value).into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}

/// An error with its causes, outermost first.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use jiff::Timestamp;
    use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt};

    use super::{Json, Line};

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Captured {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    fn text(captured: &Captured) -> String {
        String::from_utf8(captured.0.lock().unwrap().clone()).unwrap()
    }

    fn events() {
        let error = std::io::Error::other("disk\nfull");
        tracing::info!(revision = "3f9c2ab", actions = 2, by = %"a b", "synced");
        tracing::warn!(error = &error as &dyn std::error::Error, "audit\nfailed");
    }

    #[test]
    fn text_is_one_line_an_event() {
        let captured = Captured::default();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(captured.clone())
            .with_ansi(false)
            .event_format(Line { now: || Timestamp::UNIX_EPOCH });
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), events);
        assert_eq!(
            text(&captured),
            "1970-01-01T00:00:00Z info  synced revision=3f9c2ab actions=2 by=\"a b\"\n\
             1970-01-01T00:00:00Z warn  audit failed error=\"disk full\"\n"
        );
    }

    #[test]
    fn json_is_one_object_an_event() {
        let captured = Captured::default();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(captured.clone())
            .event_format(Json { now: || Timestamp::UNIX_EPOCH });
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), events);
        let first: serde_json::Value = serde_json::from_str(text(&captured).lines().next().unwrap()).unwrap();
        assert_eq!(
            first,
            serde_json::json!({
                "time": "1970-01-01T00:00:00Z", "level": "info", "message": "synced",
                "revision": "3f9c2ab", "actions": 2, "by": "a b"
            })
        );
        assert_eq!(text(&captured).lines().count(), 2);
    }
}
