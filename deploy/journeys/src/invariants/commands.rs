//! I1: each acknowledged command's event is in the log exactly once, where the answer said. I2: a refused command left
//! nothing. I3: an unknown one is there at most once, and asking again tells which.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::Findings;
use crate::client::{Answer, Api};
use crate::events::Log;
use crate::failure::Result;
use crate::ledger::{Entry, Fate, Ledger};
use crate::stack::TestStack;

const PATIENCE: Duration = Duration::from_secs(180);
/// How many acknowledged commands are sent once more, to see the same answer.
const REPEATED: usize = 40;

/// Asks again about every unknown outcome, and about some that are known. The fates of all, in the ledger's order.
pub async fn settle(stack: &TestStack, ledger: &Ledger, findings: &mut Findings) -> Result<Vec<Fate>> {
    let (api, log) = (stack.api()?, Log::read(stack).await?);
    let step = (ledger.acknowledged() / REPEATED).max(1);
    let (mut fates, mut acknowledged) = (Vec::with_capacity(ledger.entries.len()), 0);
    for entry in &ledger.entries {
        let fate = match &entry.fate {
            Fate::Unknown => settle_one(&api, entry, &log, findings).await,
            fate @ Fate::Stored { .. } => {
                acknowledged += 1;
                if acknowledged % step == 0 {
                    repeat(&api, entry, fate, findings).await;
                }
                fate.clone()
            }
            refused @ Fate::Refused(_) => refused.clone(),
        };
        fates.push(fate);
    }
    Ok(fates)
}

async fn settle_one(api: &Api, entry: &Entry, log: &Log, findings: &mut Findings) -> Fate {
    let before = log.marked(&entry.mark);
    if before.len() > 1 {
        findings.broken("I3", format!("{} is there {} times", entry.mark, before.len()));
    }
    let Some((fate, answer)) = ask(api, entry).await else {
        findings.broken("I3", format!("{} has no answer even now", entry.mark));
        return Fate::Unknown;
    };
    if let Some(row) = before.first() {
        let told = Fate::Stored { id: row.aggregate_id.parse().unwrap_or_default(), version: row.sequence };
        if fate != told {
            findings.broken("I3", format!("{} is in the log as {told:?}, but its retry says {answer}", entry.mark));
        }
    }
    fate
}

/// The same request again gets the same answer.
async fn repeat(api: &Api, entry: &Entry, fate: &Fate, findings: &mut Findings) {
    match ask(api, entry).await {
        Some((again, answer)) if again == *fate => {
            if answer.header("idempotency-replayed") != Some("true") {
                findings.broken("I1", format!("the repeat of {} does not say that it is one: {answer}", entry.mark));
            }
        }
        Some((_, answer)) => {
            findings.broken("I1", format!("{} was answered {fate:?}, then {answer}", entry.mark));
        }
        None => findings.broken("I1", format!("the repeat of {} has no answer", entry.mark)),
    }
}

async fn ask(api: &Api, entry: &Entry) -> Option<(Fate, Answer)> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let answered = match &entry.athlete {
            // The athlete's own client may know of processes that are gone.
            Some(athlete) => match athlete.renewed().await {
                Ok(token) => api.send_as(&entry.call, Some(&token)).await,
                Err(error) => Err(error),
            },
            None => api.send(&entry.call).await,
        };
        if let Ok(answer) = answered
            && let Some(fate) = Fate::of(&answer)
        {
            return Some((fate, answer));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    None
}

/// Holds the fates against the log.
pub fn check(ledger: &Ledger, fates: &[Fate], log: &Log, findings: &mut Findings) {
    let mut stored_marks: HashMap<&str, usize> = HashMap::new();
    for (entry, fate) in ledger.entries.iter().zip(fates) {
        if let Fate::Stored { id, version } = fate {
            *stored_marks.entry(&entry.mark).or_default() += 1;
            match log.at(*id, *version) {
                None => findings.broken("I1", format!("{} (version {version} of {id}) is not in the log", entry.mark)),
                Some(row) if row.mark().as_deref() != Some(&entry.mark) => findings.broken(
                    "I1",
                    format!(
                        "version {version} of {id} should be {} and is {} {:?}",
                        entry.mark,
                        row.event_type,
                        row.mark()
                    ),
                ),
                Some(_) => {}
            }
        }
    }
    for (mark, times) in &stored_marks {
        let found = log.marked(mark).len();
        if found != 1 || *times != 1 {
            findings.broken("I1", format!("{mark} was acknowledged {times} times and is there {found} times"));
        }
    }
    for (entry, fate) in ledger.entries.iter().zip(fates) {
        if matches!(fate, Fate::Refused(_)) && !stored_marks.contains_key(entry.mark.as_str()) {
            let found = log.marked(&entry.mark).len();
            if found != 0 {
                findings.broken("I2", format!("{} was refused ({fate:?}) and is there {found} times", entry.mark));
            }
        }
    }
    for athlete in &ledger.athletes {
        let rows = log.marked(&athlete.name);
        if !rows.iter().any(|row| row.owner_id == athlete.id && row.event_type == "athlete_registered") {
            findings.broken("I1", format!("the registration of {} is not in the log", athlete.id));
        }
    }
    let deleted: HashSet<&str> = log
        .rows
        .iter()
        .filter(|row| row.event_type == "workout_deleted")
        .map(|row| row.aggregate_id.as_str())
        .collect();
    for id in &ledger.unseen {
        if !deleted.contains(id.to_string().as_str()) {
            findings.broken("I6", format!("workout {id} was not to be seen with its token, and nobody deleted it"));
        }
    }
}
