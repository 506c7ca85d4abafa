//! Logs and metrics of a process: one JSON line an event on standard output, one Prometheus page on the private port.
//! `init` is called once, first thing after the settings are read; what it returns renders `/metrics`.

use std::str::FromStr;
use std::time::Duration;

use metrics::{counter, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::log_format::JsonLines;

/// How often histogram samples are folded into their buckets when nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);
/// From half a millisecond to ten seconds: requests, appends, projections.
const SECONDS: &[f64] = &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
/// Sizes of batches and counts of rows.
const COUNTS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0];
/// Sizes of bodies and blobs.
const BYTES: &[f64] = &[256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0];

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for collectors.
    Json,
    /// For people at a terminal.
    Text,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err("expected json or text"),
        }
    }
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter of `FITTRACK_LOG` is not one.
    #[error("the log filter cannot be used: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// `init` was called twice.
    #[error("logging is already set up: {0}")]
    Subscriber(#[from] tracing_subscriber::util::TryInitError),
    /// The metrics recorder could not be installed.
    #[error("metrics cannot be set up: {0}")]
    Metrics(#[from] BuildError),
}

/// The process's metrics; clones share them.
#[derive(Clone)]
pub struct Telemetry {
    metrics: PrometheusHandle,
}

/// Starts logging at `filter` in `format`, installs the metrics recorder and makes panics log lines.
pub fn init(process: &'static str, filter: &str, format: LogFormat) -> Result<Telemetry, TelemetryError> {
    start_logging(process, filter, format)?;
    log_panics();
    let telemetry = Telemetry { metrics: builder(process)?.install_recorder()? };
    gauge!("fittrack_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    gauge!("fittrack_start_time_seconds").set(seconds(crate::clock::now()));
    Ok(telemetry)
}

impl Telemetry {
    /// Telemetry that nothing reports to, for tests of routers.
    pub fn detached() -> Self {
        Self { metrics: PrometheusBuilder::new().build_recorder().handle() }
    }

    /// The metrics in Prometheus' text form, memory and CPU of the process included.
    pub fn render(&self) -> String {
        record_process_usage();
        self.metrics.render()
    }

    /// Keeps the memory held by histogram samples bounded; runs until cancelled.
    pub async fn upkeep(self, token: CancellationToken) {
        let mut ticks = tokio::time::interval(UPKEEP);
        while token.run_until_cancelled(ticks.tick()).await.is_some() {
            self.metrics.run_upkeep();
        }
    }
}

fn start_logging(process: &'static str, filter: &str, format: LogFormat) -> Result<(), TelemetryError> {
    use tracing_subscriber::fmt::format::JsonFields;
    use tracing_subscriber::util::SubscriberInitExt;
    let filter = EnvFilter::try_new(filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    match format {
        LogFormat::Json => {
            builder.fmt_fields(JsonFields::new()).event_format(JsonLines { process }).finish().try_init()?;
        }
        LogFormat::Text => builder.finish().try_init()?,
    }
    Ok(())
}

fn builder(process: &'static str) -> Result<PrometheusBuilder, BuildError> {
    let suffix = |text: &str| Matcher::Suffix(text.to_owned());
    PrometheusBuilder::new()
        .add_global_label("process", process)
        .set_buckets_for_metric(suffix("_bytes"), BYTES)?
        .set_buckets_for_metric(suffix("_seconds"), SECONDS)?
        .set_buckets(COUNTS)
}

/// A panic becomes one log line, so that it is found where everything else is; unwinding goes on as usual.
fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        let message = panic_message(info.payload());
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, "panicked: {message}");
        counter!("fittrack_panics_total").increment(1);
    }));
}

/// What a panic said, where it said it in words.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^52")]
fn seconds(instant: chrono::DateTime<chrono::Utc>) -> f64 {
    instant.timestamp_millis() as f64 / 1000.0
}

/// Resident memory and CPU time from `/proc`; silently nothing on other systems.
fn record_process_usage() {
    if let Some(bytes) = resident_bytes() {
        gauge!("fittrack_process_resident_memory_bytes").set(bytes);
    }
    if let Some(seconds) = cpu_seconds() {
        gauge!("fittrack_process_cpu_seconds").set(seconds);
    }
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

/// User and system time; `/proc` counts in hundredths of a second on every Linux of today (`USER_HZ`).
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may contain spaces; what follows it does not. utime and stime are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map_while(|field| field.parse::<f64>().ok());
    Some((times.next()? + times.next()?) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_formats_parse_by_name_alone() {
        assert_eq!("json".parse(), Ok(LogFormat::Json));
        assert_eq!("text".parse(), Ok(LogFormat::Text));
        assert!("JSON".parse::<LogFormat>().is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_and_cpu_of_the_process_are_read() {
        assert!(resident_bytes().unwrap() > 1024.0);
        assert!(cpu_seconds().unwrap() >= 0.0);
    }

    #[test]
    fn seconds_get_buckets_and_render_as_a_histogram() {
        let recorder = builder("test").unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("fittrack_test_seconds").record(0.003);
        });
        let page = handle.render();
        assert!(page.contains(r#"fittrack_test_seconds_bucket{process="test",le="0.005"} 1"#), "{page}");
    }
}
