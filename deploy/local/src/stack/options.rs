//! What a caller decides about a stack before it starts.
//! The command line fills it from flags and the environment, tests fill it directly.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, WhileDoing};

const BROKERS: &str = "FITTRACK_KAFKA_BROKERS";

/// How much of a stack to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    Postgres,
    PostgresAndKafka,
    /// Postgres, Kafka, migrations and the three services.
    Everything,
}

/// What a stack is started with.
#[derive(Clone, Debug)]
pub struct StackOptions {
    /// Holds all data, settings and logs; made when missing.
    pub dir: PathBuf,
    /// The first port; as before, or [`crate::ports::DEFAULT_BASE`], when absent.
    pub port_base: Option<u16>,
    pub parts: Parts,
    /// The folder with the executables `command-api`, `projectors` and `query-api`.
    pub binaries: PathBuf,
    /// Somebody else's Postgres (an administrator's URL), used in place of one of our own.
    pub external_postgres: Option<String>,
    /// Somebody else's Kafka (`host:port,...`), used in place of one of our own.
    pub external_kafka: Option<String>,
    /// How to connect to it besides: the other settings `FITTRACK_KAFKA_...`, given to every service as they are.
    pub external_kafka_settings: BTreeMap<String, String>,
}

impl StackOptions {
    /// Everything, with a Postgres and a Kafka of its own.
    pub fn new(dir: PathBuf, binaries: PathBuf) -> Self {
        Self {
            dir,
            port_base: None,
            parts: Parts::Everything,
            binaries,
            external_postgres: None,
            external_kafka: None,
            external_kafka_settings: BTreeMap::new(),
        }
    }

    /// Takes the Postgres and the Kafka that the environment names, in place of own ones.
    #[must_use]
    pub fn with_servers_of_environment(mut self) -> Self {
        let set = |key| std::env::var(key).ok().filter(|value| !value.is_empty());
        self.external_postgres = set("FITTRACK_POSTGRES_URL");
        self.external_kafka = set(BROKERS);
        if self.external_kafka.is_some() {
            let kafka = std::env::vars().filter(|(key, _)| key.starts_with("FITTRACK_KAFKA_") && key != BROKERS);
            self.external_kafka_settings = kafka.collect();
        }
        self
    }

    /// Sets the first port.
    #[must_use]
    pub fn on_ports_from(mut self, base: u16) -> Self {
        self.port_base = Some(base);
        self
    }

    /// Sets how much to start.
    #[must_use]
    pub fn only(mut self, parts: Parts) -> Self {
        self.parts = parts;
        self
    }

    /// The folder into which cargo built the services when it built the test that is running (`target/debug`).
    ///
    /// # Errors
    /// When the running program does not lie where cargo puts tests.
    pub fn built_beside_this_test() -> Result<PathBuf> {
        let program = std::env::current_exe().while_doing(|| "find the running program")?;
        let folder = program.parent().unwrap_or(Path::new("/"));
        let folder = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
        folder.map(Path::to_path_buf).ok_or_else(|| Error::failed("the running program lies in no folder"))
    }
}
