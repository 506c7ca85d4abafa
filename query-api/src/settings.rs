//! The settings of the query API: one documented list, and what is read of it.
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fittrack_runtime::config::{
    ConfigErrors, KAFKA_BROKERS, LISTEN, LOG, LOG_FORMAT, PRIVATE_LISTEN, Setting, Source, TOKEN_AUDIENCE, TOKEN_ISSUER,
};
use fittrack_runtime::edge::{
    CONNECTIONS_PER_ADDRESS, CORS_ORIGINS, EdgeSettings, RATE_LIMITS, TLS_IN_FRONT, TRUSTED_PROXIES,
};
use fittrack_runtime::kafka::{self, KafkaAccess};
use fittrack_runtime::pg::DatabaseUrl;
use fittrack_runtime::process::CommonSettings;

const READ_MODELS_URL: Setting = Setting::required(
    "FITTRACK_READ_MODELS_URL",
    "the read models, as the role `fittrack_query`",
    "postgres://fittrack_query:secret@localhost:5432/read_models",
)
.secret();
const RECORDINGS_URL: Setting = Setting::required(
    "FITTRACK_RECORDINGS_URL",
    "the recordings' database, as the role `fittrack_query`",
    "postgres://fittrack_query:secret@localhost:5432/recordings",
)
.secret();
const JWKS_URL: Setting = Setting::required(
    "FITTRACK_JWKS_URL",
    "where the command API publishes the keys access tokens are checked with",
    "http://localhost:8400/.well-known/jwks.json",
);
const CACHE_MB: Setting =
    Setting::with_default("FITTRACK_CACHE_MB", "64", "memory for ready answers, in megabytes (1 to 65,536)", "256");
const BROKERS: Setting = Setting {
    meaning: "Kafka brokers, host:port separated by commas; without them changes are learnt through Postgres",
    ..KAFKA_BROKERS.not_required()
};

/// The whole list.
pub const SETTINGS: &[Setting] = &[
    LISTEN.defaulting_to("127.0.0.1:8402"),
    PRIVATE_LISTEN.defaulting_to("127.0.0.1:8403"),
    LOG,
    LOG_FORMAT,
    BROKERS,
    kafka::SECURITY,
    kafka::SASL_MECHANISM,
    kafka::USER,
    kafka::PASSWORD,
    kafka::CA,
    READ_MODELS_URL,
    RECORDINGS_URL,
    JWKS_URL,
    TOKEN_ISSUER,
    TOKEN_AUDIENCE,
    CACHE_MB,
    TRUSTED_PROXIES,
    CONNECTIONS_PER_ADDRESS,
    RATE_LIMITS,
    CORS_ORIGINS,
    TLS_IN_FRONT,
];

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8402);
const DEFAULT_PRIVATE_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8403);
const MEGABYTE: u64 = 1 << 20;

/// What `serve` reads.
#[derive(Debug)]
pub struct Settings {
    /// Those of every process.
    pub common: CommonSettings,
    /// Where the public API listens.
    pub listen: SocketAddr,
    /// The read models.
    pub read_models: DatabaseUrl,
    /// The recordings' database.
    pub recordings: DatabaseUrl,
    /// The issuer's public keys.
    pub jwks_url: String,
    /// Who issues access tokens.
    pub issuer: String,
    /// Whom they are for.
    pub audience: String,
    /// Kafka, where there is one.
    pub kafka: Option<KafkaAccess>,
    /// Memory for ready answers.
    pub cache_bytes: u64,
    /// What stands around the routes.
    pub edge: EdgeSettings,
}

impl Settings {
    /// Reads them, or says everything that is wrong.
    pub fn read(mut source: Source) -> Result<Self, ConfigErrors> {
        source.knows(SETTINGS);
        let no_default = Setting { default: None, ..LISTEN };
        let settings = Self {
            common: CommonSettings::read(&mut source, DEFAULT_PRIVATE_LISTEN),
            listen: source.parsed(&no_default, DEFAULT_LISTEN),
            read_models: source.database(&READ_MODELS_URL),
            recordings: source.database(&RECORDINGS_URL),
            jwks_url: source.required(&JWKS_URL),
            issuer: source.optional(&TOKEN_ISSUER).unwrap_or_default(),
            audience: source.optional(&TOKEN_AUDIENCE).unwrap_or_default(),
            kafka: KafkaAccess::read(&mut source, &BROKERS),
            cache_bytes: source.parsed(&CACHE_MB, 64_u64).clamp(1, 65_536) * MEGABYTE,
            edge: EdgeSettings::read(&mut source),
        };
        source.finish().map(|()| settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMUM: [(&str, &str); 3] = [
        ("FITTRACK_READ_MODELS_URL", "postgres://a@localhost/read_models"),
        ("FITTRACK_RECORDINGS_URL", "postgres://a@localhost/recordings"),
        ("FITTRACK_JWKS_URL", "http://localhost:8400/.well-known/jwks.json"),
    ];

    #[test]
    fn the_minimum_is_two_databases_and_the_issuers_keys() {
        let settings = Settings::read(Source::from_pairs(MINIMUM)).unwrap();
        assert_eq!((settings.listen, settings.common.private_listen), (DEFAULT_LISTEN, DEFAULT_PRIVATE_LISTEN));
        assert_eq!((settings.cache_bytes, settings.kafka), (64 * MEGABYTE, None));
    }

    #[test]
    fn what_is_missing_is_said_all_at_once() {
        let refusal = Settings::read(Source::from_pairs([("FITTRACK_LISTEN", "nowhere")])).unwrap_err().to_string();
        for name in ["FITTRACK_LISTEN", "FITTRACK_READ_MODELS_URL", "FITTRACK_RECORDINGS_URL", "FITTRACK_JWKS_URL"] {
            assert!(refusal.contains(name), "{refusal}");
        }
    }
}
