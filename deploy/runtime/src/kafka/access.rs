//! How a process reaches Kafka: which brokers, over what, and as whom. Read once from the settings; every client is made from it,
//! and combinations that would send less than somebody expects (a password nobody asks for, a certificate nobody checks) are refused.

use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;
use std::str::FromStr;

use rdkafka::ClientConfig;

use crate::config::{KAFKA_BROKERS, Secret, Setting, Source};

/// Over what Kafka is spoken to, and whether a user is named.
pub const SECURITY: Setting = Setting::with_default(
    "FITTRACK_KAFKA_SECURITY",
    "plaintext",
    "how to connect to Kafka: plaintext, tls, sasl_plaintext or sasl_tls",
    "sasl_tls",
);
/// How the password is proven.
pub const SASL_MECHANISM: Setting = Setting::with_default(
    "FITTRACK_KAFKA_SASL_MECHANISM",
    "SCRAM-SHA-512",
    "how the password is proven to Kafka: SCRAM-SHA-512, SCRAM-SHA-256, or PLAIN, which sends it",
    "SCRAM-SHA-256",
);
/// The principal.
pub const USER: Setting = Setting::optional(
    "FITTRACK_KAFKA_USER",
    "the user Kafka's access list knows this process by; needed with sasl_plaintext and sasl_tls",
    "query-api",
);
/// Its password.
pub const PASSWORD: Setting =
    Setting::optional("FITTRACK_KAFKA_PASSWORD", "the password of FITTRACK_KAFKA_USER", "secret").secret();
/// Whose certificates are believed.
pub const CA: Setting = Setting::optional(
    "FITTRACK_KAFKA_CA",
    "the authorities (PEM) that Kafka's certificate is checked against, instead of the system's; best as FITTRACK_KAFKA_CA_FILE",
    "<PEM text>",
);

/// Where Kafka is and who asks. `Debug` shows no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaAccess {
    brokers: String,
    security: Security,
    login: Option<Login>,
    /// PEM; the system's authorities where absent.
    ca: Option<String>,
    /// Whether secrets and connections of a trial will do.
    is_dev: bool,
}

/// Over what, and whether a user is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    Plaintext,
    Tls,
    SaslPlaintext,
    SaslTls,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Login {
    mechanism: Mechanism,
    user: String,
    password: Secret,
}

/// How a password is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mechanism {
    ScramSha512,
    ScramSha256,
    Plain,
}

impl KafkaAccess {
    /// These brokers, `host:port,...`, without encryption and as nobody.
    pub fn plaintext(brokers: impl Into<String>) -> Self {
        Self { brokers: brokers.into(), security: Security::Plaintext, login: None, ca: None, is_dev: false }
    }

    /// Reads it where `brokers` (a variant of [`KAFKA_BROKERS`]) is set; whatever does not fit is noted in the source.
    pub fn read(source: &mut Source, brokers: &Setting) -> Option<Self> {
        source.knows(&[SECURITY, SASL_MECHANISM, USER, PASSWORD, CA]);
        let brokers = source.optional(brokers)?;
        Some(Self::read_for(source, brokers))
    }

    /// Reads it for a process that cannot do without Kafka; whatever is missing or does not fit is noted in the source.
    pub fn required(source: &mut Source) -> Self {
        let brokers = source.required(&KAFKA_BROKERS);
        Self::read_for(source, brokers)
    }

    fn read_for(source: &mut Source, brokers: String) -> Self {
        let security = source.parsed(&SECURITY, Security::Plaintext);
        let login = read_login(source, security);
        let ca = source.optional(&CA);
        if ca.is_some() && !security.is_tls() {
            source.refuse(&CA, &format!("is set, but {}={security} checks no certificate; {USE_TLS}", SECURITY.name));
        }
        Self { brokers, security, login, ca, is_dev: source.is_dev() }
    }

    /// `host:port,...`.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// The user Kafka knows this process by; `nobody` where it names none.
    pub fn user(&self) -> &str {
        self.login.as_ref().map_or("nobody", |login| &login.user)
    }

    /// Says loudly what whoever is on the way to the brokers can read or forge. Service meshes encrypt outside of the process,
    /// so it is no reason to refuse.
    pub fn warn_if_exposed(&self) {
        if let Some(exposed) = self.exposed() {
            tracing::warn!(brokers = self.brokers, "{exposed}");
        }
    }

    fn exposed(&self) -> Option<String> {
        if self.is_dev || self.security.is_tls() || self.brokers.split(',').all(is_loopback) {
            return None;
        }
        let what = match &self.login {
            None => "Kafka is spoken to in the clear and as nobody: whoever reaches it reads and writes all events",
            Some(Login { mechanism: Mechanism::Plain, .. }) => {
                "Kafka is spoken to in the clear, the password included: whoever is on the way has it"
            }
            Some(_) => "Kafka is spoken to in the clear: whoever is on the way reads all events",
        };
        Some(format!("{what}. Set {}=sasl_tls, unless a service mesh encrypts the way", SECURITY.name))
    }

    /// What every client is set up with.
    pub(super) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("security.protocol", self.security.protocol());
        if let Some(Login { mechanism, user, password }) = &self.login {
            config.set("sasl.mechanism", mechanism.to_string());
            config.set("sasl.username", user).set("sasl.password", password.expose());
        }
        if self.security.is_tls() {
            // The default of librdkafka, said here because everything depends on it.
            config.set("enable.ssl.certificate.verification", "true");
            config.set("ssl.endpoint.identification.algorithm", "https");
            if let Some(ca) = &self.ca {
                config.set("ssl.ca.pem", ca);
            }
        }
        config
    }
}

const USE_TLS: &str = "set it to tls or sasl_tls, or take this away";

/// The login, where the connection has one; what is missing or too much is noted in the source.
fn read_login(source: &mut Source, security: Security) -> Option<Login> {
    let given = source.optional(&Setting { default: None, ..SASL_MECHANISM });
    let user = source.optional(&USER);
    let password = source.optional_secret(&PASSWORD);
    if !security.is_sasl() {
        let unused = [(SASL_MECHANISM, given.is_some()), (USER, user.is_some()), (PASSWORD, password.is_some())];
        for (setting, _) in unused.into_iter().filter(|(_, is_given)| *is_given) {
            let name = SECURITY.name;
            let problem = format!(
                "is set, but {name}={security} names no user; set it to sasl_tls or sasl_plaintext, or take this away"
            );
            source.refuse(&setting, &problem);
        }
        return None;
    }
    let mechanism = source.parsed(&SASL_MECHANISM, Mechanism::ScramSha512);
    for (setting, is_given) in [(USER, user.is_some()), (PASSWORD, password.is_some())] {
        if !is_given && !source.has_problem(setting.name) {
            source.refuse(&setting, &format!("is required with {}={security} and not set", SECURITY.name));
        }
    }
    Some(Login { mechanism, user: user?, password: password? })
}

/// Whether a broker, `host:port`, is on this machine.
fn is_loopback(broker: &str) -> bool {
    let host = broker.trim().rsplit_once(':').map_or(broker.trim(), |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Security {
    const ALL: [Self; 4] = [Self::Plaintext, Self::Tls, Self::SaslPlaintext, Self::SaslTls];

    fn is_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslTls)
    }

    fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::SaslTls)
    }

    /// In librdkafka's words.
    fn protocol(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Tls => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslTls => "sasl_ssl",
        }
    }
}

impl Display for Security {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plaintext => "plaintext",
            Self::Tls => "tls",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslTls => "sasl_tls",
        })
    }
}

impl FromStr for Security {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|security| security.to_string() == text);
        found.ok_or("it is plaintext, tls, sasl_plaintext or sasl_tls")
    }
}

impl Mechanism {
    const ALL: [Self; 3] = [Self::ScramSha512, Self::ScramSha256, Self::Plain];
}

impl Display for Mechanism {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
        })
    }
}

impl FromStr for Mechanism {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|mechanism| mechanism.to_string() == text);
        found.ok_or("it is SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN")
    }
}

#[cfg(test)]
mod tests;
