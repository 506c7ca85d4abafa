//! `GET /v1/workouts/{id}`: everything about one workout, to its owner and, where it is public, to everybody signed in.
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use fittrack_domain::workout::{RecordingRef, StrengthSet};
use fittrack_runtime::auth::Caller;
use fittrack_runtime::json::Path;
use fittrack_runtime::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::ask::{Ask, Whose, versioned_answer};
use crate::queries::workouts::{self, WorkoutItem, WorkoutRow};
use crate::read_model::ReadModel;

/// One workout.
#[derive(Debug, Serialize, ToSchema)]
pub struct Workout {
    /// What the list shows too.
    #[serde(flatten)]
    item: WorkoutItem,
    /// Whose it is.
    athlete_id: Uuid,
    /// How hard it felt, 0 to 10; its owner's alone.
    perceived_exertion: Option<i32>,
    /// Its owner's notes; its owner's alone.
    notes: Option<String>,
    /// The shoes or the bike; its owner's alone.
    gear_id: Option<Uuid>,
    /// Sets of strength exercises, in order.
    sets: Vec<Set>,
    /// What its recording is; null where it was logged by hand.
    recording: Option<Recording>,
    /// When it was logged or imported.
    logged_at: DateTime<Utc>,
    /// When it was last changed.
    changed_at: DateTime<Utc>,
}

/// One set of a strength exercise.
#[derive(Debug, Serialize, ToSchema)]
struct Set {
    /// The exercise.
    #[schema(example = "squat")]
    exercise: String,
    /// How often.
    #[schema(example = 5)]
    repetitions: u32,
    /// The load in kilograms.
    #[schema(example = 80.0)]
    mass_kg: Option<f64>,
    /// How long it took or was held, in seconds.
    duration_s: Option<f64>,
    /// How many more would have gone.
    reps_in_reserve: Option<u32>,
    /// `warm_up`, `working`, `drop` or `failure`.
    #[schema(value_type = String, example = "working")]
    kind: fittrack_domain::workout::SetKind,
}

/// What a workout's recording is.
#[derive(Debug, Serialize, ToSchema)]
struct Recording {
    /// The form of the uploaded file.
    #[schema(schema_with = crate::queries::units::format_schema)]
    format: &'static str,
    /// How many samples it has; its owner's alone, for its length would say how much of the way privacy zones hide.
    #[schema(example = 2731)]
    samples: Option<u32>,
    /// Which leg of a multisport file this is, from 0.
    leg: u32,
    /// Common to all workouts of one multisport file.
    session_id: Option<Uuid>,
    /// What recorded it.
    device: Option<String>,
}

/// One workout
///
/// Its `ETag` is what `If-Match` of `PATCH` and `DELETE` expects. 404 where there is none, or none the caller may see.
#[utoipa::path(
    get,
    path = "/v1/workouts/{id}",
    tag = "workouts",
    params(("id" = Uuid, Path, description = "The workout.")),
    responses((status = 200, description = "The workout.", body = Workout, links(
            ("recording" = (operation_id = "get_recording", parameters(("id" = "$response.body#/id")))),
            ("original" = (operation_id = "get_original", parameters(("id" = "$response.body#/id")))),
        ), example = json!({
            "id": "0198c0de-7a1b-7c3d-8e4f-5a6b7c8d9e0f", "version": 1, "sport": "run", "title": "Morning run",
            "started_at": "2026-11-24T06:30:00Z", "time_zone": "Europe/Berlin", "local_date": "2026-11-24",
            "duration_s": 2730.5, "moving_s": 2700.0, "distance_m": 10012.4, "elevation_gain_m": 84.0, "energy_kcal": 640,
            "average_heart_rate_bpm": 148, "max_heart_rate_bpm": 171, "average_power_w": null, "visibility": "public",
            "has_recording": true,
            "athlete_id": "0198c0de-0001-7000-8000-000000000001", "perceived_exertion": 6, "notes": null, "gear_id": null,
            "sets": [], "recording": { "format": "fit", "samples": 2731, "leg": 0,
            "device": "Garmin fenix7", "session_id": null },
            "logged_at": "2026-11-24T07:20:11Z", "changed_at": "2026-11-24T07:20:11Z"
        })))
)]
pub async fn get_workout(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
    ask: Ask,
) -> Result<Response, Problem> {
    const READS: &[ReadModel] = &[ReadModel::Workouts];
    let me = caller.athlete_id;
    let load = || async {
        ask.parameters::<super::NoParameters>()?;
        let read = || workouts::one(&app.read_models, id, me);
        let (stamp, row) = super::stamped_by_owner(&app, READS, me, read, |row: &WorkoutRow| row.athlete_id).await?;
        let row = row.ok_or_else(super::no_such_workout)?;
        versioned_answer(stamp, row.item.version, &Workout::seen_by(me, row))
    };
    ask.answer(&app, Whose::Callers(me), READS, load).await
}

impl Workout {
    fn seen_by(caller: Uuid, row: WorkoutRow) -> Self {
        let is_own = row.athlete_id == caller;
        Self {
            item: row.item.into(),
            athlete_id: row.athlete_id,
            perceived_exertion: row.perceived_exertion,
            notes: row.notes,
            gear_id: row.gear_id,
            sets: row.sets.map(|sets| sets.0.into_iter().map(Set::from).collect()).unwrap_or_default(),
            recording: row.recording.map(|recording| Recording::shown(recording.0, is_own)),
            logged_at: row.logged_at,
            changed_at: row.changed_at,
        }
    }
}

impl From<StrengthSet> for Set {
    fn from(set: StrengthSet) -> Self {
        Self {
            exercise: set.exercise.as_str().to_owned(),
            repetitions: set.repetitions,
            mass_kg: set.mass_kg,
            duration_s: set.duration_s.map(fittrack_domain::values::Duration::seconds),
            reps_in_reserve: set.reps_in_reserve,
            kind: set.kind,
        }
    }
}

impl Recording {
    fn shown(recording: RecordingRef, is_own: bool) -> Self {
        Self {
            format: recording.format.as_str(),
            samples: is_own.then_some(recording.samples),
            leg: recording.leg,
            session_id: recording.session_id,
            device: recording.device,
        }
    }
}
