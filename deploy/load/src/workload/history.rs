//! The made-up history of a whole installation, the same in every run: in the course of two years athletes sign up, log and
//! import workouts as people who train do (twice to four times a week, one sport mostly), edit some of them, delete a few, and
//! leave after some months. In the order in which things happen.
use std::{cmp::Reverse, collections::BinaryHeap, ops::Range};

use chrono::{DateTime, TimeDelta, Utc};
use command_api::store::append::{Append, NewEvent};
use fittrack_domain::{
    athlete::{AthleteEvent, AthleteRegistered, Profile, Sex, Units},
    event_type::EventType,
    ids::{AthleteId, WorkoutId},
    partition::{DEFAULT_PARTITIONS, partition_of},
    recording::Format,
    sport::Sport,
    values::{DisplayName, Distance, Duration, Energy, HeartRate, TimeZone, Title, Visibility},
    workout::{
        RecordingRef, WorkoutDeleted, WorkoutDetails, WorkoutEdited, WorkoutEvent, WorkoutImported, WorkoutLogged,
    },
};
use serde::Serialize;
use uuid::{Builder, Uuid};

use super::{athlete, beginning};
use crate::Failure;

/// How many events an athlete has: four kinds of athlete, as many of each.
const EVENTS_OF: [u64; 4] = [20, 40, 60, 80];
/// How many that is on average.
pub const EVENTS_EACH: u64 = 50;
/// How long the history is.
const DAYS: i64 = 730;
/// How often a week they do something: three kinds of athlete again.
const A_WEEK: [i64; 3] = [2, 3, 4];
/// Of 100 workouts, how many are of one's first sport; the others are of one's second.
const FIRST_SPORT: u16 = 75;
/// What people do, each as often as its number says, of 256.
const SPORTS: [(Sport, u16); 8] = [
    (Sport::Run, 90),
    (Sport::Ride, 60),
    (Sport::Swim, 30),
    (Sport::Strength, 30),
    (Sport::Walk, 20),
    (Sport::TrailRun, 12),
    (Sport::Hike, 8),
    (Sport::Yoga, 6),
];

/// The history of some athletes, one command after another; each command has one event.
pub struct History {
    athletes: Vec<Athlete>,
    /// Who does something next, and when.
    due: BinaryHeap<Reverse<(DateTime<Utc>, usize)>>,
}

impl History {
    /// Of the athletes of these numbers: [`EVENTS_EACH`] events each, on average over any four that follow each other.
    pub fn of(numbers: Range<u64>) -> Self {
        let athletes: Vec<Athlete> = numbers.map(Athlete::new).collect();
        let due = athletes.iter().enumerate().map(|(index, athlete)| Reverse((athlete.due(), index))).collect();
        Self { athletes, due }
    }
}

impl Iterator for History {
    type Item = Result<Append, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((_, index)) = self.due.pop()?;
        let athlete = self.athletes.get_mut(index)?;
        let append = athlete.act();
        if athlete.done < athlete.events {
            self.due.push(Reverse((athlete.due(), index)));
        }
        Some(append)
    }
}

struct Athlete {
    number: u64,
    signs_up: DateTime<Utc>,
    sports: [Sport; 2],
    a_week: i64,
    events: u64,
    done: u64,
    latest: Option<Latest>,
}

/// The workout that may be edited or deleted.
struct Latest {
    workout_id: WorkoutId,
    version: i64,
    details: WorkoutDetails,
}

impl Athlete {
    fn new(number: u64) -> Self {
        let dice = Dice::of(number, 0);
        let events = EVENTS_OF[usize::try_from(number % 4).unwrap_or(0)];
        let a_week = A_WEEK[usize::try_from(number % 3).unwrap_or(0)];
        let stays = 7 * events.cast_signed() / a_week + 1;
        let day = i64::from(dice.roll(0)) % (DAYS - stays);
        let sports = [sport(dice.roll(4)), sport(dice.roll(5))];
        Self { number, signs_up: beginning() + TimeDelta::days(day), sports, a_week, events, done: 0, latest: None }
    }

    /// When it acts next: evenly over the weeks, at some hour of the day.
    fn due(&self) -> DateTime<Utc> {
        let minutes = 7 * 24 * 60 * self.done.cast_signed() / self.a_week;
        let minute_of_day = i64::from(Dice::of(self.number, self.done).roll(1)) % (16 * 60);
        self.signs_up + TimeDelta::minutes(minutes + minute_of_day)
    }

    fn act(&mut self) -> Result<Append, Failure> {
        let dice = Dice::of(self.number, self.done);
        let sport = self.sports[usize::from(dice.roll(3) % 100 >= FIRST_SPORT)];
        let act = Act { athlete_id: athlete(self.number), at: self.due(), sport, dice };
        self.done += 1;
        if self.done == 1 {
            return act.register(self.number);
        }
        match (act.dice.roll(2) % 100, self.latest.take()) {
            (0..10, Some(latest)) => {
                let after = Latest { details: act.edited(&latest.details)?, version: latest.version + 1, ..latest };
                let append = act.edit(&latest.details, &after);
                self.latest = Some(after);
                append
            }
            (10..14, Some(latest)) => act.delete(&latest),
            (share, _) => {
                let latest = Latest { workout_id: WorkoutId(act.id("workout")), version: 1, details: act.details()? };
                let append = if share < 57 { act.log(&latest) } else { act.import(&latest) };
                self.latest = Some(latest);
                append
            }
        }
    }
}

/// One thing an athlete does.
struct Act {
    athlete_id: Uuid,
    at: DateTime<Utc>,
    /// Of the workout, where it is about one.
    sport: Sport,
    dice: Dice,
}

impl Act {
    fn register(&self, number: u64) -> Result<Append, Failure> {
        let profile = Profile {
            display_name: DisplayName::parse(format!("Athlete {number}"))?,
            bio: None,
            birth_year: Some(1960 + u32::from(self.dice.roll(3) % 45)),
            sex: Sex::Unspecified,
            height_cm: None,
            time_zone: TimeZone::parse("Europe/Berlin")?,
            units: Units::Metric,
            default_visibility: Visibility::Public,
        };
        let event = AthleteEvent::AthleteRegistered(AthleteRegistered { athlete_id: self.athlete_id(), profile });
        self.append(("athlete", self.athlete_id, 0), EventType::AthleteRegistered, &event)
    }

    fn log(&self, latest: &Latest) -> Result<Append, Failure> {
        let (workout_id, details) = (latest.workout_id, latest.details.clone());
        let logged = WorkoutLogged { workout_id, athlete_id: self.athlete_id(), details };
        self.append(("workout", workout_id.0, 0), EventType::WorkoutLogged, &WorkoutEvent::WorkoutLogged(logged))
    }

    fn import(&self, latest: &Latest) -> Result<Append, Failure> {
        let (workout_id, details) = (latest.workout_id, latest.details.clone());
        let sha256 = |of: &str| format!("{}{}", self.id(of).simple(), self.id(of).simple());
        let recording = RecordingRef {
            format: Format::Fit,
            original_sha256: sha256("original"),
            recording_sha256: sha256("recording"),
            samples: u32::from(self.dice.roll(4)),
            leg: 0,
            session_id: None,
            device: Some("Garmin Forerunner 265".to_owned()),
        };
        let imported = WorkoutImported { workout_id, athlete_id: self.athlete_id(), details, recording };
        self.append(("workout", workout_id.0, 0), EventType::WorkoutImported, &WorkoutEvent::WorkoutImported(imported))
    }

    fn edit(&self, before: &WorkoutDetails, latest: &Latest) -> Result<Append, Failure> {
        let (workout_id, before, after) = (latest.workout_id, before.facts(), latest.details.clone());
        let edited = WorkoutEdited { workout_id, athlete_id: self.athlete_id(), before, after };
        let stream = ("workout", workout_id.0, latest.version - 1);
        self.append(stream, EventType::WorkoutEdited, &WorkoutEvent::WorkoutEdited(edited))
    }

    fn delete(&self, latest: &Latest) -> Result<Append, Failure> {
        let (workout_id, before) = (latest.workout_id, latest.details.facts());
        let deleted =
            WorkoutDeleted { workout_id, athlete_id: self.athlete_id(), deleted_by: self.athlete_id(), before };
        let stream = ("workout", workout_id.0, latest.version);
        self.append(stream, EventType::WorkoutDeleted, &WorkoutEvent::WorkoutDeleted(deleted))
    }

    /// 20 to 110 minutes, at an ordinary pace; one of a hundred ended within a minute. Seven of ten are public.
    fn details(&self) -> Result<WorkoutDetails, Failure> {
        let (sport, time_zone) = (self.sport, TimeZone::parse("Europe/Berlin")?);
        let seconds = match self.dice.roll(4) % 100 {
            0 => 42.5,
            _ => 1_200.0 + f64::from(self.dice.roll(4) % 54_000) / 10.0,
        };
        let started_at = self.at - TimeDelta::hours(2);
        let metres = sport.max_plausible_speed_mps() * (0.25 + f64::from(self.dice.roll(5) % 250) / 1_000.0) * seconds;
        let moves = !matches!(sport, Sport::Strength | Sport::Yoga);
        Ok(WorkoutDetails {
            sport,
            started_at,
            time_zone,
            local_date: time_zone.local_date(started_at),
            duration_s: Duration::from_seconds(seconds)?,
            moving_s: moves.then(|| Duration::from_seconds(seconds * 0.96)).transpose()?,
            distance_m: moves.then(|| Distance::from_metres(metres)).transpose()?,
            elevation_gain_m: moves.then(|| Distance::climb_from_metres(metres / 80.0)).transpose()?,
            energy_kcal: Some(Energy::from_kcal(seconds / 6.0)?),
            average_heart_rate_bpm: Some(HeartRate::from_bpm(120.0 + f64::from(self.dice.roll(5) % 40))?),
            max_heart_rate_bpm: Some(HeartRate::from_bpm(165.0 + f64::from(self.dice.roll(5) % 25))?),
            average_power_w: None,
            perceived_exertion: None,
            title: Some(Title::parse(format!("{} on a {}", sport.as_str(), started_at.format("%A")))?),
            notes: None,
            visibility: match self.dice.roll(0) % 10 {
                0..7 => Visibility::Public,
                7..9 => Visibility::Followers,
                _ => Visibility::Private,
            },
            gear_id: None,
            sets: Vec::new(),
        })
    }

    /// Another title alone, another visibility, or the distance put right.
    fn edited(&self, before: &WorkoutDetails) -> Result<WorkoutDetails, Failure> {
        let mut after = before.clone();
        match (self.dice.roll(3) % 10, before.distance_m) {
            (0..3, Some(distance)) => after.distance_m = Some(Distance::from_metres(distance.metres() * 0.99)?),
            (3..6, _) if before.visibility == Visibility::Public => after.visibility = Visibility::Private,
            (3..6, _) => after.visibility = Visibility::Public,
            _ => after.title = Some(Title::parse("With friends along the river, slowly")?),
        }
        Ok(after)
    }

    fn append(
        &self,
        (aggregate_type, aggregate_id, expected_version): (&'static str, Uuid, i64),
        event_type: EventType,
        event: &impl Serialize,
    ) -> Result<Append, Failure> {
        let owner_id = self.athlete_id;
        Ok(Append {
            command_id: self.id("command"),
            partition: partition_of(owner_id, DEFAULT_PARTITIONS),
            aggregate_type,
            aggregate_id,
            owner_id,
            expected_version,
            events: vec![NewEvent {
                event_id: self.id("event"),
                event_type: event_type.as_str().to_owned(),
                event_version: event_type.newest_version().to_owned(),
                payload: serde_json::to_string(event)?,
                metadata: format!(r#"{{"actor":"{owner_id}"}}"#),
                occurred_at: self.at,
            }],
        })
    }

    fn athlete_id(&self) -> AthleteId {
        AthleteId(self.athlete_id)
    }

    /// An id as it would have been given then: UUIDv7, so ids of one time lie together in an index.
    fn id(&self, of: &str) -> Uuid {
        let random = Uuid::new_v5(&self.dice.0, of.as_bytes()).into_bytes();
        let mut ten = [0; 10];
        ten.copy_from_slice(&random[..10]);
        Builder::from_unix_timestamp_millis(self.at.timestamp_millis().unsigned_abs(), &ten).into_uuid()
    }
}

fn sport(roll: u16) -> Sport {
    let mut left = roll % 256;
    for (sport, weight) in SPORTS {
        if left < weight {
            return sport;
        }
        left -= weight;
    }
    Sport::Other
}

/// Six numbers that look random and are the same in every run, for the k-th thing that an athlete does.
struct Dice(Uuid);

impl Dice {
    fn of(athlete_number: u64, k: u64) -> Self {
        Self(Uuid::new_v5(&athlete(athlete_number), &k.to_be_bytes()))
    }

    /// The first to the sixth number; the bytes in between say that it is a UUID.
    fn roll(&self, nth: usize) -> u16 {
        const PLACES: [usize; 6] = [0, 2, 4, 10, 12, 14];
        let (bytes, at) = (self.0.as_bytes(), PLACES[nth % PLACES.len()]);
        u16::from_be_bytes([bytes[at], bytes[at + 1]])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn counts(athletes: u64) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for append in History::of(0..athletes) {
            *counts.entry(append.unwrap().events[0].event_type.clone()).or_default() += 1;
        }
        counts
    }

    #[test]
    fn athletes_have_fifty_events_each_and_every_kind_is_there() {
        let counts = counts(400);
        assert_eq!(counts.values().sum::<u64>(), 400 * EVENTS_EACH);
        assert_eq!(counts["athlete_registered"], 400);
        for (event_type, share) in [
            ("workout_logged", 40..50),
            ("workout_imported", 35..45),
            ("workout_edited", 6..12),
            ("workout_deleted", 2..6),
        ] {
            assert!(share.contains(&(counts[event_type] * 100 / (400 * EVENTS_EACH))), "{event_type}: {counts:?}");
        }
    }

    #[test]
    fn two_runs_make_the_same_history() {
        let history = || History::of(7..9).map(|append| format!("{:?}", append.unwrap())).collect::<Vec<_>>();
        assert_eq!(history(), history());
    }

    #[test]
    fn the_versions_of_each_stream_count_up_in_the_order_of_time() {
        let mut versions: BTreeMap<Uuid, i64> = BTreeMap::new();
        let mut last = DateTime::UNIX_EPOCH;
        for append in History::of(0..40) {
            let append = append.unwrap();
            let version = versions.entry(append.aggregate_id).or_default();
            assert_eq!(append.expected_version, *version);
            *version += 1;
            let at = append.events[0].occurred_at;
            assert!(at >= last && at <= beginning() + TimeDelta::days(DAYS + 1));
            last = at;
        }
        assert!(versions.values().any(|version| *version > 1));
    }
}
