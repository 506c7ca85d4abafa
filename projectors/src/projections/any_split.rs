//! Property: however a history is cut into batches, repeated, reordered by redelivery or full of holes, the rows are those of
//! the events one by one. Rows live in memory here; the same property over Postgres is among the integration tests.
use std::{collections::BTreeMap, fmt::Debug};

use fittrack_domain::{measurement::MeasurementKind, sport::Sport, values::Visibility};
use fittrack_schemas::envelope::StoredEvent;
use proptest::prelude::*;
use uuid::Uuid;

use super::{
    given::{History, athlete, metres, run, workout, zone},
    leaderboards::{self, Leaderboards},
    measurements::{self, Measurements},
    privacy_zones::{self, PrivacyZones},
    profiles::{self, Profiles},
    totals::{self, Totals},
    workouts::{self, Workouts},
};
use crate::{
    projection::Projection,
    runner::batch::{Place, fold, place},
};

/// What `write` does, on a map.
trait InMemory: Projection {
    type Rows: Default + PartialEq + Debug;
    fn write_to(rows: &mut Self::Rows, changes: Self::Changes);
}

impl InMemory for Workouts {
    type Rows = BTreeMap<Uuid, workouts::Row>;

    fn write_to(rows: &mut Self::Rows, changes: workouts::Changes) {
        for (id, row) in changes {
            match row {
                None => drop(rows.remove(&id)),
                Some(mut row) => {
                    row.logged = row.logged.or_else(|| rows.get(&id).and_then(|row| row.logged.clone()));
                    rows.insert(id, row);
                }
            }
        }
    }
}

impl InMemory for Profiles {
    type Rows = BTreeMap<Uuid, profiles::Row>;

    fn write_to(rows: &mut Self::Rows, changes: profiles::Changes) {
        for (id, mut row) in changes {
            row.registered_at = row.registered_at.or_else(|| rows.get(&id).and_then(|row| row.registered_at));
            rows.insert(id, row);
        }
    }
}

impl InMemory for Totals {
    type Rows = BTreeMap<totals::Key, totals::Sums>;

    fn write_to(rows: &mut Self::Rows, changes: totals::Changes) {
        for (key, difference) in changes {
            let sums = rows.entry(key).or_default();
            sums.workouts += difference.workouts;
            sums.distance_mm += difference.distance_mm;
            sums.duration_ms += difference.duration_ms;
            sums.moving_ms += difference.moving_ms;
            sums.elevation_gain_mm += difference.elevation_gain_mm;
            sums.energy_kcal += difference.energy_kcal;
        }
        rows.retain(|_, sums| sums.workouts != 0);
    }
}

impl InMemory for Leaderboards {
    type Rows = BTreeMap<leaderboards::Key, leaderboards::Change>;

    fn write_to(rows: &mut Self::Rows, changes: leaderboards::Changes) {
        for (key, change) in changes {
            let nothing = leaderboards::Change { difference: leaderboards::Score::default(), ..change };
            let row = rows.entry(key).or_insert(nothing);
            row.difference.distance_mm += change.difference.distance_mm;
            row.difference.duration_ms += change.difference.duration_ms;
            row.difference.elevation_gain_mm += change.difference.elevation_gain_mm;
            row.difference.workouts += change.difference.workouts;
            row.scored_at = change.scored_at;
        }
        rows.retain(|_, row| row.difference.workouts != 0);
    }
}

impl InMemory for Measurements {
    type Rows = BTreeMap<measurements::Key, measurements::Row>;

    fn write_to(rows: &mut Self::Rows, changes: measurements::Changes) {
        rows.extend(changes);
    }
}

impl InMemory for PrivacyZones {
    type Rows = BTreeMap<Uuid, privacy_zones::Row>;

    fn write_to(rows: &mut Self::Rows, changes: privacy_zones::Changes) {
        rows.extend(changes);
    }
}

/// One thing an athlete does.
#[derive(Debug, Clone)]
enum Deed {
    Rename,
    Log { sport: Sport, day: u32, metres: u32, public: bool, recorded: bool },
    Edit { which: usize, sport: Sport, day: u32, metres: u32, public: bool },
    Retitle { which: usize },
    Delete { which: usize },
    Measure { day: u32, kg: u32 },
    SetZones { zones: Vec<u32> },
}

fn deeds() -> impl Strategy<Value = Vec<(u128, Deed)>> {
    let sport = || prop_oneof![Just(Sport::Run), Just(Sport::Ride), Just(Sport::Strength)];
    let deed = prop_oneof![
        1 => Just(Deed::Rename),
        4 => (sport(), 1..29_u32, 0..40_000_u32, any::<bool>(), any::<bool>())
            .prop_map(|(sport, day, metres, public, recorded)| Deed::Log { sport, day, metres, public, recorded }),
        3 => (any::<usize>(), sport(), 1..29_u32, 0..40_000_u32, any::<bool>())
            .prop_map(|(which, sport, day, metres, public)| Deed::Edit { which, sport, day, metres, public }),
        1 => any::<usize>().prop_map(|which| Deed::Retitle { which }),
        2 => any::<usize>().prop_map(|which| Deed::Delete { which }),
        2 => (1..5_u32, 50..90_u32).prop_map(|(day, kg)| Deed::Measure { day, kg }),
        1 => prop::collection::vec(0..9_u32, 0..3).prop_map(|zones| Deed::SetZones { zones }),
    ];
    prop::collection::vec((0..4_u128, deed), 1..60)
}

fn history(deeds: &[(u128, Deed)]) -> History {
    let mut history = History::default();
    let mut logged: Vec<Uuid> = Vec::new();
    for n in 0..4 {
        history.register(athlete(n), "Somebody");
    }
    let visibility = |public: bool| if public { Visibility::Public } else { Visibility::Private };
    for (number, (who, deed)) in (0..).zip(deeds) {
        let any_workout = |which: usize| logged.get(which % logged.len().max(1)).copied().unwrap_or_default();
        match deed.clone() {
            Deed::Rename => {
                history.rename(athlete(*who), &format!("Name {number}"));
            }
            Deed::Log { sport, day, metres: distance, public, recorded } => {
                let details = run(|details| {
                    details.sport = sport;
                    details.started_at = format!("2026-11-{day:02}T07:00:00Z").parse().unwrap();
                    details.local_date = details.started_at.date_naive();
                    details.distance_m = Some(metres(distance));
                    details.visibility = visibility(public);
                });
                logged.push(workout(number));
                if recorded {
                    history.import(athlete(*who), workout(number), details);
                } else {
                    history.log(athlete(*who), workout(number), details);
                }
            }
            Deed::Edit { which, sport, day, metres: distance, public } => {
                history.edit(any_workout(which), |details| {
                    details.sport = sport;
                    details.started_at = format!("2026-11-{day:02}T07:00:00Z").parse().unwrap();
                    details.local_date = details.started_at.date_naive();
                    details.distance_m = Some(metres(distance));
                    details.visibility = visibility(public);
                });
            }
            Deed::Retitle { which } => {
                history.edit(any_workout(which), |details| details.title = None);
            }
            Deed::Delete { which } => {
                history.delete(any_workout(which));
            }
            Deed::SetZones { zones } => {
                history.set_zones(athlete(*who), zones.into_iter().map(zone).collect());
            }
            Deed::Measure { day, kg } => {
                let measured_on = format!("2026-11-{day:02}").parse().unwrap();
                history.measure(athlete(*who), MeasurementKind::MassKg, measured_on, f64::from(kg));
            }
        }
    }
    history
}

/// The rows after the events one by one.
fn one_by_one<P: InMemory>(history: &History) -> P::Rows {
    let mut rows = P::Rows::default();
    for event in &history.events {
        P::write_to(&mut rows, fold::<P>([event]).unwrap());
    }
    rows
}

/// The rows after deliveries taken in the way the runner takes them: repeats skipped, gaps read from the store.
fn as_delivered<P: InMemory>(history: &History, deliveries: &[Vec<usize>]) -> P::Rows {
    let mut rows = P::Rows::default();
    let mut applied: BTreeMap<i32, i64> = BTreeMap::new();
    // At the end everything comes once more, as an overdue partition is healed.
    let rest: Vec<usize> = (0..history.events.len()).collect();
    for delivery in deliveries.iter().chain([&rest]) {
        let mut batch: Vec<&StoredEvent> = Vec::new();
        for index in delivery {
            let event = &history.events[*index];
            let upto = applied.entry(event.partition).or_default();
            if place(*upto, event.position) == Place::Applied {
                continue;
            }
            let missing = history.events.iter().filter(|other| {
                other.partition == event.partition && other.position > *upto && other.position <= event.position
            });
            batch.extend(missing);
            *upto = event.position;
        }
        P::write_to(&mut rows, fold::<P>(batch).unwrap());
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_split_repetition_and_reordering_gives_the_same_rows(
        deeds in deeds(),
        deliveries in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..20), 0..12),
    ) {
        let history = history(&deeds);
        let deliveries: Vec<Vec<usize>> = deliveries
            .iter()
            .map(|delivery| delivery.iter().map(|index| index.index(history.events.len())).collect())
            .collect();
        prop_assert_eq!(as_delivered::<Workouts>(&history, &deliveries), one_by_one::<Workouts>(&history));
        prop_assert_eq!(as_delivered::<Profiles>(&history, &deliveries), one_by_one::<Profiles>(&history));
        prop_assert_eq!(as_delivered::<Totals>(&history, &deliveries), one_by_one::<Totals>(&history));
        prop_assert_eq!(as_delivered::<Measurements>(&history, &deliveries), one_by_one::<Measurements>(&history));
        prop_assert_eq!(as_delivered::<PrivacyZones>(&history, &deliveries), one_by_one::<PrivacyZones>(&history));
        prop_assert_eq!(as_delivered::<Leaderboards>(&history, &deliveries), one_by_one::<Leaderboards>(&history));
    }
}
