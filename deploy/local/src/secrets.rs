//! The passwords of one stack: made once, kept in `DIR/secrets.json` readable by its owner alone.
//! Postgres gets them when it is set up, and the services through their settings files.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Result, WhileDoing};

/// One password for the administrator and one for each role a service logs in with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    pub administrator: String,
    pub command: String,
    pub relay: String,
    pub projector: String,
    pub query: String,
    /// Younger than the others: a stack from before it has none until it is started again.
    #[serde(default)]
    pub eraser: String,
}

impl Secrets {
    /// Reads them, or makes them when the stack is new.
    ///
    /// # Errors
    /// When the file can neither be read nor written.
    pub fn load_or_make(folder: &Path) -> Result<Self> {
        let path = folder.join("secrets.json");
        if let Ok(text) = fs::read_to_string(&path) {
            let mut secrets: Self =
                serde_json::from_str(&text).while_doing(|| format!("understand {}", path.display()))?;
            if secrets.eraser.is_empty() {
                secrets.eraser = password();
                secrets.write(&path)?;
            }
            return Ok(secrets);
        }
        let secrets = Self {
            administrator: password(),
            command: password(),
            relay: password(),
            projector: password(),
            query: password(),
            eraser: password(),
        };
        secrets.write(&path)?;
        Ok(secrets)
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
        let mode = fs::metadata(folder.path().join("secrets.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
