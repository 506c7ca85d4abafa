//! A steady load: writers who log, edit, delete, import and register, name every request with an idempotency key, and
//! repeat it until they are told what became of it. Faults are injected while they run; their ledger is then held
//! against the store.

mod requests;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::Api;
use crate::failure::{Failure, Result};
use crate::ledger::Ledger;
use crate::patience::until_within;
use writer::Writer;

/// How long a fault may keep every writer waiting.
const STALL: Duration = Duration::from_secs(180);
const TIME_ZONES: [&str; 4] = ["Europe/Berlin", "Pacific/Kiritimati", "America/Los_Angeles", "UTC"];

/// What load to make.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub athletes: usize,
    /// Several writers of one athlete race for the same workouts.
    pub writers_each: usize,
    /// Of a hundred requests, how many are abandoned after 0 to 5 ms.
    pub hang_ups: u32,
    /// Between two requests of a writer.
    pub pause: Duration,
    pub seed: u64,
}

impl Default for Plan {
    /// Some hundred commands a second, so that the faults are not measured through a saturated machine.
    fn default() -> Self {
        Self { athletes: 4, writers_each: 2, hang_ups: 0, pause: Duration::from_millis(8), seed: rand::random() }
    }
}

/// Writers at work.
pub struct Writers {
    stop: watch::Sender<bool>,
    tasks: JoinSet<Ledger>,
    acknowledged: Arc<AtomicUsize>,
}

impl Writers {
    /// Registers the athletes and sets their writers to work.
    ///
    /// # Errors
    /// When an athlete cannot be registered.
    pub async fn start(api: &Api, plan: Plan) -> Result<Self> {
        eprintln!("load of {} writers, seed {}", plan.athletes * plan.writers_each, plan.seed);
        let (stop, stopped) = watch::channel(false);
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for number in 0..plan.athletes {
            let time_zone = TIME_ZONES[number % TIME_ZONES.len()];
            let athlete = api.register_in(&format!("Athlete {number}"), time_zone).await?;
            let known = Arc::default();
            for writer in 0..plan.writers_each {
                let number = number * plan.writers_each + writer;
                let random = StdRng::seed_from_u64(plan.seed.wrapping_add(number as u64));
                let writer = Writer::new(athlete.clone(), Arc::clone(&known), number, random, plan);
                tasks.spawn(writer.run(stopped.clone(), Arc::clone(&acknowledged)));
            }
        }
        Ok(Self { stop, tasks, acknowledged })
    }

    /// Waits until so many more commands are acknowledged than are now.
    ///
    /// # Errors
    /// When that takes minutes.
    pub async fn more(&self, commands: usize) -> Result<()> {
        let before = self.acknowledged.load(Ordering::Relaxed);
        until_within(STALL, &format!("{commands} more commands are acknowledged"), async || {
            let now = self.acknowledged.load(Ordering::Relaxed);
            if now >= before + commands { Ok(()) } else { Err(format!("{} are", now - before)) }
        })
        .await
    }

    /// Lets every writer finish its request, and answers with what all were told.
    ///
    /// # Errors
    /// When a writer failed.
    pub async fn stop(mut self) -> Result<Ledger> {
        self.stop.send_replace(true);
        let mut ledger = Ledger::default();
        while let Some(finished) = self.tasks.join_next().await {
            ledger.absorb(finished.map_err(|error| Failure::new(format!("a writer failed: {error}")))?);
        }
        eprintln!("{}", ledger.summary());
        Ok(ledger)
    }
}
