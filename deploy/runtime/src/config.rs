//! Settings of a process, read from the environment over an optional file, with every problem reported at once.
//! A process declares each setting once as a [`Setting`], asks a [`Source`] for its value at start, and refuses to run if `finish` says so.

use std::fmt::{self, Display, Write as _};

use secrecy::{ExposeSecret, SecretString};

mod errors;
mod source;

pub use errors::{ConfigError, ConfigErrors};
pub use source::Source;

/// Where the public API listens.
pub const LISTEN: Setting = Setting::with_default(
    "FITTRACK_LISTEN",
    "127.0.0.1:8400",
    "address and port of the public HTTP API",
    "0.0.0.0:8400",
);
/// Where `/livez`, `/readyz` and `/metrics` listen.
pub const PRIVATE_LISTEN: Setting = Setting::with_default(
    "FITTRACK_PRIVATE_LISTEN",
    "127.0.0.1:8401",
    "address and port of /livez, /readyz and /metrics; keep it off the internet",
    "0.0.0.0:8401",
);
/// What is logged.
pub const LOG: Setting = Setting::with_default(
    "FITTRACK_LOG",
    "info",
    "which log lines are written, as a tracing filter",
    "info,command_api::relay=debug",
);
/// How log lines look.
pub const LOG_FORMAT: Setting =
    Setting::with_default("FITTRACK_LOG_FORMAT", "json", "form of the log lines: json or text", "text");
/// The Kafka brokers; required by some processes and optional for others, which say so by how they ask.
pub const KAFKA_BROKERS: Setting =
    Setting::required("FITTRACK_KAFKA_BROKERS", "Kafka brokers, host:port separated by commas", "localhost:9092");
/// Who issues access tokens.
pub const TOKEN_ISSUER: Setting = Setting::with_default(
    "FITTRACK_TOKEN_ISSUER",
    "https://fittrack.local",
    "issuer (`iss`) written into and required of access tokens",
    "https://api.example.org",
);
/// Whom access tokens are for.
pub const TOKEN_AUDIENCE: Setting = Setting::with_default(
    "FITTRACK_TOKEN_AUDIENCE",
    "fittrack",
    "audience (`aud`) written into and required of access tokens",
    "fittrack",
);

/// One setting, declared once: the code that reads it, the refusals and the documentation all use this.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The environment variable, `FITTRACK_...`; `<name>_FILE` names a file that holds the value.
    pub name: &'static str,
    /// Whether the process refuses to start without it.
    pub required: bool,
    /// The value used when it is absent.
    pub default: Option<&'static str>,
    /// What it does, in half a sentence.
    pub meaning: &'static str,
    /// A value that would be accepted.
    pub example: &'static str,
    /// Whether the value must never be shown.
    pub secret: bool,
}

impl Setting {
    /// A setting the process cannot do without.
    pub const fn required(name: &'static str, meaning: &'static str, example: &'static str) -> Self {
        Self { name, required: true, default: None, meaning, example, secret: false }
    }

    /// A setting that may be absent.
    pub const fn optional(name: &'static str, meaning: &'static str, example: &'static str) -> Self {
        Self { name, required: false, default: None, meaning, example, secret: false }
    }

    /// A setting with a value of its own when absent.
    pub const fn with_default(
        name: &'static str,
        default: &'static str,
        meaning: &'static str,
        example: &'static str,
    ) -> Self {
        Self { name, required: false, default: Some(default), meaning, example, secret: false }
    }

    /// The same setting, its value never shown.
    #[must_use]
    pub const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// The same setting with another default (ports differ from process to process).
    #[must_use]
    pub const fn defaulting_to(self, default: &'static str) -> Self {
        Self { required: false, default: Some(default), ..self }
    }

    /// The same setting for a process that can do without it.
    #[must_use]
    pub const fn not_required(self) -> Self {
        Self { required: false, ..self }
    }
}

/// The settings as a Markdown table, for `--help` and the documentation.
pub fn describe(settings: &[Setting]) -> String {
    let mut table = String::from("| Setting | Default | Meaning | Example |\n|---|---|---|---|\n");
    for setting in settings {
        let default = match (setting.required, setting.default) {
            (_, Some(default)) => format!("`{default}`"),
            (true, None) => "required".to_owned(),
            (false, None) => "none".to_owned(),
        };
        let secret = if setting.secret { " (secret; give it as a file)" } else { "" };
        let suffix = if setting.secret { "_FILE" } else { "" };
        let _ = writeln!(
            table,
            "| `{}{suffix}` | {default} | {}{secret} | `{}` |",
            setting.name,
            setting.meaning,
            if setting.secret { "/run/secrets/value" } else { setting.example },
        );
    }
    table
}

/// A value that never appears in logs, errors or `Debug`, and whose memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into().into())
    }

    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests;
