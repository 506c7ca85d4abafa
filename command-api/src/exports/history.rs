//! What an athlete has, read from their own streams in the event store: the truth, whatever the read models say.
use cqrs_es::Aggregate;
use fittrack_domain::{
    ids::{AthleteId, WorkoutId},
    measurement::{Measurement, MeasurementEvent},
    workout::{RecordingRef, Workout, WorkoutDetails, WorkoutEvent},
};
use fittrack_schemas::export::ExportedMeasurement;
use sqlx::PgPool;
use uuid::Uuid;

use crate::store::{EventStore, LoadError};

/// One statement looks at so many positions of the log, however few of them are the athlete's.
const SPAN: i64 = 100_000;

/// The streams of an athlete, in the order they began; 16 bytes each.
#[derive(Debug, Default)]
pub struct Streams {
    /// Of measurements.
    pub measurements: Vec<Uuid>,
    /// Of workouts, deleted ones too.
    pub workouts: Vec<Uuid>,
}

/// The part of an athlete's log that is still to be looked at.
#[derive(Debug)]
pub struct Log {
    athlete_id: AthleteId,
    partition: i32,
    after: i64,
    upto: i64,
}

const REGISTERED: &str = "
    SELECT position FROM events WHERE aggregate_type = 'athlete' AND aggregate_id = $1 AND sequence = 1";
const BEGUN: &str = "
    SELECT aggregate_type, aggregate_id FROM events
    WHERE partition = $1 AND position > $2 AND position <= $3 AND owner_id = $4 AND sequence = 1
      AND aggregate_type IN ('workout', 'measurement')
    ORDER BY position";

impl Log {
    /// From the athlete's registration to what is stored now.
    pub async fn of(store: &EventStore, pool: &PgPool, athlete_id: AthleteId) -> Result<Self, LoadError> {
        let partition = store.partition_of(athlete_id.0);
        let upto = store.head(partition).await?;
        let registered = sqlx::query_scalar(REGISTERED).bind(athlete_id.to_string()).fetch_optional(pool).await;
        let after = registered.map_err(LoadError::Database)?.unwrap_or(upto);
        Ok(Self { athlete_id, partition, after, upto })
    }

    /// Adds the streams that began in the next span; false at the end.
    pub async fn next(&mut self, pool: &PgPool, streams: &mut Streams) -> Result<bool, LoadError> {
        if self.after >= self.upto {
            return Ok(false);
        }
        let end = self.upto.min(self.after + SPAN);
        let begun: Vec<(String, String)> = sqlx::query_as(BEGUN)
            .bind(self.partition)
            .bind(self.after)
            .bind(end)
            .bind(self.athlete_id.0)
            .fetch_all(pool)
            .await
            .map_err(LoadError::Database)?;
        for (aggregate_type, id) in begun {
            let id = Uuid::parse_str(&id).map_err(|error| LoadError::Stream(error.to_string()))?;
            let of_type =
                if aggregate_type == Workout::TYPE { &mut streams.workouts } else { &mut streams.measurements };
            of_type.push(id);
        }
        self.after = end;
        Ok(true)
    }
}

/// A workout as it is now, with where its recording is; nothing where it was deleted.
pub async fn workout(
    store: &EventStore,
    id: Uuid,
) -> Result<Option<(WorkoutId, WorkoutDetails, Option<RecordingRef>)>, LoadError> {
    let (mut workout, mut recording) = (Workout::default(), None);
    for envelope in store.read_stream::<Workout>(id).await? {
        if let WorkoutEvent::WorkoutImported(imported) = &envelope.payload {
            recording = Some(imported.recording.clone());
        }
        workout.apply(envelope.payload);
    }
    Ok(match workout {
        Workout::Logged { details, .. } => Some((WorkoutId(id), *details, recording)),
        Workout::Unknown | Workout::Deleted { .. } | Workout::Redacted => None,
    })
}

/// A measurement as it was recorded last.
pub async fn measurement(store: &EventStore, id: Uuid) -> Result<Option<ExportedMeasurement>, LoadError> {
    let events = store.read_stream::<Measurement>(id).await?;
    Ok(match events.into_iter().next_back().map(|envelope| envelope.payload) {
        Some(MeasurementEvent::MeasurementRecorded(recorded)) => Some(ExportedMeasurement {
            kind: recorded.kind,
            measured_on: recorded.measured_on,
            value: recorded.value.units(),
        }),
        Some(MeasurementEvent::Redacted) | None => None,
    })
}
