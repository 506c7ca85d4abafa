//! Invents an activity: the same seed gives the same one, so tests and the demonstration need no recorded file.
//! `fittrack demo` writes what this makes as FIT, GPX and TCX and uploads it.

use chrono::{DateTime, Utc};

use super::activity::{Activity, ElevationSource, Lap};
use super::field::Field;
use super::measure;
use super::samples::{MAX_SAMPLES, Recording};
use crate::sport::Sport;

const METRES_PER_DEGREE: f64 = measure::EARTH_RADIUS_M * std::f64::consts::PI / 180.0;

/// An invented activity of one sample a second, from 1 s to the longest recording there may be.
///
/// It goes round a loop near 52.1 N 6.6 E at a pace that suits the sport, with heart rate, cadence, altitude,
/// temperature, and power for rides; laps are a kilometre, five for rides. Sports done on the spot have neither position
/// nor distance.
pub fn synthesize(seed: u64, sport: Sport, started_at: DateTime<Utc>, duration_s: f64) -> Activity {
    let seconds = whole_seconds(duration_s);
    let style = Style::of(sport);
    let recording = record(&style, &mut Noise::new(seed), seconds);
    let distance_m = recording.get(Field::DistanceM).and_then(|distances| *distances.last()?);
    let laps = laps(&recording, style.lap_m, f64::from(seconds));
    Activity {
        sport,
        started_at,
        duration_s: f64::from(seconds),
        moving_s: f64::from(seconds),
        distance_m,
        elevation_gain_m: gain(&recording),
        elevation_source: gain(&recording).map(|_| ElevationSource::Device),
        energy_kcal: sum(&laps, |lap| lap.energy_kcal),
        average_heart_rate_bpm: measure::time_weighted_mean(&recording, Field::HeartRateBpm).map(f64::round),
        max_heart_rate_bpm: measure::maximum(&recording, Field::HeartRateBpm),
        average_power_w: measure::time_weighted_mean(&recording, Field::PowerW).map(f64::round),
        max_power_w: measure::maximum(&recording, Field::PowerW),
        laps,
        recording,
        device: Some("FitTrack synthesizer".to_owned()),
    }
}

/// What an activity of a sport looks like.
struct Style {
    speed_mps: f64,
    heart_rate_bpm: f64,
    power_w: Option<f64>,
    cadence_rpm: f64,
    hills_m: f64,
    lap_m: f64,
}

impl Style {
    fn of(sport: Sport) -> Self {
        let run = Self {
            speed_mps: 3.0,
            heart_rate_bpm: 148.0,
            power_w: None,
            cadence_rpm: 84.0,
            hills_m: 8.0,
            lap_m: 1_000.0,
        };
        match sport {
            Sport::TrailRun => Self { speed_mps: 2.4, hills_m: 60.0, ..run },
            Sport::Ride | Sport::GravelRide | Sport::MountainBikeRide | Sport::VirtualRide => Self {
                speed_mps: 7.5,
                heart_rate_bpm: 136.0,
                power_w: Some(190.0),
                cadence_rpm: 86.0,
                hills_m: 30.0,
                lap_m: 5_000.0,
            },
            Sport::Walk | Sport::Hike => Self { speed_mps: 1.4, heart_rate_bpm: 102.0, cadence_rpm: 56.0, ..run },
            Sport::Swim | Sport::OpenWaterSwim => Self { speed_mps: 0.9, cadence_rpm: 28.0, hills_m: 0.0, ..run },
            Sport::Row => Self { speed_mps: 3.4, cadence_rpm: 24.0, hills_m: 0.0, ..run },
            Sport::SkiNordic | Sport::SkiAlpine => Self { speed_mps: 4.5, cadence_rpm: 50.0, hills_m: 40.0, ..run },
            Sport::Run => run,
            _ => Self { speed_mps: 0.0, heart_rate_bpm: 118.0, cadence_rpm: 0.0, hills_m: 0.0, ..run },
        }
    }

    fn moves(&self) -> bool {
        self.speed_mps > 0.0
    }
}

fn record(style: &Style, noise: &mut Noise, seconds: u32) -> Recording {
    let mut columns: Vec<(Field, Vec<Option<f64>>)> = Vec::new();
    let centre = (52.1 + 0.05 * noise.next(), 6.6 + 0.05 * noise.next());
    let (radius_m, phase) = (600.0 + 200.0 * noise.next(), noise.next());
    let (mut speed_mps, mut heart_rate, mut power, mut walked_m, mut distance_m) =
        (style.speed_mps, style.heart_rate_bpm * 0.7, style.power_w.unwrap_or_default(), 0.0, 0.0);
    let mut before: Option<(f64, f64)> = None;
    let mut push = |field: Field, value: f64| match columns.iter_mut().find(|(known, _)| *known == field) {
        Some((_, values)) => values.push(Some(value)),
        None => columns.push((field, vec![Some(value)])),
    };
    for _ in 0..=seconds {
        let hill = (walked_m / 700.0 + phase).sin();
        // Everything drifts towards what the ground asks for, with a little of its own will.
        speed_mps += 0.1 * (style.speed_mps * (1.0 - 0.15 * hill) - speed_mps) + 0.03 * style.speed_mps * noise.next();
        speed_mps = speed_mps.clamp(0.3 * style.speed_mps, 1.6 * style.speed_mps);
        heart_rate += 0.02 * (style.heart_rate_bpm * (1.0 + 0.08 * hill) - heart_rate) + 0.4 * noise.next();
        if style.moves() {
            let angle = walked_m / radius_m;
            let position = (
                rounded(centre.0 + radius_m * angle.sin() / METRES_PER_DEGREE, 1e7),
                rounded(centre.1 + radius_m * angle.cos() / (METRES_PER_DEGREE * centre.0.to_radians().cos()), 1e7),
            );
            distance_m += before.map_or(0.0, |before| measure::haversine_m(before, position));
            before = Some(position);
            push(Field::LatitudeDeg, position.0);
            push(Field::LongitudeDeg, position.1);
            // FIT's resolution, so that every format can say the same.
            push(Field::AltitudeM, rounded(30.0 + style.hills_m * hill, 5.0));
            push(Field::DistanceM, distance_m);
            push(Field::CadenceRpm, (style.cadence_rpm + 4.0 * noise.next()).round());
            push(Field::SpeedMps, speed_mps);
        }
        push(Field::HeartRateBpm, heart_rate.clamp(60.0, 195.0).round());
        if let Some(typical) = style.power_w {
            power += 0.2 * (typical * (1.0 + 0.4 * hill) - power) + 0.15 * typical * noise.next();
            push(Field::PowerW, power.clamp(0.0, 900.0).round());
        }
        push(Field::TemperatureC, (17.0 + 3.0 * hill).round());
        walked_m += speed_mps;
    }
    let elapsed_s = (0..=seconds).map(f64::from).collect();
    // The columns were filled together, so they make a recording.
    Recording::from_columns(elapsed_s, columns).unwrap_or_default()
}

fn laps(recording: &Recording, lap_m: f64, duration_s: f64) -> Vec<Lap> {
    let elapsed_s = recording.elapsed_s();
    let distance = |index: usize| recording.value(Field::DistanceM, index).unwrap_or_default();
    let mut starts = vec![(0, 0.0)];
    for (index, at_s) in elapsed_s.iter().enumerate().skip(1) {
        if distance(index) >= lap_m * starts.len() as f64 {
            starts.push((index, *at_s));
        }
    }
    let last = elapsed_s.len().saturating_sub(1);
    starts.retain(|(start, _)| *start < last);
    let lap = |(number, (start, from_s)): (usize, &(usize, f64))| {
        let (end, until_s) = starts.get(number + 1).copied().unwrap_or((last, duration_s));
        let values = |field: Field| (*start..end).filter_map(move |index| recording.value(field, index));
        let mean = |field: Field| (values(field).sum::<f64>() / values(field).count() as f64).round();
        let power = values(Field::PowerW).reduce(f64::max);
        Lap {
            started_elapsed_s: *from_s,
            duration_s: until_s - from_s,
            distance_m: recording.get(Field::DistanceM).map(|_| rounded(distance(end) - distance(*start), 100.0)),
            average_heart_rate_bpm: Some(mean(Field::HeartRateBpm)),
            max_heart_rate_bpm: values(Field::HeartRateBpm).reduce(f64::max),
            average_power_w: power.map(|_| mean(Field::PowerW)),
            max_power_w: power,
            // About 10 kcal a minute, at least one, so that a lap never says "not measured".
            energy_kcal: Some(((until_s - from_s) / 6.0).ceil().max(1.0)),
        }
    };
    starts.iter().enumerate().map(lap).collect()
}

fn gain(recording: &Recording) -> Option<f64> {
    measure::elevation_gain_m(recording.get(Field::AltitudeM)?, 3.0).map(f64::round)
}

fn sum(laps: &[Lap], value: fn(&Lap) -> Option<f64>) -> Option<f64> {
    laps.iter().filter_map(value).reduce(|a, b| a + b)
}

fn rounded(value: f64, steps_per_unit: f64) -> f64 {
    (value * steps_per_unit).round() / steps_per_unit
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what a recording may hold")]
fn whole_seconds(duration_s: f64) -> u32 {
    duration_s.round().clamp(1.0, MAX_SAMPLES as f64 - 1.0) as u32
}

/// A linear congruential generator (Knuth's MMIX constants): not random, only uneven, and the same everywhere.
struct Noise(u64);

impl Noise {
    fn new(seed: u64) -> Self {
        let mut noise = Self(seed ^ 0x9e37_79b9_7f4a_7c15);
        noise.next();
        noise
    }

    /// The next number from -1 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The high bits are the uneven ones.
        (self.0 >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity(seed: u64, sport: Sport) -> Activity {
        synthesize(seed, sport, "2026-05-17T06:30:00Z".parse().unwrap(), 3_600.0)
    }

    #[test]
    fn the_same_seed_gives_the_same_activity_and_another_seed_another() {
        assert_eq!(activity(1, Sport::Run), activity(1, Sport::Run));
        assert_ne!(activity(1, Sport::Run).recording, activity(2, Sport::Run).recording);
    }

    #[test]
    fn an_hour_looks_like_an_hour_of_its_sport() {
        for sport in Sport::ALL {
            let activity = activity(3, sport);
            assert_eq!(activity.recording.len(), 3_601, "{sport}");
            assert!(activity.average_heart_rate_bpm.is_some_and(|bpm| (80.0..180.0).contains(&bpm)), "{sport}");
            let speed_mps = activity.distance_m.unwrap_or_default() / activity.duration_s;
            assert!(speed_mps < sport.max_plausible_speed_mps(), "{sport} at {speed_mps} m/s");
        }
        let run = activity(3, Sport::Run);
        assert!(run.distance_m.is_some_and(|metres| (9_000.0..13_000.0).contains(&metres)), "{:?}", run.distance_m);
        assert!(run.laps.len() >= 9, "{}", run.laps.len());
        assert!(activity(3, Sport::Ride).average_power_w.is_some_and(|watts| (150.0..230.0).contains(&watts)));
        assert_eq!(activity(3, Sport::Yoga).distance_m, None);
    }

    #[test]
    fn laps_cover_the_whole_activity() {
        let run = activity(4, Sport::Run);
        let total_s: f64 = run.laps.iter().map(|lap| lap.duration_s).sum();
        assert!((total_s - run.duration_s).abs() < 1e-6, "{total_s}");
        let total_m: f64 = run.laps.iter().filter_map(|lap| lap.distance_m).sum();
        assert!((total_m - run.distance_m.unwrap()).abs() < 0.1, "{total_m}");
    }
}
