//! Samples while a file is being read: absolute times and raw values, appended one point at a time.
//! Each parser fills one [`Points`] an activity; `draft` turns it into the immutable recording.

use super::field::{Field, PerField};
use super::refusal::FileRefusal;
use super::samples::{MAX_DURATION_S, MAX_SAMPLES, Recording, RecordingRefusal};

/// One point's values.
pub(super) type Values = PerField<Option<f64>>;

/// How many more samples one file may hold, all its activities together.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    pub(super) const fn new() -> Self {
        Self(MAX_SAMPLES)
    }

    pub(super) fn take(&mut self) -> Result<(), FileRefusal> {
        self.0 = self.0.checked_sub(1).ok_or(FileRefusal::TooManySamples)?;
        Ok(())
    }
}

#[derive(Debug, Default)]
pub(super) struct Points {
    times_ms: Vec<i64>,
    columns: PerField<Vec<Option<f64>>>,
    /// Indices whose point begins a new segment: the time since the point before is a pause.
    breaks: Vec<usize>,
}

impl Points {
    pub(super) fn push(&mut self, time_ms: i64, values: Values, budget: &mut Budget) -> Result<(), FileRefusal> {
        budget.take()?;
        self.times_ms.push(time_ms);
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(value);
        }
        Ok(())
    }

    /// Says that whatever comes next comes after a pause.
    pub(super) fn pause(&mut self) {
        if !self.times_ms.is_empty() && self.breaks.last() != Some(&self.times_ms.len()) {
            self.breaks.push(self.times_ms.len());
        }
    }

    pub(super) fn first_ms(&self) -> Option<i64> {
        self.times_ms.iter().copied().min()
    }

    pub(super) fn last_ms(&self) -> Option<i64> {
        self.times_ms.iter().copied().max()
    }

    /// Seconds between the segments, all of them together.
    pub(super) fn paused_s(&self) -> f64 {
        let gap =
            |at: &usize| match (at.checked_sub(1).and_then(|before| self.times_ms.get(before)), self.times_ms.get(*at))
            {
                (Some(before), Some(after)) => after.saturating_sub(*before).max(0) as f64 / 1e3,
                _ => 0.0,
            };
        self.breaks.iter().map(gap).sum()
    }

    /// The recording of these points, in order of time.
    ///
    /// # Errors
    /// They span more than a recording may.
    pub(super) fn into_recording(mut self, start_ms: i64) -> Result<Recording, FileRefusal> {
        self.sort();
        let elapsed_s = self.times_ms.iter().map(|ms| ms.saturating_sub(start_ms) as f64 / 1e3).collect();
        Recording::from_columns(elapsed_s, Field::ALL.into_iter().zip(self.columns)).map_err(|refusal| match refusal {
            RecordingRefusal::BadTime { value, .. } => FileRefusal::TooLong { seconds: value.max(MAX_DURATION_S) },
            // The columns were filled together and counted against the budget.
            _ => FileRefusal::TooManySamples,
        })
    }

    /// Few files need it: a device that sets its clock while recording writes points out of order.
    fn sort(&mut self) {
        if self.times_ms.is_sorted() {
            return;
        }
        let mut order: Vec<(i64, usize)> = self.times_ms.iter().copied().zip(0..).collect();
        order.sort_unstable();
        self.times_ms = order.iter().map(|(time_ms, _)| *time_ms).collect();
        for column in self.columns.iter_mut() {
            // A column that were too short stays so, and the recording refuses it.
            *column = order.iter().filter_map(|(_, index)| column.get(*index).copied()).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heart_rate(bpm: f64) -> Values {
        let mut values = Values::default();
        values[Field::HeartRateBpm] = Some(bpm);
        values
    }

    #[test]
    fn points_out_of_order_are_put_in_order_with_their_values() {
        let (mut points, mut budget) = (Points::default(), Budget::new());
        for (time_ms, bpm) in [(2_000, 122.0), (1_000, 121.0), (3_000, 123.0)] {
            points.push(time_ms, heart_rate(bpm), &mut budget).unwrap();
        }
        let recording = points.into_recording(1_000).unwrap();
        assert_eq!(recording.elapsed_s(), [0.0, 1.0, 2.0]);
        assert_eq!(recording.get(Field::HeartRateBpm), Some(&[Some(121.0), Some(122.0), Some(123.0)][..]));
    }

    #[test]
    fn time_between_segments_is_a_pause() {
        let (mut points, mut budget) = (Points::default(), Budget::new());
        points.pause();
        points.push(0, Values::default(), &mut budget).unwrap();
        points.push(1_000, Values::default(), &mut budget).unwrap();
        points.pause();
        points.pause();
        points.push(31_500, Values::default(), &mut budget).unwrap();
        points.pause();
        assert!((points.paused_s() - 30.5).abs() < 1e-9);
    }

    #[test]
    fn one_file_has_one_budget() {
        let (mut points, mut budget) = (Points::default(), Budget(1));
        points.push(0, Values::default(), &mut budget).unwrap();
        assert_eq!(points.push(0, Values::default(), &mut budget), Err(FileRefusal::TooManySamples));
    }
}
