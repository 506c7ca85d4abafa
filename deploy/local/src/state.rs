//! What a stack remembers between commands, in `DIR/stack.json`: its ports, its binaries and the processes it started.
//! Written whole after every change, so a command that dies leaves the next one a true account.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, WhileDoing};
use crate::ports::Ports;
use crate::process::ProcessId;
use crate::secrets::write_private;

/// The account of one stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub ports: Ports,
    /// Where the services' executables were taken from.
    pub binaries: PathBuf,
    /// Where Postgres keeps its data; outside DIR when the user it runs as cannot enter DIR.
    pub postgres_folder: Option<PathBuf>,
    /// The administrator's URL of a Postgres that is not ours to start.
    pub external_postgres: Option<String>,
    /// The brokers of a Kafka that is not ours to start.
    pub external_kafka: Option<String>,
    /// How to connect to it besides: further settings of the services, `FITTRACK_KAFKA_...`.
    #[serde(default)]
    pub external_kafka_settings: BTreeMap<String, String>,
    /// The processes started and not yet stopped, dead or alive, by name.
    pub processes: BTreeMap<String, ProcessId>,
}

impl State {
    /// Reads the account of a stack; nothing when there never was one.
    ///
    /// # Errors
    /// When the file is there but cannot be understood.
    pub fn load(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join("stack.json");
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|cause| {
                Error::failed(format!("{} cannot be understood: {cause}", path.display()))
                    .advise("it was written by another version or damaged; stop what runs, then remove the folder")
            }),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Error::failed(format!("cannot read {}: {cause}", path.display()))
                .advise("use the user who started the stack")),
        }
    }

    /// Writes the account.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).while_doing(|| "write down the state of the stack")?;
        write_private(&folder.join("stack.json"), &text)
    }
}

/// Held while a command starts or stops processes, so that two of them on one folder take turns.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock lasts as long as the open file")] File);

impl Lock {
    /// Waits for its turn.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn take(folder: &Path) -> Result<Self> {
        let file = Self::open(folder, "lock")?;
        flock(&file, FlockOperation::LockExclusive).while_doing(|| format!("lock {}", folder.display()))?;
        Ok(Self(file))
    }

    /// The place of the one command that shows the output of a stack; nothing when somebody else has it.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn try_foreground(folder: &Path) -> Result<Option<Self>> {
        let file = Self::open(folder, "foreground.lock")?;
        Ok(flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok().then_some(Self(file)))
    }

    /// Held for the instant in which the account is read, changed and written.
    pub(crate) fn for_state(folder: &Path) -> Result<Self> {
        let file = Self::open(folder, "state.lock")?;
        flock(&file, FlockOperation::LockExclusive).while_doing(|| format!("lock {}", folder.display()))?;
        Ok(Self(file))
    }

    fn open(folder: &Path, name: &str) -> Result<File> {
        let path = folder.join(name);
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        file.while_doing(|| format!("open {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_what_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(State::load(folder.path()).unwrap(), None);
        let state = State {
            ports: Ports::from_base(9000).unwrap(),
            binaries: "/somewhere".into(),
            postgres_folder: None,
            external_postgres: None,
            external_kafka: Some("kafka:9092".into()),
            external_kafka_settings: BTreeMap::from([("FITTRACK_KAFKA_SECURITY".into(), "tls".into())]),
            processes: BTreeMap::from([("postgres".to_owned(), ProcessId { pid: 7, started: "11".into() })]),
        };
        state.save(folder.path()).unwrap();
        assert_eq!(State::load(folder.path()).unwrap(), Some(state));
    }

    #[test]
    fn a_damaged_account_is_named_and_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("stack.json"), "{").unwrap();
        assert!(State::load(folder.path()).unwrap_err().to_string().contains("stack.json"));
    }

    #[test]
    fn only_one_command_shows_the_output() {
        let folder = tempfile::tempdir().unwrap();
        let held = Lock::try_foreground(folder.path()).unwrap();
        assert!(held.is_some());
        assert!(Lock::try_foreground(folder.path()).unwrap().is_none());
    }
}
