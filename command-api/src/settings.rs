//! Every setting of the command API, declared once, and the groups its subcommands read.
//! The same list refuses unknown names, is printed by `command-api settings` and documents itself.
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use fittrack_domain::partition::DEFAULT_PARTITIONS;
use fittrack_runtime::{
    config::{
        ConfigErrors, KAFKA_BROKERS, LISTEN, LOG, LOG_FORMAT, PRIVATE_LISTEN, Secret, Setting, Source, TOKEN_AUDIENCE,
        TOKEN_ISSUER,
    },
    edge::{CONNECTIONS_PER_ADDRESS, CORS_ORIGINS, EdgeSettings, RATE_LIMITS, TLS_IN_FRONT, TRUSTED_PROXIES},
    kafka::{self, KafkaAccess},
    keys::SigningKeys,
    pg::DatabaseUrl,
    process::CommonSettings,
};

const EVENT_STORE_URL: Setting = Setting::required(
    "FITTRACK_EVENT_STORE_URL",
    "the event store, as the role `fittrack_command`",
    "postgres://fittrack_command:secret@localhost:5432/event_store",
)
.secret();
const RELAY_URL: Setting = Setting::required(
    "FITTRACK_RELAY_URL",
    "the event store, as the role `fittrack_relay`; needed wherever Kafka is set",
    "postgres://fittrack_relay:secret@localhost:5432/event_store",
)
.secret();
const ERASER_LOG_URL: Setting = Setting::optional(
    "FITTRACK_ERASER_LOG_URL",
    "the event store, as the role `fittrack_eraser`; processes without it leave erasures to those that have it",
    "postgres://fittrack_eraser:secret@localhost:5432/event_store",
)
.secret();
const ERASER_READ_MODELS_URL: Setting = Setting::required(
    "FITTRACK_ERASER_READ_MODELS_URL",
    "the read models, as the role `fittrack_eraser`; needed wherever FITTRACK_ERASER_LOG_URL is set",
    "postgres://fittrack_eraser:secret@localhost:5432/read_models",
)
.secret();
const IDENTITY_URL: Setting = Setting::required(
    "FITTRACK_IDENTITY_URL",
    "the identity database, as the role `fittrack_command`",
    "postgres://fittrack_command:secret@localhost:5432/identity",
)
.secret();
const RECORDINGS_URL: Setting = Setting::required(
    "FITTRACK_RECORDINGS_URL",
    "the recordings' database, as the role `fittrack_command`",
    "postgres://fittrack_command:secret@localhost:5432/recordings",
)
.secret();
const SIGNING_KEY: Setting = Setting::required(
    "FITTRACK_SIGNING_KEY",
    "the Ed25519 key access tokens are signed with, then those that are published beside it; a file is read again when it changes",
    "<PKCS#8 PEM text>",
)
.secret();
const MAKE_A_KEY: &str =
    "make one with `command-api keys generate --out FILE` and set FITTRACK_SIGNING_KEY_FILE to that file";
const LOG_PARTITIONS: Setting = Setting::with_default(
    "FITTRACK_LOG_PARTITIONS",
    "32",
    "how many log partitions the event store was created with; refused where the store says otherwise",
    "32",
);
const BROKERS: Setting = Setting {
    meaning: "Kafka brokers, host:port separated by commas; without them this process publishes nothing",
    ..KAFKA_BROKERS.not_required()
};
const EVENT_STORE_OWNER_URL: Setting = Setting::required(
    "FITTRACK_EVENT_STORE_OWNER_URL",
    "the event store, as its owner; for `migrate` alone",
    "postgres://postgres:secret@localhost:5432/event_store",
)
.secret();
const IDENTITY_OWNER_URL: Setting = Setting::required(
    "FITTRACK_IDENTITY_OWNER_URL",
    "the identity database, as its owner; for `migrate` alone",
    "postgres://postgres:secret@localhost:5432/identity",
)
.secret();
const RECORDINGS_OWNER_URL: Setting = Setting::required(
    "FITTRACK_RECORDINGS_OWNER_URL",
    "the recordings' database, as its owner; for `migrate` alone",
    "postgres://postgres:secret@localhost:5432/recordings",
)
.secret();
/// The projectors' own, which one environment may hold beside ours.
const READ_MODELS_OWNER_URL: Setting = Setting::optional(
    "FITTRACK_READ_MODELS_OWNER_URL",
    "not used here; `projectors migrate` is its reader",
    "postgres://postgres:secret@localhost:5432/read_models",
)
.secret();

/// The whole list.
pub const SETTINGS: &[Setting] = &[
    LISTEN,
    PRIVATE_LISTEN,
    LOG,
    LOG_FORMAT,
    BROKERS,
    kafka::SECURITY,
    kafka::SASL_MECHANISM,
    kafka::USER,
    kafka::PASSWORD,
    kafka::CA,
    EVENT_STORE_URL,
    RELAY_URL,
    ERASER_LOG_URL,
    ERASER_READ_MODELS_URL,
    IDENTITY_URL,
    RECORDINGS_URL,
    SIGNING_KEY,
    TOKEN_ISSUER,
    TOKEN_AUDIENCE,
    LOG_PARTITIONS,
    EVENT_STORE_OWNER_URL,
    IDENTITY_OWNER_URL,
    RECORDINGS_OWNER_URL,
    READ_MODELS_OWNER_URL,
    TRUSTED_PROXIES,
    CONNECTIONS_PER_ADDRESS,
    RATE_LIMITS,
    CORS_ORIGINS,
    TLS_IN_FRONT,
];

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8400);
const DEFAULT_PRIVATE_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8401);

/// What `serve` reads.
#[derive(Debug)]
pub struct ServeSettings {
    /// Those of every process.
    pub common: CommonSettings,
    /// Where the public API listens.
    pub listen: SocketAddr,
    /// The event store for commands.
    pub event_store: DatabaseUrl,
    /// The identity database.
    pub identity: DatabaseUrl,
    /// The recordings' database.
    pub recordings: DatabaseUrl,
    /// Sign access tokens; always there once the settings were accepted.
    pub signing_keys: Option<SigningKeys>,
    /// The file they are in, where they are in one.
    pub signing_key_file: Option<PathBuf>,
    /// Who issues them.
    pub issuer: String,
    /// Whom they are for.
    pub audience: String,
    /// How many log partitions there are.
    pub partitions: i32,
    /// Where and how to publish; `None` without Kafka.
    pub relay: Option<RelayAccess>,
    /// What erasing needs; `None` where other processes do it.
    pub eraser: Option<EraserAccess>,
    /// What stands around the routes.
    pub edge: EdgeSettings,
}

/// What erasing needs.
#[derive(Debug)]
pub struct EraserAccess {
    /// The event store for the eraser.
    pub log: DatabaseUrl,
    /// The read models for the eraser.
    pub read_models: DatabaseUrl,
}

/// What publishing needs.
#[derive(Debug)]
pub struct RelayAccess {
    /// The event store for the relay.
    pub event_store: DatabaseUrl,
    /// Kafka.
    pub kafka: KafkaAccess,
}

/// What `relay` reads.
#[derive(Debug)]
pub struct RelaySettings {
    /// Those of every process.
    pub common: CommonSettings,
    /// Where and how to publish.
    pub relay: RelayAccess,
}

/// What `migrate` reads: each database as its owner.
#[derive(Debug)]
pub struct MigrateSettings {
    /// The event store.
    pub event_store: Secret,
    /// The identity database.
    pub identity: Secret,
    /// The recordings' database.
    pub recordings: Secret,
}

/// What `admin` reads.
#[derive(Debug)]
pub struct AdminSettings {
    /// The identity database.
    pub identity: Secret,
}

/// What `check` reads.
#[derive(Debug)]
pub struct CheckSettings {
    /// The event store.
    pub event_store: Secret,
    /// Kafka, if it is to be checked too.
    pub kafka: Option<KafkaAccess>,
}

impl ServeSettings {
    /// Reads them, or says everything that is wrong.
    pub fn read(mut source: Source) -> Result<Self, ConfigErrors> {
        source.knows(SETTINGS);
        let kafka = KafkaAccess::read(&mut source, &BROKERS);
        let signing_keys = signing_keys(&mut source);
        let settings = Self {
            common: CommonSettings::read(&mut source, DEFAULT_PRIVATE_LISTEN),
            listen: source.parsed(&LISTEN, DEFAULT_LISTEN),
            event_store: source.database(&EVENT_STORE_URL),
            identity: source.database(&IDENTITY_URL),
            recordings: source.database(&RECORDINGS_URL),
            signing_keys,
            signing_key_file: source.file_of(&SIGNING_KEY).map(PathBuf::from),
            issuer: source.optional(&TOKEN_ISSUER).unwrap_or_default(),
            audience: source.optional(&TOKEN_AUDIENCE).unwrap_or_default(),
            partitions: source.parsed(&LOG_PARTITIONS, DEFAULT_PARTITIONS),
            eraser: source
                .optional_database(&ERASER_LOG_URL)
                .map(|log| EraserAccess { log, read_models: source.database(&ERASER_READ_MODELS_URL) }),
            relay: kafka.map(|kafka| RelayAccess { event_store: source.database(&RELAY_URL), kafka }),
            edge: EdgeSettings::read(&mut source),
        };
        source.finish().map(|()| settings)
    }
}

impl RelaySettings {
    /// Reads them, or says everything that is wrong.
    pub fn read(mut source: Source) -> Result<Self, ConfigErrors> {
        source.knows(SETTINGS);
        let relay = RelayAccess { event_store: source.database(&RELAY_URL), kafka: KafkaAccess::required(&mut source) };
        let settings = Self { common: CommonSettings::read(&mut source, DEFAULT_PRIVATE_LISTEN), relay };
        source.finish().map(|()| settings)
    }
}

impl MigrateSettings {
    /// Reads them, or says everything that is wrong.
    pub fn read(mut source: Source) -> Result<Self, ConfigErrors> {
        source.knows(SETTINGS);
        let settings = Self {
            event_store: source.secret(&EVENT_STORE_OWNER_URL),
            identity: source.secret(&IDENTITY_OWNER_URL),
            recordings: source.secret(&RECORDINGS_OWNER_URL),
        };
        source.finish().map(|()| settings)
    }
}

impl AdminSettings {
    /// Reads them, or says everything that is wrong.
    pub fn read(mut source: Source) -> Result<Self, ConfigErrors> {
        source.knows(SETTINGS);
        let settings = Self { identity: source.secret(&IDENTITY_URL) };
        source.finish().map(|()| settings)
    }
}

impl CheckSettings {
    /// Reads them, or says everything that is wrong.
    pub fn read(mut source: Source) -> Result<Self, ConfigErrors> {
        source.knows(SETTINGS);
        let settings =
            Self { event_store: source.secret(&EVENT_STORE_URL), kafka: KafkaAccess::read(&mut source, &BROKERS) };
        source.finish().map(|()| settings)
    }
}

/// The signing keys; `None`, with the problem noted, where there are none that can be used.
fn signing_keys(source: &mut Source) -> Option<SigningKeys> {
    let pem = source.optional_secret(&SIGNING_KEY);
    let loaded = match &pem {
        Some(pem) => SigningKeys::from_pem(pem.expose()).map_err(|error| error.to_string()),
        None => Err(format!("is required: {MAKE_A_KEY}")),
    };
    loaded.map_err(|problem| source.refuse(&SIGNING_KEY, &problem)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_nobody_knows_is_refused() {
        let source =
            Source::from_pairs([("FITTRACK_EVENT_STORE_URL", "postgres://x"), ("FITTRACK_EVENT_STOR_URL", "x")]);
        let refusal = CheckSettings::read(source).unwrap_err().to_string();
        assert!(refusal.contains("did you mean FITTRACK_EVENT_STORE_URL?"), "{refusal}");
    }

    #[test]
    fn an_example_s_secret_is_refused_unless_for_trying_out() {
        let example = "postgres://me:secret@db.example:5432/store";
        let read = |pairs: &[(&str, &str)]| CheckSettings::read(Source::from_pairs(pairs.iter().copied()));
        let refusal = read(&[("FITTRACK_EVENT_STORE_URL", example)]).unwrap_err().to_string();
        assert!(refusal.contains("FITTRACK_EVENT_STORE_URL") && refusal.contains("FITTRACK_DEV"), "{refusal}");
        assert!(read(&[("FITTRACK_EVENT_STORE_URL", example), ("FITTRACK_DEV", "true")]).is_ok());
        assert!(read(&[("FITTRACK_EVENT_STORE_URL", "postgres://me:secrets@db.example:5432/store")]).is_ok());
        assert!(read(&[("FITTRACK_EVENT_STORE_URL", "postgres://me@db.example:5432/store")]).is_ok());
    }

    #[test]
    fn a_missing_key_says_how_to_make_one() {
        let refusal =
            ServeSettings::read(Source::from_pairs([("FITTRACK_LISTEN", "127.0.0.1:0")])).unwrap_err().to_string();
        assert!(refusal.contains("FITTRACK_SIGNING_KEY") && refusal.contains("keys generate --out"), "{refusal}");
        assert!(refusal.contains("FITTRACK_IDENTITY_URL"), "{refusal}");
    }
}
