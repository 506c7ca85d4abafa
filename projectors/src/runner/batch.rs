//! A batch: what one transaction applies. Events arrive here in order, each once, and carry the checkpoints with them.
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
};

use fittrack_runtime::trace::TraceContext;
use fittrack_schemas::{envelope::StoredEvent, notice::ChangeNotice, proof::Mark};
use uuid::Uuid;

use crate::{
    checkpoint::Advance,
    erasure,
    parking::Parked,
    projection::{FoldError, Projection},
    source::Delivered,
};

/// Where an event stands, seen from a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is applied already: a repeat.
    Applied,
    /// It is the next one.
    Next,
    /// Something between the checkpoint and it has not come.
    Beyond,
}

/// Where the event at `position` stands when everything up to `applied` is applied.
pub fn place(applied: i64, position: i64) -> Place {
    match position - applied {
        1 => Place::Next,
        ahead if ahead > 1 => Place::Beyond,
        _ => Place::Applied,
    }
}

/// What a held partition is known to have.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// The epoch of its lease.
    pub epoch: i64,
    /// Every event up to here is applied, with the proof of them.
    pub mark: Mark,
    /// Owners whose events wait in the parking lot.
    pub parked: HashSet<Uuid>,
}

/// Events of some partitions, each partition's without a hole, and the steps they make.
#[derive(Debug, Default)]
pub struct Batch {
    /// To be folded.
    pub events: Vec<StoredEvent>,
    /// Of owners who are parked already: they wait behind.
    pub waiting: Vec<Parked>,
    /// Owners who left: nothing of them stays, parked events included.
    pub erased: Vec<Uuid>,
    /// How far the batch goes in each partition.
    pub steps: BTreeMap<i32, Advance>,
    /// How many events it covers, ignored ones included.
    pub covered: usize,
}

impl Batch {
    /// Adds the next event of a held partition.
    pub fn push<P: Projection>(&mut self, delivered: Delivered, held: &Held) {
        let Delivered { event, next_offset } = delivered;
        let step = self.steps.entry(event.partition).or_insert(Advance {
            partition: event.partition,
            epoch: held.epoch,
            from: held.mark.position,
            to: held.mark,
            next_offset: None,
            as_of: event.recorded_at,
        });
        step.to.pass(event.position, event.event_id);
        step.next_offset = next_offset.or(step.next_offset);
        step.as_of = step.as_of.max(event.recorded_at);
        self.covered += 1;
        if erasure::is_farewell(&event.event_type) {
            // The last event of its owner: what came before need not be written first.
            self.events.retain(|earlier| earlier.owner_id != event.owner_id);
            self.waiting.retain(|earlier| earlier.event.owner_id != event.owner_id);
            self.erased.push(event.owner_id);
            return;
        }
        if !P::wants(&event.event_type) {
            return;
        }
        if held.parked.contains(&event.owner_id) {
            self.waiting.push(Parked { event, error: None });
        } else {
            self.events.push(event);
        }
    }

    /// How far the batch has come in a partition, if it touches it.
    pub fn position(&self, partition: i32) -> Option<i64> {
        self.steps.get(&partition).map(|step| step.to.position)
    }

    /// The steps in ascending order of partition.
    pub fn steps(&self) -> Vec<Advance> {
        self.steps.values().copied().collect()
    }

    /// The events of each owner, in order; owners in order of their first event.
    pub fn by_owner(&self) -> Vec<Vec<&StoredEvent>> {
        let mut owners: Vec<Uuid> = Vec::new();
        let mut groups: HashMap<Uuid, Vec<&StoredEvent>> = HashMap::new();
        for event in &self.events {
            let group = groups.entry(event.owner_id).or_default();
            if group.is_empty() {
                owners.push(event.owner_id);
            }
            group.push(event);
        }
        owners.iter().filter_map(|owner| groups.remove(owner)).collect()
    }

    /// Whose rows the batch may change; `None` where they are too many to name.
    pub fn owners(&self) -> Option<Vec<Uuid>> {
        let owners = self.events.iter().map(|event| event.owner_id).chain(self.erased.iter().copied());
        let owners: HashSet<Uuid> = owners.collect();
        (owners.len() <= ChangeNotice::MAX_OWNERS).then(|| owners.into_iter().collect())
    }

    /// The traces of its first few events, for the log.
    pub fn traces(&self) -> Vec<String> {
        const SHOWN: usize = 4;
        self.events.iter().filter_map(trace_id).take(SHOWN).collect()
    }
}

/// The trace an event came from.
pub fn trace_id(event: &StoredEvent) -> Option<String> {
    let traceparent = event.metadata.traceparent.as_deref()?;
    TraceContext::from_traceparent(traceparent).map(TraceContext::trace_id)
}

/// Folds events in order. A fold that panics blames its event like any other failure.
pub fn fold<'e, P: Projection>(events: impl IntoIterator<Item = &'e StoredEvent>) -> Result<P::Changes, FoldError> {
    let mut changes = P::Changes::default();
    for stored in events {
        let event = stored.decode()?;
        // Whatever a panic leaves half done is thrown away with `changes`.
        catch_unwind(AssertUnwindSafe(|| P::fold(&mut changes, stored.into(), event)))
            .map_err(|panic| FoldError::Panicked(panic_text(&*panic)))??;
    }
    Ok(changes)
}

pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_applied_next_or_beyond_a_gap() {
        assert_eq!(place(0, 1), Place::Next);
        assert_eq!(place(7, 8), Place::Next);
        assert_eq!(place(7, 7), Place::Applied);
        assert_eq!(place(7, 1), Place::Applied);
        assert_eq!(place(7, 9), Place::Beyond);
    }
}
