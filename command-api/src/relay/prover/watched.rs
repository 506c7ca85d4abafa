//! What the prover knows of one partition: how far it is proven, what was published, and whether it is in doubt.
use std::time::Duration;

use fittrack_schemas::proof::Mark;
use tokio::time::Instant;

use super::checkpoints::Checkpoint;

/// What the store says of a partition at one moment.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct Seen {
    /// The partition.
    pub partition: i32,
    /// The position of its last event.
    head: i64,
    /// The relay's checkpoint.
    #[sqlx(flatten)]
    published: Mark,
}

impl Seen {
    /// For the partitions `$1`, in one snapshot: the head is never behind what was published.
    pub const QUERY: &str = "
        SELECT held.partition, coalesce(head.position, 0) AS head, coalesce(relay.position, 0) AS position,
               coalesce(relay.proof_events, 0) AS proof_events, coalesce(relay.proof_hash, 0) AS proof_hash
        FROM unnest($1::integer[]) AS held (partition)
        LEFT JOIN checkpoints relay ON relay.worker = 'relay' AND relay.partition = held.partition
        LEFT JOIN LATERAL (
            SELECT e.position FROM events e WHERE e.partition = held.partition ORDER BY e.position DESC LIMIT 1
        ) head ON true";
}

/// Why a log is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// An event is absent.
    #[error("there is no event at position {position}, which was published")]
    Missing {
        /// Where.
        position: i64,
    },
    /// The log ends too early.
    #[error("the log ends at position {head}, and was published up to {published}")]
    Shortened {
        /// Where it ends.
        head: i64,
        /// Where it ended once.
        published: i64,
    },
    /// The proofs differ.
    #[error("up to position {position} the log is not what was published: an event was changed, moved or exchanged")]
    Differs {
        /// The position both proofs are of.
        position: i64,
    },
}

/// One partition.
#[derive(Debug)]
pub struct Watched {
    /// What the table says.
    kept: Checkpoint,
    /// Everything up to here is what was published.
    proven: Mark,
    /// The log, read on beyond what is proven as far as the budget went.
    pub read: Mark,
    published: Mark,
    head: i64,
    /// Everything up to here should be proven by now.
    due: i64,
    /// What will be due once the grace since that moment is over.
    due_next: Option<(Instant, i64)>,
    doubt: Option<Doubt>,
}

impl Watched {
    /// Goes on from where the partition was proven before.
    pub fn new(kept: Checkpoint) -> Self {
        let (proven, read) = (kept.mark, kept.mark);
        Self { kept, proven, read, published: Mark::default(), head: 0, due: 0, due_next: None, doubt: None }
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.kept.partition
    }

    /// What the relay had published at the last look.
    pub fn published(&self) -> Mark {
        self.published
    }

    /// Whether something was found to be wrong and not yet to be right again.
    pub fn is_doubted(&self) -> bool {
        self.doubt.is_some()
    }

    /// Takes in what the store says now.
    pub fn saw(&mut self, seen: Seen, now: Instant, grace: Duration) {
        (self.published, self.head) = (seen.published, seen.head);
        match self.due_next {
            // What was there before we were is due at once.
            None => (self.due, self.due_next) = (seen.head, Some((now, seen.head))),
            Some((since, head)) if now.duration_since(since) >= grace => {
                (self.due, self.due_next) = (head, Some((now, seen.head)));
            }
            Some(_) => {}
        }
        let published = self.published.position.max(self.proven.position);
        if seen.head < published {
            self.doubt(Doubt::Shortened { head: seen.head, published });
        }
    }

    /// Compares the log with what was published, where it was read that far.
    pub fn compare(&mut self) {
        if self.read == self.published {
            self.proven = self.read;
        } else if self.read.position == self.published.position {
            self.doubt(Doubt::Differs { position: self.read.position });
        }
    }

    /// A whole pass over the log has ended where `published` was when it began.
    pub fn passed(&mut self, log: Mark, published: Mark) {
        if log != published {
            return self.doubt(Doubt::Differs { position: published.position });
        }
        if self.doubt.take().is_some() {
            let (partition, position) = (self.partition(), log.position);
            tracing::warn!(partition, position, "the log of this partition is what was published again");
            (self.proven, self.read) = (log, log);
        }
    }

    /// Nothing of the partition counts as proven until a whole pass has found it right. Logged once.
    pub fn doubt(&mut self, doubt: Doubt) {
        if self.doubt.is_none() {
            tracing::error!(partition = self.partition(), %doubt, "the log is not what was published: events were lost or changed");
        }
        self.doubt = Some(doubt);
        (self.proven, self.read) = (Mark::default(), Mark::default());
    }

    /// How many stored events are not proven though they should be.
    pub fn unproven(&self) -> i64 {
        match self.doubt {
            Some(_) => self.head.max(self.published.position).max(1),
            None => (self.due - self.proven.position).max(0),
        }
    }

    /// What is to be written: nothing where the table says it already.
    pub fn to_keep(&self) -> Option<Checkpoint> {
        (self.kept.mark != self.proven).then_some(Checkpoint { mark: self.proven, ..self.kept })
    }

    /// It was written.
    pub fn kept(&mut self) {
        self.kept.mark = self.proven;
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    /// The log of this many events, as it was published.
    fn log(events: i64) -> Mark {
        let mut mark = Mark::default();
        (1..=events).for_each(|position| mark.pass(position, Uuid::from_u128(position.unsigned_abs().into())));
        mark
    }

    /// The same with another last event.
    fn other(events: i64) -> Mark {
        let mut mark = log(events - 1);
        mark.pass(events, Uuid::nil());
        mark
    }

    fn watched() -> Watched {
        Watched::new(Checkpoint { partition: 7, epoch: 1, mark: Mark::default() })
    }

    fn seen(head: i64, published: i64) -> Seen {
        Seen { partition: 7, head, published: log(published) }
    }

    #[test]
    fn an_event_that_just_came_is_not_counted_before_its_grace_is_over() {
        let (mut watched, start) = (watched(), Instant::now());
        watched.saw(seen(0, 0), start, GRACE);
        for (seconds, unproven) in [(1, 0), (10, 0), (19, 0), (20, 3)] {
            watched.saw(seen(3, 0), start + Duration::from_secs(seconds), GRACE);
            assert_eq!(watched.unproven(), unproven, "after {seconds} s");
        }
    }

    #[test]
    fn what_was_there_before_is_counted_until_it_is_proven() {
        let mut watched = watched();
        watched.saw(seen(5, 4), Instant::now(), GRACE);
        assert_eq!(watched.unproven(), 5);
        watched.read = log(4);
        watched.compare();
        assert_eq!((watched.unproven(), watched.to_keep().map(|kept| kept.mark)), (1, Some(log(4))));
    }

    #[test]
    fn a_log_in_doubt_is_proven_again_by_a_whole_pass_alone() {
        let mut watched = watched();
        watched.saw(seen(4, 4), Instant::now(), GRACE);
        watched.read = other(4);
        watched.compare();
        assert!(watched.is_doubted());
        watched.passed(other(4), log(4));
        assert_eq!((watched.unproven(), watched.to_keep().is_none()), (4, true));
        watched.passed(log(4), log(4));
        assert_eq!((watched.unproven(), watched.is_doubted()), (0, false));
    }

    #[test]
    fn a_log_that_became_shorter_than_what_was_published_is_doubted_at_once() {
        let mut watched = watched();
        watched.saw(seen(3, 4), Instant::now(), GRACE);
        assert_eq!((watched.is_doubted(), watched.unproven()), (true, 4));
    }
}
