//! Readers of leaderboards who judge every answer, while operators change what is shown beneath them: no read fails, no
//! answer mixes two versions, and whoever shows the token of a write sees it.
//! Their own board has only a crowd on it whose rows tell the versions apart; see [`crowd`].

pub mod crowd;
pub mod judge;
mod reader;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::{Api, Athlete, Call};
use crate::failure::{Failure, Result};
use crate::invariants;
use crate::model::BoardRule;
use crate::patience::until;
use crate::stack::TestStack;
use crowd::{Crowd, METRICS};
use judge::Part;
use reader::Reader;
pub use reader::board;

/// Which readers there are.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Who write, and read with the token of their own write.
    pub witnesses: usize,
    /// Whether they do; where projectors are killed, a token may rightly wait in vain.
    pub with_tokens: bool,
    /// Who only read, without tokens; at most as many as the crowd has markers.
    pub lookers: usize,
    /// Between two questions of a reader.
    pub pause: Duration,
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self { witnesses: 3, with_tokens: true, lookers: 4, pause: Duration::from_millis(25), seed: rand::random() }
    }
}

/// What readers have met.
#[derive(Debug, Default)]
pub struct Seen {
    /// Answers to a token of the reader's own write.
    pub with_token: usize,
    /// Pages behind a cursor.
    pub cursors: usize,
    pub failed: Vec<String>,
    pub mixed: Vec<String>,
    pub stale: Vec<String>,
}

impl Seen {
    fn absorb(&mut self, other: Self) {
        self.with_token += other.with_token;
        self.cursors += other.cursors;
        self.failed.extend(other.failed);
        self.mixed.extend(other.mixed);
        self.stale.extend(other.stale);
    }

    /// Nothing, where every read was right.
    ///
    /// # Errors
    /// With the first reads of each kind that were not.
    pub fn all_right(&self) -> Result<()> {
        let mut wrong = String::new();
        for (what, reads) in [("failed", &self.failed), ("mixed", &self.mixed), ("stale", &self.stale)] {
            if !reads.is_empty() {
                let shown: Vec<&str> = reads.iter().take(4).map(String::as_str).collect();
                wrong = format!("{wrong}\n  {} reads {what}, such as:\n    {}", reads.len(), shown.join("\n    "));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(Failure::new(format!("{self}:{wrong}"))) }
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { with_token, cursors, failed, mixed, stale } = self;
        let (failed, mixed, stale) = (failed.len(), mixed.len(), stale.len());
        write!(
            formatter,
            "{with_token} answers to a token of their own, {cursors} behind a cursor; \
             {failed} failed, {mixed} mixed, {stale} stale"
        )
    }
}

/// What readers have done up to now.
#[derive(Debug, Default)]
struct Tally {
    asked: AtomicUsize,
    by_every_workout: AtomicUsize,
    by_a_minute_or_more: AtomicUsize,
}

impl Tally {
    /// The answers that followed a rule.
    fn of(&self, rule: BoardRule) -> &AtomicUsize {
        match rule {
            BoardRule::EveryWorkout => &self.by_every_workout,
            BoardRule::AMinuteOrMore => &self.by_a_minute_or_more,
        }
    }
}

/// Readers at work.
pub struct Readers {
    pub crowd: Arc<Crowd>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<Seen>,
    tally: Arc<Tally>,
}

impl Readers {
    /// Registers the crowd, waits until it is on its board, and sets the readers to work.
    ///
    /// # Errors
    /// When somebody cannot be registered.
    pub async fn start(stack: &TestStack, api: &Api, plan: Plan) -> Result<Self> {
        let crowd = Arc::new(Crowd::gather(api, plan.witnesses).await?);
        invariants::drained(stack).await?;
        let (stop, stopped) = watch::channel(false);
        let tally = Arc::new(Tally::default());
        let mut tasks = JoinSet::new();
        let reader = |athlete: &Athlete, nth: u64| Reader {
            athlete: athlete.clone(),
            crowd: Arc::clone(&crowd),
            plan,
            random: StdRng::seed_from_u64(plan.seed.wrapping_add(nth)),
            seen: Seen::default(),
            tally: Arc::clone(&tally),
        };
        for (nth, (marker, _)) in (0..).zip(crowd.markers.iter().rev().take(plan.lookers)) {
            tasks.spawn(reader(marker, nth).look(stopped.clone()));
        }
        for (nth, witness) in (100..).zip(crowd.witnesses.iter().filter(|_| plan.with_tokens)) {
            tasks.spawn(reader(witness, nth).witness(stopped.clone()));
        }
        Ok(Self { crowd, stop, tasks, tally })
    }

    /// Waits until so many more questions are asked than are now.
    ///
    /// # Errors
    /// When that takes minutes.
    pub async fn more(&self, questions: usize) -> Result<()> {
        let before = self.tally.asked.load(Ordering::Relaxed);
        until(&format!("{questions} more questions are asked"), async || {
            let now = self.tally.asked.load(Ordering::Relaxed);
            if now >= before + questions { Ok(()) } else { Err(format!("{} are", now - before)) }
        })
        .await
    }

    /// How many answers have followed a rule.
    pub fn answers(&self, rule: BoardRule) -> usize {
        self.tally.of(rule).load(Ordering::Relaxed)
    }

    /// Waits until each of these query APIs, cached answers included, shows boards by a rule, and nothing else from then on.
    ///
    /// # Errors
    /// When that never comes, or an answer follows another rule after all.
    pub async fn all_see(&self, replicas: &[Api], rule: BoardRule) -> Result<()> {
        for api in replicas {
            for metric in METRICS {
                until(&format!("boards follow {rule:?}"), async || {
                    self.one_sees(api, metric, rule).await.map_err(|error| error.to_string())
                })
                .await?;
            }
        }
        // Answers that were on their way meanwhile arrive.
        self.more(60).await?;
        let others = || {
            let other = [BoardRule::EveryWorkout, BoardRule::AMinuteOrMore].into_iter().filter(|other| *other != rule);
            other.map(|other| self.answers(other)).sum::<usize>()
        };
        let before = others();
        self.more(120).await?;
        match others() - before {
            0 => Ok(()),
            late => Err(Failure::new(format!("{late} answers do not follow {rule:?}, which all had seen before"))),
        }
    }

    async fn one_sees(&self, api: &Api, metric: &str, rule: BoardRule) -> Result<()> {
        let Some((reader, _)) = self.crowd.markers.first() else { return Err(Failure::new("there is no crowd")) };
        let call = Call::get(format!("{}&limit=200", board(metric)));
        let answer = api.send_as(&call, Some(&reader.renewed().await?)).await?.expecting(200)?;
        match judge::judge(&answer, metric, Part::Whole, &self.crowd).map_err(Failure::new)? {
            Some(found) if found == rule => Ok(()),
            other => Err(Failure::new(format!("{} follows {other:?}", call.path))),
        }
    }

    /// Lets every reader finish, and answers with what all have met.
    ///
    /// # Errors
    /// When a reader failed.
    pub async fn stop(mut self) -> Result<Seen> {
        self.stop.send_replace(true);
        let mut seen = Seen::default();
        while let Some(finished) = self.tasks.join_next().await {
            seen.absorb(finished.map_err(|error| Failure::new(format!("a reader failed: {error}")))?);
        }
        let Tally { asked, by_every_workout, by_a_minute_or_more } = &*self.tally;
        eprintln!(
            "readers asked {asked:?} questions; answers of version 1: {by_every_workout:?}, of version 2: \
             {by_a_minute_or_more:?}; {seen}"
        );
        Ok(seen)
    }
}
