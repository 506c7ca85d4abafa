//! The file of signing keys, read again when it changes: a rotation needs no restart. What cannot be used leaves the keys last
//! read in use, and says so. How to rotate is in `deploy/runbooks/keys-and-secrets.md`.
use std::{path::PathBuf, time::Duration};

use fittrack_runtime::keys::SigningKeys;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Between two looks at the file.
const PAUSE: Duration = Duration::from_secs(5);

/// A file of signing keys.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    pause: Duration,
}

impl KeyFile {
    /// The file at a path.
    pub fn new(path: PathBuf) -> Self {
        Self { path, pause: PAUSE }
    }

    /// The same, looked at in another rhythm.
    #[must_use]
    pub fn every(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// Gives the app the file's keys whenever they have changed, until cancelled.
    pub async fn follow(self, app: App, stop: CancellationToken) {
        let path = self.path.display();
        let mut ticks = tokio::time::interval(self.pause);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // What was seen last (by its hash, to hold no second copy) and what was wrong, so that each is dealt with once.
        let (mut seen, mut trouble) = (None, None);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let read = tokio::fs::read_to_string(&self.path).await;
            let failed = match read {
                Ok(text) if seen == Some(Sha256::digest(&text)) => continue,
                Ok(text) => {
                    seen = Some(Sha256::digest(&text));
                    let loaded = SigningKeys::from_pem(&text);
                    loaded.map(|keys| adopt(&app, keys)).err().map(|error| error.to_string())
                }
                Err(error) => Some(error.to_string()),
            };
            if failed.is_some() && failed != trouble {
                tracing::error!(%path, error = failed, "the signing keys cannot be read; keeping those last read");
            }
            trouble = failed;
        }
    }
}

fn adopt(app: &App, keys: SigningKeys) {
    if keys.jwk_set() != app.tokens.jwk_set() {
        tracing::info!(kids = ?keys.kids(), "the signing keys have changed; the first one signs");
        app.adopt_keys(keys);
    }
}
