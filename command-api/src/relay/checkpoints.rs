//! The rows of `checkpoints`, each a mark under its epoch: read when a partition is gained, written when it has moved.
//! The relay and the prover keep theirs this way.
use fittrack_runtime::lease::Held;
use fittrack_schemas::proof::Mark;
use sqlx::PgPool;

/// A checkpoint as its holder has it.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct Checkpoint {
    /// The partition.
    pub partition: i32,
    /// The epoch it is held under.
    pub epoch: i64,
    /// Position and proof.
    #[sqlx(flatten)]
    pub mark: Mark,
}

const READ: &str = "
    SELECT c.partition, c.epoch, c.position, c.proof_events, c.proof_hash
    FROM unnest($2::integer[], $3::bigint[]) AS held (partition, epoch)
    JOIN checkpoints c ON c.worker = $1 AND c.partition = held.partition AND c.epoch = held.epoch";

/// The checkpoints of partitions that were just gained. From the takeover on nobody else moves them; one that was taken
/// by another meanwhile is not among them, and the next tick of the leases says that it is lost.
pub async fn read(pool: &PgPool, worker: &str, gained: &[Held]) -> Result<Vec<Checkpoint>, sqlx::Error> {
    if gained.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_as(READ)
        .bind(worker)
        .bind(gained.iter().map(|held| held.partition).collect::<Vec<_>>())
        .bind(gained.iter().map(|held| held.epoch).collect::<Vec<_>>())
        .fetch_all(pool)
        .await
}

const WRITE: &str = "
    UPDATE checkpoints c
    SET position = moved.position, proof_events = moved.proof_events, proof_hash = moved.proof_hash,
        heartbeat_at = clock_timestamp()
    FROM unnest($2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
         AS moved (partition, epoch, position, proof_events, proof_hash)
    WHERE c.worker = $1 AND c.partition = moved.partition AND c.epoch = moved.epoch";

/// Writes what has moved, in the order of partitions. One held under an older epoch changes nothing: its partition has a
/// new holder.
pub async fn write(pool: &PgPool, worker: &str, mut moved: Vec<Checkpoint>) -> Result<(), sqlx::Error> {
    if moved.is_empty() {
        return Ok(());
    }
    moved.sort_unstable_by_key(|checkpoint| checkpoint.partition);
    let column = |of: fn(&Checkpoint) -> i64| moved.iter().map(of).collect::<Vec<_>>();
    sqlx::query(WRITE)
        .bind(worker)
        .bind(moved.iter().map(|checkpoint| checkpoint.partition).collect::<Vec<_>>())
        .bind(column(|checkpoint| checkpoint.epoch))
        .bind(column(|checkpoint| checkpoint.mark.position))
        .bind(column(|checkpoint| checkpoint.mark.proof.events))
        .bind(column(|checkpoint| checkpoint.mark.proof.hash))
        .execute(pool)
        .await?;
    Ok(())
}
