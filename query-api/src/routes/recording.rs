//! `GET /v1/workouts/{id}/recording`: the samples of a workout as columns of equal length, as many as a chart needs.
use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use fittrack_domain::recording::{self, Field, Recording, Resolution};
use fittrack_runtime::auth::Caller;
use fittrack_runtime::json::Path;
use fittrack_runtime::problem::Problem;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::app::App;
use crate::ask::{Ask, Whose, json_answer};
use crate::privacy::Hidden;
use crate::problems::of_database;
use crate::queries::workouts::{self, RecordingRow};
use crate::queries::{recordings, units};
use crate::read_model::ReadModel;

/// What of the recording.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Parameters {
    /// Columns, separated by commas; all there are where nothing is said. Those the recording does not have are left out.
    #[param(schema_with = units::fields_schema, required = false, example = "heart_rate_bpm,power_w")]
    fields: Option<String>,
    /// `high` is every sample, `medium` at most 1,000 and `low` at most 100, chosen by largest-triangle-three-buckets on the
    /// first column asked for that is no coordinate.
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^(high|medium|low)$", default = "high")]
    resolution: Resolution,
}

/// Samples of a workout.
#[derive(Debug, Serialize, ToSchema)]
pub struct Samples {
    /// Of which workout.
    workout_id: Uuid,
    /// `high`, `medium` or `low`.
    #[schema(value_type = String, example = "low")]
    resolution: Resolution,
    /// How many samples follow: the length of every column.
    #[schema(example = 100)]
    sample_count: usize,
    /// How many the recording has; to others, how many of them are shown to others.
    #[schema(example = 2731)]
    recorded_sample_count: usize,
    /// `elapsed_s` and the columns; null where a sensor said nothing.
    #[schema(schema_with = units::samples_schema)]
    #[serde(rename = "samples")]
    columns: BTreeMap<&'static str, Vec<Number>>,
}

/// A value of a column; whole numbers without a decimal point, which most are.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Number(Option<f64>);

impl Serialize for Number {
    #[expect(clippy::cast_possible_truncation, reason = "only whole numbers far below 2^53 are cast")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            None => serializer.serialize_none(),
            Some(value) if value.fract() == 0.0 && value.abs() < 1e15 => serializer.serialize_i64(value as i64),
            Some(value) => serializer.serialize_f64(value),
        }
    }
}

/// The recording of a workout
///
/// 404 where there is no such workout for the caller, or it was logged by hand. Long ones take turns, as originals do.
///
/// To anybody but its owner it begins with the first sample outside its owner's privacy zones and ends with the last: of the
/// rest nothing is shown in any column, and time and distance count from the first sample shown. Of a track that never
/// leaves them no sample is shown. A recording without positions is shown whole.
#[utoipa::path(
    get,
    path = "/v1/workouts/{id}/recording",
    tag = "workouts",
    params(("id" = Uuid, Path, description = "The workout."), Parameters),
    responses((status = 200, description = "Columns of equal length.", body = Samples,
        example = json!({ "workout_id": "0198c0de-7a1b-7c3d-8e4f-5a6b7c8d9e0f", "resolution": "low",
            "sample_count": 3, "recorded_sample_count": 2731, "samples": { "elapsed_s": [0, 1365, 2730],
            "heart_rate_bpm": [101, 152, null] } })))
)]
pub async fn get_recording(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
    ask: Ask,
) -> Result<Response, Problem> {
    const READS: &[ReadModel] = &[ReadModel::Workouts, ReadModel::PrivacyZones];
    let me = caller.athlete_id;
    let load = || async {
        let asked: Parameters = ask.parameters()?;
        let fields = asked.fields()?;
        let read = || workouts::recording(&app.read_models, id, me);
        let (stamp, row) = super::stamped_by_owner(&app, READS, me, read, |row: &RecordingRow| row.athlete_id).await?;
        let row = row.ok_or_else(super::no_such_workout)?;
        let place = row.recording.ok_or_else(super::no_recording)?.0;
        let hidden = if row.athlete_id == me {
            Hidden::from_nobody()
        } else {
            Hidden::from_others(&app, me, row.athlete_id).await?
        };
        let _permit = app.blob_permit().await?;
        let blob = recordings::content(&app.recordings, &place.recording_sha256).await.map_err(of_database)?;
        let blob = blob.ok_or_else(|| Problem::internal(format!("blob {} is missing", place.recording_sha256)))?;
        // Before it is thinned out: what is hidden has no say in which samples are kept.
        let decode = move || recording::decode(&blob).map(|recording| hidden.leaves_of(recording));
        let decoding = tokio::task::spawn_blocking(decode);
        let recording = decoding.await.map_err(Problem::internal)?.map_err(Problem::internal)?;
        json_answer(stamp, &Samples::of(id, &recording, fields.as_deref(), asked.resolution))
    };
    ask.answer_in_turn(&app, Whose::Callers(me), READS, load).await
}

impl Parameters {
    fn fields(&self) -> Result<Option<Vec<Field>>, Problem> {
        let Some(names) = &self.fields else { return Ok(None) };
        let fields: Result<Vec<Field>, _> =
            names.split(',').filter(|name| *name != "elapsed_s").map(Field::parse).collect();
        fields.map(Some).map_err(|unknown| Problem::bad_request(format!("query parameter `fields`: {unknown}")))
    }
}

impl Samples {
    fn of(workout_id: Uuid, recording: &Recording, fields: Option<&[Field]>, resolution: Resolution) -> Self {
        let wanted = |field: &Field| fields.is_none_or(|fields| fields.contains(field));
        let shown: Vec<Field> = recording.fields().filter(wanted).collect();
        let chosen = recording::downsample(recording, reference(recording, fields), resolution);
        let elapsed = chosen.iter().map(|index| Number(recording.elapsed_s().get(*index).copied())).collect();
        let column = |field: Field| {
            let values = chosen.iter().map(|index| Number(recording.value(field, *index))).collect();
            (field.name(), values)
        };
        let columns = shown.into_iter().map(column).chain([("elapsed_s", elapsed)]).collect();
        let (sample_count, recorded_sample_count) = (chosen.len(), recording.len());
        Self { workout_id, resolution, sample_count, recorded_sample_count, columns }
    }
}

/// The column whose look is kept: the first asked for (else the liveliest there is) that is no coordinate.
fn reference(recording: &Recording, fields: Option<&[Field]>) -> Field {
    const LIVELIEST: [Field; 5] =
        [Field::HeartRateBpm, Field::PowerW, Field::SpeedMps, Field::AltitudeM, Field::DistanceM];
    let there =
        |field: &&Field| !matches!(field, Field::LatitudeDeg | Field::LongitudeDeg) && recording.get(**field).is_some();
    let asked = fields.unwrap_or_default().iter().find(there);
    asked.or_else(|| LIVELIEST.iter().find(there)).copied().unwrap_or(Field::DistanceM)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(samples: u32) -> Recording {
        let times = (0..samples).map(f64::from).collect();
        let beats = (0..samples).map(|at| (at % 10 != 3).then(|| 100.0 + f64::from(at % 50))).collect();
        let metres = (0..samples).map(|at| Some(f64::from(at) * 2.5)).collect();
        Recording::from_columns(times, [(Field::HeartRateBpm, beats), (Field::DistanceM, metres)]).unwrap()
    }

    #[test]
    fn columns_are_of_equal_length_at_every_resolution() {
        for (resolution, expected) in [(Resolution::High, 5_000), (Resolution::Medium, 1_000), (Resolution::Low, 100)] {
            let samples = Samples::of(Uuid::nil(), &recording(5_000), None, resolution);
            let names: Vec<_> = samples.columns.keys().copied().collect();
            assert_eq!(names, ["distance_m", "elapsed_s", "heart_rate_bpm"]);
            assert!(samples.columns.values().all(|column| column.len() == expected));
            assert_eq!((samples.sample_count, samples.recorded_sample_count), (expected, 5_000));
        }
    }

    #[test]
    fn only_the_columns_asked_for_are_shown_and_missing_values_are_null() {
        let fields = [Field::HeartRateBpm, Field::PowerW];
        let samples = Samples::of(Uuid::nil(), &recording(4), Some(&fields), Resolution::High);
        let json = serde_json::to_value(samples).unwrap();
        let expected = serde_json::json!({"elapsed_s": [0, 1, 2, 3], "heart_rate_bpm": [100, 101, 102, null]});
        assert_eq!(json["samples"], expected);
    }
}
