//! The passwords of one stack: made once, kept in `DIR/secrets.json` readable by its owner alone.
//! Postgres and Kafka get them when they have started, and the services through their settings files.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Result, WhileDoing};
use crate::state::Lock;

/// One password for each administrator, for each role a service logs into Postgres with, and for each service's user of Kafka.
/// A stack from before some of them existed gets those when it is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Secrets {
    pub administrator: String,
    pub command: String,
    pub relay: String,
    pub projector: String,
    pub query: String,
    pub eraser: String,
    pub kafka_administrator: String,
    pub kafka_command_api: String,
    pub kafka_projectors: String,
    pub kafka_query_api: String,
}

impl Secrets {
    /// Reads them, or makes them when the stack is new.
    ///
    /// # Errors
    /// When the file cannot be read, understood or written.
    pub fn load_or_make(folder: &Path) -> Result<Self> {
        let path = folder.join("secrets.json");
        let mut secrets = Self::load(&path)?;
        if secrets.make_missing() {
            // A `status` beside the first `up` makes passwords too: whoever comes second takes those of the first.
            let _turn = Lock::for_state(folder)?;
            secrets = Self::load(&path)?;
            if secrets.make_missing() {
                secrets.write(&path)?;
            }
        }
        Ok(secrets)
    }

    /// None of them where there is no file yet.
    fn load(path: &Path) -> Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).while_doing(|| format!("understand {}", path.display())),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(cause) => Err(cause).while_doing(|| format!("read {}", path.display())),
        }
    }

    /// Whether any was missing.
    fn make_missing(&mut self) -> bool {
        let all = [
            &mut self.administrator,
            &mut self.command,
            &mut self.relay,
            &mut self.projector,
            &mut self.query,
            &mut self.eraser,
            &mut self.kafka_administrator,
            &mut self.kafka_command_api,
            &mut self.kafka_projectors,
            &mut self.kafka_query_api,
        ];
        let missing = all.into_iter().filter(|secret| secret.is_empty());
        missing.map(|secret| *secret = password()).count() > 0
    }

    fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).while_doing(|| "write down passwords")?;
        write_private(path, &text)
    }
}

/// Writes a file only its owner may read, whole or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    let draft = path.with_extension("draft");
    let written = fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&draft, path));
    written.while_doing(|| format!("write {}", path.display()))
}

/// 128 random bits in hexadecimal: needs no escaping in a URL, a settings file or SQL.
fn password() -> String {
    format!("{:032x}", rand::random::<u128>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn passwords_are_made_once_and_nobody_else_may_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let first = Secrets::load_or_make(folder.path()).unwrap();
        assert_eq!(Secrets::load_or_make(folder.path()).unwrap(), first);
        assert_ne!(first.command, first.query);
        assert_ne!(first.kafka_administrator, first.kafka_query_api);
        let mode = fs::metadata(folder.path().join("secrets.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn commands_that_open_a_new_stack_at_once_have_the_same_passwords() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let start = std::sync::Barrier::new(8);
            let made: Vec<Secrets> = std::thread::scope(|threads| {
                let open = || {
                    start.wait();
                    Secrets::load_or_make(folder.path()).unwrap()
                };
                let opened: Vec<_> = (0..8).map(|_| threads.spawn(open)).collect();
                opened.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let kept = Secrets::load_or_make(folder.path()).unwrap();
            assert!(made.iter().all(|secrets| *secrets == kept));
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("secrets.json")).unwrap();
        assert!(Secrets::load_or_make(folder.path()).unwrap_err().to_string().contains("read"));
    }

    #[test]
    fn a_stack_from_before_kafka_had_passwords_gets_those_and_keeps_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let old = r#"{"administrator":"a","command":"c","relay":"r","projector":"p","query":"q"}"#;
        fs::write(folder.path().join("secrets.json"), old).unwrap();
        let secrets = Secrets::load_or_make(folder.path()).unwrap();
        assert_eq!((secrets.administrator.as_str(), secrets.query.as_str()), ("a", "q"));
        assert!(secrets.eraser.len() == 32 && secrets.kafka_query_api.len() == 32);
        assert_eq!(Secrets::load_or_make(folder.path()).unwrap(), secrets);
    }
}
