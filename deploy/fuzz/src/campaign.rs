//! One target under its corpus and under what becomes of it, until a bound is reached or something does not hold.
//! Inputs run on a thread of their own, so that one that never ends is noticed and named.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, fs, thread};

use sha2::{Digest, Sha256};

use crate::mutation::made;
use crate::{Target, corpus, memory};

/// Memory is counted for the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// When a campaign has done enough.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// After as many mutated inputs as the target says.
    Inputs,
    /// After this long.
    Time(Duration),
}

/// What was tried.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// How many committed inputs.
    pub seeds: u64,
    /// How many of those the parser accepted.
    pub seeds_accepted: u64,
    /// How many mutated inputs.
    pub mutated: u64,
    /// How many of those the parser accepted.
    pub mutated_accepted: u64,
}

/// An input for which something does not hold.
#[derive(Debug)]
pub struct Found {
    /// The target's name.
    pub target: &'static str,
    /// Which input.
    pub input: String,
    /// A copy of it.
    pub file: PathBuf,
    /// What does not hold.
    pub why: String,
}

impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (target, input, why, file) = (self.target, &self.input, &self.why, self.file.display());
        write!(formatter, "{target}, {input}: {why}\n  the input is {file}: put it into deploy/fuzz/corpus/{target}/")
    }
}

/// Which input runs, since when.
type Running = Arc<Mutex<Option<(Instant, String, Vec<u8>)>>>;

/// Runs a target.
///
/// # Errors
/// With the first input for which something does not hold, or when the corpus cannot be read.
pub fn run(target: &'static Target, seed: u64, bound: Bound) -> Result<Tried, Found> {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let running = Running::default();
    let (done, outcome) = mpsc::channel();
    let (worker_running, name) = (Arc::clone(&running), format!("fuzz {}", target.name));
    let worker = move || done.send(inputs(target, seed, bound, &worker_running));
    let spawned = thread::Builder::new().name(name).spawn(worker);
    spawned.map_err(|cause| found(target, "none", &[], format!("no thread: {cause}")))?;
    loop {
        match outcome.recv_timeout(Duration::from_secs(1)) {
            Ok(outcome) => return outcome,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(found(target, "none", &[], "the thread of the inputs has ended".to_owned()));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let running = running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, input, bytes)) = &*running
            && since.elapsed() > target.slowest
        {
            let why = format!("still not read after {} s", target.slowest.as_secs());
            return Err(found(target, input, bytes, why));
        }
    }
}

fn inputs(target: &'static Target, seed: u64, bound: Bound, running: &Running) -> Result<Tried, Found> {
    let committed = corpus::of(target);
    let committed = committed.map_err(|cause| found(target, "the corpus", &[], format!("cannot be read: {cause}")))?;
    let mut tried = Tried::default();
    let mut seeds = Vec::new();
    for (name, bytes) in committed {
        tried.seeds += 1;
        tried.seeds_accepted += u64::from(input(target, &name, &bytes, running)?);
        seeds.push(bytes);
    }
    seeds.extend((target.made)());
    let began = Instant::now();
    let goes_on = |mutated: u64| match bound {
        Bound::Inputs => mutated < target.inputs,
        Bound::Time(limit) => began.elapsed() < limit,
    };
    while goes_on(tried.mutated) {
        let bytes = made(&seeds, target.words, seed, tried.mutated);
        let bytes = if tried.mutated % 2 == 1 { (target.mended)(bytes) } else { bytes };
        let name = format!("input {} of FITTRACK_SEED={seed}", tried.mutated);
        tried.mutated_accepted += u64::from(input(target, &name, &bytes, running)?);
        tried.mutated += 1;
    }
    Ok(tried)
}

/// One input; says whether the parser accepted it.
fn input(target: &'static Target, name: &str, bytes: &[u8], running: &Running) -> Result<bool, Found> {
    let now = |value| *running.lock().unwrap_or_else(PoisonError::into_inner) = value;
    now(Some((Instant::now(), name.to_owned(), bytes.to_vec())));
    let (outcome, needed) = memory::needed_by(|| catch_unwind(AssertUnwindSafe(|| (target.accepts)(bytes))));
    now(None);
    let accepted = outcome.map_err(|panic| found(target, name, bytes, said(&*panic)))?;
    if needed > target.memory_bytes {
        let why = format!("needed {needed} bytes, may need {}", target.memory_bytes);
        return Err(found(target, name, bytes, why));
    }
    Ok(accepted)
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panicked".to_owned())
}

/// Keeps a copy of the input under the folder of built things.
fn found(target: &'static Target, input: &str, bytes: &[u8], why: String) -> Found {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fuzz").join(target.name);
    let file = folder.join(&hex::encode(Sha256::digest(bytes))[..16]);
    let why = match fs::create_dir_all(&folder).and_then(|()| fs::write(&file, bytes)) {
        Ok(()) => why,
        Err(error) => format!("{why} (and it cannot be kept: {error})"),
    };
    Found { target: target.name, input: input.to_owned(), file, why }
}
