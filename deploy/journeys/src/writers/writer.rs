//! One writer: asks, repeats while it must, reads what it has written, and keeps account.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;
use tokio::sync::watch;
use uuid::Uuid;

use super::requests::{self, Marked};
use super::{AtomicUsize, Ordering, Plan};
use crate::client::{Answer, Athlete, Call};
use crate::ledger::{Entry, Fate, Ledger};

/// How long one command is repeated before its fate is called unknown.
const PATIENCE: Duration = Duration::from_secs(120);

/// A workout as the writers of its owner know it.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    id: Uuid,
    version: i64,
}

type Shared = Arc<Mutex<Vec<Known>>>;

pub struct Writer {
    athlete: Athlete,
    known: Shared,
    number: usize,
    random: StdRng,
    plan: Plan,
    asked: u32,
    ledger: Ledger,
}

/// What a command is about, for the writer's own memory.
enum About {
    New,
    Edit(Known),
    Gone,
    Nothing,
    Somebody,
}

impl Writer {
    pub fn new(athlete: Athlete, known: Shared, number: usize, random: StdRng, plan: Plan) -> Self {
        let ledger = Ledger { athletes: vec![athlete.clone()], ..Ledger::default() };
        Self { athlete, known, number, random, plan, asked: 0, ledger }
    }

    /// Works until told to stop; finishes what it has begun.
    pub async fn run(mut self, mut stopped: watch::Receiver<bool>, acknowledged: Arc<AtomicUsize>) -> Ledger {
        while !*stopped.borrow_and_update() {
            let (marked, about) = self.next();
            let by = (!matches!(about, About::Somebody)).then(|| self.athlete.clone());
            let (fate, answer) = if self.random.random_range(0..100) < self.plan.hang_ups {
                self.hang_up(&marked.call, by.as_ref()).await
            } else {
                self.ask(&marked.call, by.as_ref()).await
            };
            if matches!(fate, Fate::Stored { .. }) {
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            self.learn(&about, &fate);
            if let (Fate::Stored { id, version }, Some(answer)) = (&fate, answer)
                && matches!(about, About::New | About::Edit(_))
                && self.random.random_range(0..12) == 0
            {
                self.read_back(*id, *version, &answer).await;
            }
            self.ledger.entries.push(Entry { athlete: by, call: marked.call, mark: marked.mark, fate });
            tokio::time::sleep(self.plan.pause).await;
        }
        self.ledger
    }

    fn next(&mut self) -> (Marked, About) {
        self.asked += 1;
        let mark = format!("writer-{}-{}-{:x}", self.number, self.asked, self.plan.seed);
        match self.random.random_range(0..100) {
            0..22 => {
                if let Some(known) = self.some_known(false) {
                    return (requests::edit(&mut self.random, known.id, known.version, mark), About::Edit(known));
                }
            }
            22..32 => {
                if let Some(known) = self.some_known(true) {
                    return (requests::delete(known.id), About::Gone);
                }
            }
            32..37 => {
                // Every writer has a stretch of time to itself, so that no two recordings are of one activity.
                let nth = u32::try_from(self.number).unwrap_or_default() * 20_000 + self.asked;
                if let Some(import) = requests::import(&mut self.random, nth) {
                    return (import, About::New);
                }
            }
            37 => return (requests::rename(mark), About::Nothing),
            38 => return (requests::register(mark), About::Somebody),
            39..42 => return (requests::impossible(&mut self.random, mark), About::Nothing),
            42..44 => {
                let nth = u32::try_from(self.number).unwrap_or_default() % 16 * 20_000 + self.asked % 20_000;
                return (requests::measure(&mut self.random, self.athlete.id, nth), About::Nothing);
            }
            44 => return (requests::zones(&mut self.random, mark), About::Nothing),
            _ => {}
        }
        (requests::log(&mut self.random, mark), About::New)
    }

    /// A workout to change; taken away from the other writers where it is to be deleted.
    fn some_known(&mut self, take: bool) -> Option<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            return None;
        }
        let index = self.random.random_range(0..known.len());
        Some(if take { known.swap_remove(index) } else { known[index] })
    }

    fn learn(&self, about: &About, fate: &Fate) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match (about, fate) {
            (About::New, Fate::Stored { id, version }) => known.push(Known { id: *id, version: *version }),
            (About::Edit(_), Fate::Stored { id, version }) => {
                for one in known.iter_mut().filter(|one| one.id == *id) {
                    one.version = one.version.max(*version);
                }
            }
            // Somebody else's edit came first, or this one came unnoticed: the next try will say.
            (About::Edit(edited), Fate::Refused(412) | Fate::Unknown) => {
                for one in known.iter_mut().filter(|one| one.id == edited.id && one.version == edited.version) {
                    one.version += 1;
                }
            }
            (About::Edit(edited), Fate::Refused(404)) => known.retain(|one| one.id != edited.id),
            _ => {}
        }
    }

    /// Asks until an answer says what became of it.
    async fn ask(&mut self, call: &Call, by: Option<&Athlete>) -> (Fate, Option<Answer>) {
        let deadline = Instant::now() + PATIENCE;
        let mut wait_ms = 10;
        while Instant::now() < deadline {
            let answered = match by {
                Some(athlete) => athlete.send(call).await,
                None => self.athlete.api().send(call).await,
            };
            if let Ok(answer) = answered {
                self.note(&answer);
                if let Some(fate) = Fate::of(&answer) {
                    return (fate, Some(answer));
                }
            }
            tokio::time::sleep(Duration::from_millis(self.random.random_range(wait_ms / 2..=wait_ms))).await;
            wait_ms = (wait_ms * 2).min(400);
        }
        (Fate::Unknown, None)
    }

    /// Asks and leaves before there can be an answer; then sometimes asks again, as an impatient app does.
    async fn hang_up(&mut self, call: &Call, by: Option<&Athlete>) -> (Fate, Option<Answer>) {
        let patience = Duration::from_micros(self.random.random_range(0..5_000));
        let first = match by {
            Some(athlete) => tokio::time::timeout(patience, athlete.send(call)).await,
            None => tokio::time::timeout(patience, self.athlete.api().send(call)).await,
        };
        if let Ok(Ok(answer)) = first {
            self.note(&answer);
            if let Some(fate) = Fate::of(&answer) {
                return (fate, Some(answer));
            }
        }
        if self.random.random_bool(0.5) { self.ask(call, by).await } else { (Fate::Unknown, None) }
    }

    fn note(&mut self, answer: &Answer) {
        // A stale version, a workout deleted meanwhile, an impossible value: the refusals a writer asks for.
        let expected = matches!(answer.status, 200..300 | 401 | 404 | 409 | 412 | 422 | 429 | 503);
        if !expected {
            self.ledger.outrages.push(answer.to_string());
        }
        if answer.status >= 400 && answer.problem().is_none() {
            self.ledger.outrages.push(format!("no problem document: {answer}"));
        }
    }

    /// What was written must be there for whoever shows the token.
    async fn read_back(&mut self, id: Uuid, version: i64, answer: &Answer) {
        let mut token = answer.token();
        if token.is_empty() {
            token = answer.header("consistency-token").unwrap_or_default().to_owned();
        }
        let call = Call::get(format!("/v1/workouts/{id}")).seeing(&token);
        let Ok(seen) = self.athlete.send(&call).await else { return };
        self.note(&seen);
        match seen.status {
            200 => {
                self.ledger.reads_of_own_writes += 1;
                if seen.version().is_none_or(|found| found < version) {
                    self.ledger.outrages.push(format!("stale: version {version} was written, then {seen}"));
                }
            }
            404 => {
                self.ledger.reads_of_own_writes += 1;
                self.ledger.unseen.push(id);
            }
            _ => {}
        }
    }
}
