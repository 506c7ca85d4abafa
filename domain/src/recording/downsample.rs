//! Chooses which samples to show where there are more than a chart needs.
//! The query API picks indices once, on one reference column, so that all columns it answers stay of equal length.

use serde::{Deserialize, Serialize};

use super::field::Field;
use super::samples::Recording;

/// How many samples a caller wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// Every sample.
    #[default]
    High,
    /// At most 1,000.
    Medium,
    /// At most 100.
    Low,
}

impl Resolution {
    /// The resolution of this name (`high`, `medium`, `low`).
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "high" => Some(Self::High),
            "medium" => Some(Self::Medium),
            "low" => Some(Self::Low),
            _ => None,
        }
    }

    /// Most samples of an answer; none for all.
    pub const fn max_samples(self) -> Option<usize> {
        match self {
            Self::High => None,
            Self::Medium => Some(1_000),
            Self::Low => Some(100),
        }
    }
}

/// Indices of the samples to show at this resolution, ascending, chosen on the reference column.
///
/// Where the recording has no such column they are chosen on time alone.
pub fn downsample(recording: &Recording, reference: Field, resolution: Resolution) -> Vec<usize> {
    let count = resolution.max_samples().unwrap_or(recording.len());
    lttb(recording.elapsed_s(), recording.get(reference).unwrap_or_default(), count)
}

/// Largest-triangle-three-buckets (Steinarsson 2013): at most `count` indices, ascending, that keep a line's look.
///
/// The first and the last sample are kept where `count` is two or more. A sample without a value counts as the last
/// value before it; values beyond the shorter of the two columns count as missing.
pub fn lttb(elapsed_s: &[f64], values: &[Option<f64>], count: usize) -> Vec<usize> {
    let samples = elapsed_s.len();
    if samples <= count {
        return (0..samples).collect();
    }
    if count <= 2 {
        return [0, samples - 1].into_iter().take(count).collect();
    }
    let points: Vec<(f64, f64)> = elapsed_s.iter().copied().zip(without_gaps(values)).collect();
    let [first, .., last] = points[..] else { return (0..samples).collect() };
    // The samples between the first and the last, in `count - 2` buckets of nearly equal size.
    let edge = |bucket: usize| 1 + bucket * (samples - 2) / (count - 2);
    let mut chosen = Vec::with_capacity(count);
    chosen.push(0);
    let mut left = first;
    for bucket in 0..count - 2 {
        let right = mean(points.iter().take(edge(bucket + 2)).skip(edge(bucket + 1))).unwrap_or(last);
        let candidates = points.iter().enumerate().take(edge(bucket + 1)).skip(edge(bucket));
        let areas = candidates.map(|(index, point)| (index, *point, triangle(left, *point, right)));
        // No bucket is empty: there are more samples than are to be chosen.
        if let Some((index, point, _)) = areas.reduce(|best, next| if next.2 > best.2 { next } else { best }) {
            chosen.push(index);
            left = point;
        }
    }
    chosen.push(samples - 1);
    chosen
}

/// Every value, or the last one before it where there is none; without end.
fn without_gaps(values: &[Option<f64>]) -> impl Iterator<Item = f64> {
    let first = values.iter().copied().flatten().next().unwrap_or_default();
    values.iter().copied().chain(std::iter::repeat(None)).scan(first, |last, value| {
        *last = value.unwrap_or(*last);
        Some(*last)
    })
}

fn mean<'a>(points: impl Iterator<Item = &'a (f64, f64)>) -> Option<(f64, f64)> {
    let (count, x, y) = points.fold((0.0, 0.0, 0.0), |(count, x, y), point| (count + 1.0, x + point.0, y + point.1));
    (count > 0.0).then(|| (x / count, y / count))
}

/// Twice the area of a triangle.
fn triangle(a: (f64, f64), b: (f64, f64), c: (f64, f64)) -> f64 {
    ((a.0 - c.0) * (b.1 - a.1) - (a.0 - b.0) * (c.1 - a.1)).abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(count: u32) -> Vec<f64> {
        (0..count).map(f64::from).collect()
    }

    #[test]
    fn few_samples_are_all_shown() {
        assert_eq!(lttb(&times(3), &[], 3), [0, 1, 2]);
        assert_eq!(lttb(&times(0), &[], 100), Vec::<usize>::new());
        assert_eq!(lttb(&times(5), &[], 0), Vec::<usize>::new());
        assert_eq!(lttb(&times(5), &[], 1), [0]);
        assert_eq!(lttb(&times(5), &[], 2), [0, 4]);
    }

    #[test]
    fn every_count_gives_that_many_ascending_indices_with_both_ends() {
        let values: Vec<Option<f64>> =
            (0..997).map(|index| (index % 7 != 0).then_some(f64::from(index % 31))).collect();
        for count in 2..997 {
            let chosen = lttb(&times(997), &values, count);
            assert_eq!(chosen.len(), count);
            assert!(chosen.is_sorted_by(|a, b| a < b), "{count}");
            assert_eq!((chosen[0], chosen[count - 1]), (0, 996));
        }
    }

    #[test]
    fn a_spike_survives() {
        let mut values = vec![Some(120.0); 10_000];
        values[4_321] = Some(190.0);
        assert!(lttb(&times(10_000), &values, 100).contains(&4_321));
    }

    #[test]
    fn resolutions_bound_the_answer() {
        let recording = Recording::from_columns(times(5_000), []).unwrap();
        let shown = |resolution| downsample(&recording, Field::PowerW, resolution).len();
        assert_eq!([Resolution::High, Resolution::Medium, Resolution::Low].map(shown), [5_000, 1_000, 100]);
        assert_eq!(Resolution::from_name("medium"), Some(Resolution::Medium));
        assert_eq!(Resolution::from_name("best"), None);
    }
}
