//! Finds the poison in a batch: halves of its owners are tried in savepoints until the ones to blame are alone, and theirs
//! event by event. All of it happens in one transaction, so that rows, parked events and checkpoints come or go together.
use fittrack_schemas::{envelope::StoredEvent, read_models::Build};
use sqlx::{Connection, PgConnection};

use super::{Failure, Parked};
use crate::{projection::Projection, runner::batch};

/// Writes what can be written and returns what is to be parked.
pub(crate) async fn write_all_but_the_poison<P: Projection>(
    transaction: &mut PgConnection,
    build: Build,
    owners: &[Vec<&StoredEvent>],
) -> Result<Vec<Parked>, Failure> {
    let mut parked = Vec::new();
    let mut untried = vec![owners];
    while let Some(some) = untried.pop() {
        match try_to_write::<P>(transaction, build, some.iter().flatten().copied()).await {
            Ok(()) => {}
            Err(error @ Failure::Database(_)) => return Err(error),
            Err(_) => match some {
                [one] => parked.extend(write_up_to_the_poison::<P>(transaction, build, one).await?),
                many => {
                    let (first, second) = many.split_at(many.len() / 2);
                    untried.extend([second, first]);
                }
            },
        }
    }
    Ok(parked)
}

/// One owner's events one by one: the first that fails and everything behind it are parked.
async fn write_up_to_the_poison<P: Projection>(
    transaction: &mut PgConnection,
    build: Build,
    events: &[&StoredEvent],
) -> Result<Vec<Parked>, Failure> {
    for (index, event) in events.iter().enumerate() {
        match try_to_write::<P>(transaction, build, [*event]).await {
            Ok(()) => {}
            Err(error @ Failure::Database(_)) => return Err(error),
            Err(poison) => {
                log(event, &poison, build);
                let mut parked: Vec<Parked> =
                    events.iter().skip(index).map(|event| Parked { event: (*event).clone(), error: None }).collect();
                if let Some(first) = parked.first_mut() {
                    first.error = Some(poison.cause());
                }
                return Ok(parked);
            }
        }
    }
    Ok(vec![])
}

/// Folds and writes in a savepoint, which is as if nothing had been tried where it fails.
async fn try_to_write<'e, P: Projection>(
    transaction: &mut PgConnection,
    build: Build,
    events: impl IntoIterator<Item = &'e StoredEvent>,
) -> Result<(), Failure> {
    let changes = batch::fold::<P>(events)?;
    let mut savepoint = transaction.begin().await.map_err(Failure::Database)?;
    match P::write(&mut savepoint, build, &changes).await.map_err(Failure::from) {
        Ok(()) => savepoint.commit().await.map_err(Failure::from),
        Err(failure) => {
            savepoint.rollback().await.map_err(Failure::Database)?;
            Err(failure)
        }
    }
}

fn log(event: &StoredEvent, poison: &Failure, build: Build) {
    tracing::error!(
        %build,
        partition = event.partition,
        position = event.position,
        owner_id = %event.owner_id,
        event_type = event.event_type,
        trace_id = batch::trace_id(event),
        cause = poison.kind(),
        "poison: parking its owner's events; see `projectors parked list`"
    );
}
