//! What a test asked and what it was told: the promises the store has to have kept.
//! Written by [`crate::writers`] and by tests, read by [`crate::invariants`].

use uuid::Uuid;

use crate::client::{Answer, Athlete, Call};

/// One command and what its sender knows of it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who gave it; nobody for a registration.
    pub athlete: Option<Athlete>,
    /// The call, with its idempotency key, to make again.
    pub call: Call,
    /// The text by which its event is recognised in the log (see [`crate::events::EventRow::mark`]).
    pub mark: String,
    pub fate: Fate,
}

/// What became of a command, as far as its sender was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Acknowledged with this id and version.
    Stored { id: Uuid, version: i64 },
    /// Refused for good with this status.
    Refused(u16),
    /// No answer, or none that says.
    Unknown,
}

/// Everything that was asked.
#[derive(Debug, Default)]
pub struct Ledger {
    pub entries: Vec<Entry>,
    /// Everybody who took part.
    pub athletes: Vec<Athlete>,
    /// Answers that should never be given, such as a 500.
    pub outrages: Vec<String>,
    /// Workouts that were not to be seen although a token said so; right only where somebody deleted them.
    pub unseen: Vec<Uuid>,
    /// Reads that were made right after their write, with its token.
    pub reads_of_own_writes: usize,
}

impl Ledger {
    /// Adds another's account to this one.
    pub fn absorb(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.athletes.extend(other.athletes);
        self.outrages.extend(other.outrages);
        self.unseen.extend(other.unseen);
        self.reads_of_own_writes += other.reads_of_own_writes;
    }

    /// How many commands were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.entries.iter().filter(|entry| matches!(entry.fate, Fate::Stored { .. })).count()
    }

    /// Counts for a person: stored, refused, unknown.
    pub fn summary(&self) -> String {
        let refused = self.entries.iter().filter(|entry| matches!(entry.fate, Fate::Refused(_))).count();
        let stored = self.acknowledged();
        let unknown = self.entries.len() - stored - refused;
        format!(
            "{stored} acknowledged, {refused} refused, {unknown} unknown, {} reads of own writes",
            self.reads_of_own_writes
        )
    }
}

impl Fate {
    /// What an answer says; nothing where the same call should be made again.
    pub fn of(answer: &Answer) -> Option<Self> {
        match answer.status {
            202 => Some(stored(answer).unwrap_or(Self::Unknown)),
            // Signed out, busy, overloaded, or away for a moment: the answers that ask to be asked again.
            401 | 409 | 429 | 500.. => None,
            status => Some(Self::Refused(status)),
        }
    }
}

fn stored(answer: &Answer) -> Option<Fate> {
    let body = answer.json();
    // An import names its workouts; the tests' own files hold one each.
    let one = if body["workouts"].is_array() { &body["workouts"][0] } else { &body };
    Some(Fate::Stored { id: one["id"].as_str()?.parse().ok()?, version: one["version"].as_i64()? })
}
