//! Every setting of the projectors, declared once, and what each subcommand reads of them.
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fittrack_runtime::{
    config::{ConfigErrors, KAFKA_BROKERS, LOG, LOG_FORMAT, PRIVATE_LISTEN, Secret, Setting, Source},
    kafka::{self, KafkaAccess},
    pg::DatabaseUrl,
    process::CommonSettings,
};

const EVENT_STORE_URL: Setting = Setting::required(
    "FITTRACK_EVENT_STORE_URL",
    "the event store, as the role `fittrack_projector`, which may only read there",
    "postgres://fittrack_projector:secret@localhost:5432/event_store",
)
.secret();
const READ_MODELS_URL: Setting = Setting::required(
    "FITTRACK_READ_MODELS_URL",
    "the read models, as the role `fittrack_projector`",
    "postgres://fittrack_projector:secret@localhost:5432/read_models",
)
.secret();
const READ_MODELS_OWNER_URL: Setting = Setting::required(
    "FITTRACK_READ_MODELS_OWNER_URL",
    "the read models, as their owner; for `migrate`, `rebuild`, `verify`, `promote`, `rollback` and `retire`",
    "postgres://postgres:secret@localhost:5432/read_models",
)
.secret();
const BROKERS: Setting = Setting {
    meaning: "Kafka brokers, host:port separated by commas; needed unless run with `--source store`",
    ..KAFKA_BROKERS.not_required()
};
/// The command API's own, which one environment may hold beside ours.
const OTHERS: [Setting; 3] = [
    Setting::optional("FITTRACK_EVENT_STORE_OWNER_URL", "not used here", "").secret(),
    Setting::optional("FITTRACK_IDENTITY_OWNER_URL", "not used here", "").secret(),
    Setting::optional("FITTRACK_RECORDINGS_OWNER_URL", "not used here", "").secret(),
];

/// The whole list.
pub const SETTINGS: &[Setting] = &[
    PRIVATE_LISTEN.defaulting_to("127.0.0.1:8404"),
    LOG,
    LOG_FORMAT,
    BROKERS,
    kafka::SECURITY,
    kafka::SASL_MECHANISM,
    kafka::USER,
    kafka::PASSWORD,
    kafka::CA,
    EVENT_STORE_URL,
    READ_MODELS_URL,
    READ_MODELS_OWNER_URL,
];

const DEFAULT_PRIVATE_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8404);

/// Both databases, as the projectors see them.
#[derive(Debug, Clone)]
pub struct Databases {
    /// The event store.
    pub event_store: DatabaseUrl,
    /// The read models.
    pub read_models: DatabaseUrl,
}

/// What `run` reads.
#[derive(Debug)]
pub struct RunSettings {
    /// Those of every process.
    pub common: CommonSettings,
    /// The databases.
    pub databases: Databases,
    /// Kafka, where there is one.
    pub kafka: Option<KafkaAccess>,
}

/// What `status` and `parked` read.
#[derive(Debug)]
pub struct OperatorSettings {
    /// The databases.
    pub databases: Databases,
    /// Kafka, where there is one: changes are told there.
    pub kafka: Option<KafkaAccess>,
}

impl Databases {
    fn read(source: &mut Source) -> Self {
        Self { event_store: source.database(&EVENT_STORE_URL), read_models: source.database(&READ_MODELS_URL) }
    }
}

impl RunSettings {
    /// Reads them, or says everything that is wrong; `through_kafka` makes brokers a must.
    pub fn read(mut source: Source, through_kafka: bool) -> Result<Self, ConfigErrors> {
        source.knows(SETTINGS);
        source.knows(&OTHERS);
        let kafka = KafkaAccess::read(&mut source, &BROKERS);
        if through_kafka && kafka.is_none() {
            source
                .refuse(&BROKERS, "is required to read events through Kafka; without Kafka, run with `--source store`");
        }
        let settings = Self {
            common: CommonSettings::read(&mut source, DEFAULT_PRIVATE_LISTEN),
            databases: Databases::read(&mut source),
            kafka,
        };
        source.finish().map(|()| settings)
    }
}

impl OperatorSettings {
    /// Reads them, or says everything that is wrong.
    pub fn read(mut source: Source) -> Result<Self, ConfigErrors> {
        source.knows(SETTINGS);
        source.knows(&OTHERS);
        let settings =
            Self { databases: Databases::read(&mut source), kafka: KafkaAccess::read(&mut source, &BROKERS) };
        source.finish().map(|()| settings)
    }
}

/// What the commands about builds read.
#[derive(Debug)]
pub struct BuildSettings {
    /// The databases, and Kafka.
    pub operator: OperatorSettings,
    /// The read models as their owner: tables are made and dropped.
    pub read_models_owner: Secret,
}

impl BuildSettings {
    /// Reads them, or says everything that is wrong.
    pub fn read(mut source: Source) -> Result<Self, ConfigErrors> {
        source.knows(SETTINGS);
        source.knows(&OTHERS);
        let settings = Self {
            operator: OperatorSettings {
                databases: Databases::read(&mut source),
                kafka: KafkaAccess::read(&mut source, &BROKERS),
            },
            read_models_owner: source.secret(&READ_MODELS_OWNER_URL),
        };
        source.finish().map(|()| settings)
    }
}

/// What `migrate` reads: the read models as their owner.
pub fn read_models_owner(mut source: Source) -> Result<Secret, ConfigErrors> {
    source.knows(SETTINGS);
    source.knows(&OTHERS);
    let owner = source.secret(&READ_MODELS_OWNER_URL);
    source.finish().map(|()| owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATABASES: [(&str, &str); 2] =
        [("FITTRACK_EVENT_STORE_URL", "postgres://a"), ("FITTRACK_READ_MODELS_URL", "postgres://b")];

    #[test]
    fn brokers_are_needed_only_where_events_come_through_kafka() {
        let refusal = RunSettings::read(Source::from_pairs(DATABASES), true).unwrap_err().to_string();
        assert!(refusal.contains("--source store"), "{refusal}");
        assert!(RunSettings::read(Source::from_pairs(DATABASES), false).is_ok());
    }

    #[test]
    fn everything_missing_is_named_at_once() {
        let refusal = OperatorSettings::read(Source::from_pairs([("FITTRACK_LOG", "info")])).unwrap_err().to_string();
        assert!(refusal.contains("FITTRACK_EVENT_STORE_URL") && refusal.contains("FITTRACK_READ_MODELS_URL"));
    }
}
