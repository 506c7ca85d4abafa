//! The samples of one activity as columns of equal length, immutable once built.
//! Parsers and finished live workouts build one; the codec stores it; metrics and the query API read its columns.

use std::ops::Range;

use super::field::{Field, PerField};

/// No recording has more samples than this: 55 hours at one a second.
pub const MAX_SAMPLES: usize = 200_000;

/// No recording spans more than this, in seconds: fourteen days.
pub const MAX_DURATION_S: f64 = 14.0 * 86_400.0;

const STEPS_PER_SECOND: f64 = 1_000.0;

/// Immutable samples of one activity, as columns of equal length.
///
/// Every value is quantised to its column's resolution ([`Field::steps_per_unit`], milliseconds for the time), so the
/// stored form gives back exactly the same recording. A sample has both coordinates or none. A column without a single
/// value is absent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recording {
    elapsed_s: Vec<f64>,
    columns: PerField<Option<Vec<Option<f64>>>>,
}

/// Why columns do not make a recording.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RecordingRefusal {
    #[error("column {field} has {got} values, elapsed_s has {expected}")]
    UnequalColumns { field: Field, got: usize, expected: usize },
    #[error("{got} samples are more than the limit of {MAX_SAMPLES}")]
    TooManySamples { got: usize },
    #[error("elapsed_s at index {index} is {value}: it must be finite, from 0 to {MAX_DURATION_S} and never decrease")]
    BadTime { index: usize, value: f64 },
    #[error("column {field} is given twice")]
    RepeatedColumn { field: Field },
}

impl Recording {
    /// A recording of these columns, quantised; implausible values become "no value".
    ///
    /// # Errors
    /// Columns of unequal length or given twice, too many samples, a time that is not finite or runs backwards.
    pub fn from_columns(
        elapsed_s: Vec<f64>,
        columns: impl IntoIterator<Item = (Field, Vec<Option<f64>>)>,
    ) -> Result<Self, RecordingRefusal> {
        let expected = elapsed_s.len();
        if expected > MAX_SAMPLES {
            return Err(RecordingRefusal::TooManySamples { got: expected });
        }
        let mut recording = Self { elapsed_s: quantise_times(elapsed_s)?, columns: PerField::default() };
        for (field, mut values) in columns {
            if values.len() != expected {
                return Err(RecordingRefusal::UnequalColumns { field, got: values.len(), expected });
            }
            for value in &mut values {
                *value = value.and_then(|value| field.quantise(value));
            }
            if recording.columns[field].replace(values).is_some() {
                return Err(RecordingRefusal::RepeatedColumn { field });
            }
        }
        recording.pair_coordinates();
        recording.drop_empty_columns();
        Ok(recording)
    }

    /// How many samples.
    pub fn len(&self) -> usize {
        self.elapsed_s.len()
    }

    /// Whether there is not a single sample (an activity typed in by hand has such a recording).
    pub fn is_empty(&self) -> bool {
        self.elapsed_s.is_empty()
    }

    /// Seconds since the start of the activity, never decreasing.
    pub fn elapsed_s(&self) -> &[f64] {
        &self.elapsed_s
    }

    /// The column, if the recording has it.
    pub fn get(&self, field: Field) -> Option<&[Option<f64>]> {
        self.columns[field].as_deref()
    }

    /// The column of this name (`"heart_rate_bpm"`), if there is such a name and the recording has it.
    pub fn column(&self, name: &str) -> Option<&[Option<f64>]> {
        self.get(Field::parse(name).ok()?)
    }

    /// The columns there are, in the order of [`Field::ALL`].
    pub fn fields(&self) -> impl Iterator<Item = Field> + '_ {
        Field::ALL.into_iter().filter(|field| self.columns[*field].is_some())
    }

    /// The value of one column at one sample.
    pub fn value(&self, field: Field, index: usize) -> Option<f64> {
        self.get(field)?.get(index).copied().flatten()
    }

    /// Latitude and longitude in degrees at one sample.
    pub fn position(&self, index: usize) -> Option<(f64, f64)> {
        Some((self.value(Field::LatitudeDeg, index)?, self.value(Field::LongitudeDeg, index)?))
    }

    /// The same recording with this distance column, one value a sample, in place of its own.
    pub(crate) fn with_distance(mut self, mut distances_m: Vec<Option<f64>>) -> Self {
        debug_assert_eq!(distances_m.len(), self.len());
        distances_m.resize(self.len(), None);
        for distance in &mut distances_m {
            *distance = distance.and_then(|metres| Field::DistanceM.quantise(metres));
        }
        self.columns[Field::DistanceM] = Some(distances_m);
        self.drop_empty_columns();
        self
    }

    /// These samples alone, with time and distance counted from the first of them that has one; none past the end.
    pub(crate) fn part(mut self, samples: Range<usize>) -> Self {
        let samples = samples.start.min(self.len())..samples.end.min(self.len());
        let begins_s = self.elapsed_s.get(samples.start).copied().unwrap_or_default();
        let elapsed_s = self.elapsed_s.get(samples.clone()).unwrap_or_default();
        self.elapsed_s = elapsed_s.iter().map(|at| quantise_time(at - begins_s)).collect();
        for column in self.columns.iter_mut().flatten() {
            *column = column.get(samples.clone()).unwrap_or_default().to_vec();
        }
        if let Some(distances_m) = &mut self.columns[Field::DistanceM] {
            let begins_m = distances_m.iter().flatten().next().copied().unwrap_or_default();
            for distance in distances_m {
                *distance = distance.and_then(|metres| Field::DistanceM.quantise((metres - begins_m).max(0.0)));
            }
        }
        self.drop_empty_columns();
        self
    }

    fn pair_coordinates(&mut self) {
        let [Some(latitude), Some(longitude), ..] = &mut self.columns.0 else {
            self.columns[Field::LatitudeDeg] = None;
            self.columns[Field::LongitudeDeg] = None;
            return;
        };
        for (latitude, longitude) in latitude.iter_mut().zip(longitude) {
            if latitude.is_none() || longitude.is_none() {
                *latitude = None;
                *longitude = None;
            }
        }
    }

    fn drop_empty_columns(&mut self) {
        for column in self.columns.iter_mut() {
            if column.as_ref().is_some_and(|values| values.iter().all(Option::is_none)) {
                *column = None;
            }
        }
    }
}

/// A time as a recording keeps it: rounded to the millisecond.
pub(crate) fn quantise_time(seconds: f64) -> f64 {
    (seconds * STEPS_PER_SECOND).round() / STEPS_PER_SECOND
}

fn quantise_times(mut elapsed_s: Vec<f64>) -> Result<Vec<f64>, RecordingRefusal> {
    let mut previous = 0.0;
    for (index, value) in elapsed_s.iter_mut().enumerate() {
        // The comparison is false for NaN as well. Adding 0.0 turns -0.0 into 0.0, so equal recordings have equal bytes.
        if !(previous..=MAX_DURATION_S).contains(value) {
            return Err(RecordingRefusal::BadTime { index, value: *value });
        }
        previous = *value;
        *value = quantise_time(*value) + 0.0;
    }
    Ok(elapsed_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().copied().map(Some).collect()
    }

    #[test]
    fn columns_are_found_by_field_and_by_name() {
        let recording =
            Recording::from_columns(vec![0.0, 1.0], [(Field::HeartRateBpm, column(&[120.0, 121.0]))]).unwrap();
        assert_eq!(recording.column("heart_rate_bpm"), Some(&[Some(120.0), Some(121.0)][..]));
        assert_eq!(recording.get(Field::PowerW), None);
        assert_eq!(recording.column("watts"), None);
        assert_eq!(recording.fields().collect::<Vec<_>>(), [Field::HeartRateBpm]);
    }

    #[test]
    fn a_column_of_another_length_is_refused() {
        let refusal = Recording::from_columns(vec![0.0], [(Field::PowerW, vec![])]).unwrap_err();
        assert_eq!(refusal, RecordingRefusal::UnequalColumns { field: Field::PowerW, got: 0, expected: 1 });
    }

    #[test]
    fn time_never_runs_backwards_and_is_finite() {
        for times in [vec![0.0, 2.0, 1.0], vec![0.0, 2.0, f64::NAN], vec![0.0, 0.0, f64::INFINITY]] {
            let refusal = Recording::from_columns(times, []).unwrap_err();
            assert!(matches!(refusal, RecordingRefusal::BadTime { index: 2, .. }), "{refusal}");
        }
        assert_eq!(Recording::from_columns(vec![0.0, 0.0], []).unwrap().len(), 2);
    }

    #[test]
    fn a_sample_has_both_coordinates_or_none() {
        let recording = Recording::from_columns(
            vec![0.0, 1.0],
            [(Field::LatitudeDeg, column(&[52.0, 53.0])), (Field::LongitudeDeg, vec![None, Some(6.0)])],
        )
        .unwrap();
        assert_eq!((recording.position(0), recording.position(1)), (None, Some((53.0, 6.0))));
        let lone = Recording::from_columns(vec![0.0], [(Field::LatitudeDeg, column(&[52.0]))]).unwrap();
        assert_eq!(lone.fields().count(), 0);
    }

    #[test]
    fn more_samples_than_the_limit_are_refused() {
        let refusal = Recording::from_columns(vec![0.0; MAX_SAMPLES + 1], []).unwrap_err();
        assert_eq!(refusal, RecordingRefusal::TooManySamples { got: MAX_SAMPLES + 1 });
    }
}
