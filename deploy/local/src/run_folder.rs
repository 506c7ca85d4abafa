//! A folder for everything one run of the tests or benchmarks starts, with a sweep that stops whatever was left running.
//! A test that is killed cannot stop its own stack; the run that contained it can, and the next run does if that one died too.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use fittrack_local::state::Lock;
use fittrack_local::{Error, Result, Stack};

/// A folder in which stacks are started, marked as in use while this value lives.
pub struct RunFolder {
    path: PathBuf,
    _in_use: Lock,
}

impl RunFolder {
    /// Makes one below `parent`, after clearing away what earlier runs of this user left there.
    pub async fn make(parent: &Path) -> Result<Self> {
        let user = fs::metadata("/proc/self").map_or(0, |own| std::os::unix::fs::MetadataExt::uid(&own));
        let runs = parent.join(format!("fittrack-runs-{user}"));
        // Postgres may run as another user, who has to get through.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(&runs)
            .map_err(|cause| failed("create", &runs, &cause))?;
        for old in folders(&runs) {
            if let Ok(Some(_ended)) = Lock::try_foreground(&old) {
                clear(&old).await;
            }
        }
        let path = runs.join(format!("{:08x}", std::process::id()));
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(&path)
            .map_err(|cause| failed("create", &path, &cause))?;
        match Lock::try_foreground(&path)? {
            Some(in_use) => Ok(Self { path, _in_use: in_use }),
            None => Err(Error::failed(format!("{} is in use by another run", path.display()))),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Stops every stack below and removes the folder.
    pub async fn clear(self) {
        clear(&self.path).await;
    }
}

/// Stops what runs below a folder and removes it; what cannot be removed is left for the next sweep.
async fn clear(folder: &Path) {
    for candidate in folders(folder) {
        if let Ok(Some(stack)) = Stack::open(&candidate) {
            let running = stack.started().unwrap_or_default();
            if !running.is_empty() {
                eprintln!("stopping {} left in {}", running.join(", "), candidate.display());
            }
            if let Err(error) = stack.wipe().await {
                eprintln!("{error}");
            }
        }
    }
    let _ = fs::remove_dir_all(folder);
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn failed(doing: &str, path: &Path, cause: &std::io::Error) -> Error {
    Error::failed(format!("cannot {doing} {}: {cause}", path.display()))
}
