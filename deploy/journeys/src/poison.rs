//! An event no projection can read, put into the log past every check: what only a mistake of ours could store.
//! The tests of parking begin with it. (One of an unknown type is another matter: it stops the projection until newer
//! projectors are deployed.)

use fittrack_domain::partition::partition_of;
use uuid::Uuid;

use crate::client::Athlete;
use crate::failure::{Failure, Result};
use crate::stack::TestStack;

/// Its payload is not what its type says.
const APPEND: &str = "
    SELECT outcome FROM append_events(ARRAY[$1], ARRAY[$2], ARRAY['workout'], ARRAY[$3], ARRAY[$4], ARRAY[0::bigint], ARRAY[1],
        ARRAY[$1], ARRAY['workout_logged'], ARRAY['1'], ARRAY['{\"type\": \"workout_logged\", \"details\": 7}'], ARRAY['{}'],
        ARRAY[now()])";

/// Appends one of this athlete's.
///
/// # Errors
/// When the store does not take it.
pub async fn append(stack: &TestStack, athlete: &Athlete) -> Result<()> {
    let id = Uuid::now_v7();
    let outcome: String = sqlx::query_scalar(APPEND)
        .bind(id)
        .bind(partition_of(athlete.id, 32))
        .bind(id.to_string())
        .bind(athlete.id)
        .fetch_one(&mut stack.event_store().await?)
        .await?;
    if outcome == "stored" { Ok(()) } else { Err(Failure::new(format!("poison: {outcome}"))) }
}
