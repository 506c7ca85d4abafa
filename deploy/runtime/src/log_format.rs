//! The JSON log line: time, level, target, message, the event's fields, and those of its spans (the trace id above all) at the top level.
//! Written by hand because the stock formatter nests spans, and a line must be searchable by `trace_id` wherever it was logged.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// Formats one event as one JSON object.
pub(crate) struct JsonLines {
    pub(crate) process: &'static str,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, JsonFields> for JsonLines {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        let metadata = event.metadata();
        line.insert("timestamp".into(), timestamp().into());
        line.insert("level".into(), metadata.level().as_str().into());
        line.insert("process".into(), self.process.into());
        line.insert("target".into(), metadata.target().into());
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            if let Some(fields) = span.extensions().get::<FormattedFields<JsonFields>>()
                && let Ok(Value::Object(fields)) = serde_json::from_str(&fields.fields)
            {
                line.extend(fields);
            }
        }
        if !line.contains_key("trace_id")
            && let Some(trace) = crate::trace::current()
        {
            line.insert("trace_id".into(), trace.trace_id().into());
        }
        event.record(&mut Fields(&mut line));
        // serde_json escapes control characters, so a field cannot break the line.
        writeln!(writer, "{}", Value::Object(line))
    }
}

fn timestamp() -> String {
    crate::clock::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line_of(log: impl FnOnce()) -> Value {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonFields::new())
            .event_format(JsonLines { process: "test" })
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = captured.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!((text.matches('\n').count(), text.matches('\r').count()), (1, 0), "{text}");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_line_carries_its_spans_fields_and_its_own_win() {
        let line = line_of(|| {
            let _outer = tracing::info_span!("outer", trace_id = "abc", partition = 1).entered();
            let _inner = tracing::info_span!("inner", partition = 2).entered();
            tracing::warn!(events = 7, text = "x\r\ny", "stored");
        });
        assert_eq!(line["trace_id"], "abc");
        assert_eq!(line["partition"], 2);
        assert_eq!(line["events"], 7);
        assert_eq!(line["text"], "x\r\ny");
        assert_eq!(line["message"], "stored");
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["process"], "test");
    }

    #[tokio::test]
    async fn a_line_logged_while_serving_a_request_carries_its_trace() {
        let trace = crate::trace::TraceContext::generate();
        let line = crate::trace::scope(trace, "/v1/me", async { line_of(|| tracing::info!("seen")) }).await;
        assert_eq!(line["trace_id"], trace.trace_id());
    }
}
