use fittrack_domain::{sport::Sport, values::Visibility};

use super::*;
use crate::{
    projections::given::{History, athlete, metres, run, seconds, workout},
    runner::batch::fold,
};

const HOUR_OF_TEN_KILOMETRES: Sums = Sums {
    workouts: 1,
    distance_mm: 10_000_000,
    duration_ms: 3_600_000,
    moving_ms: 3_500_000,
    elevation_gain_mm: 100_000,
    energy_kcal: 600,
};

fn key(day: &str, sport: Sport) -> Key {
    Key { athlete_id: athlete(1), local_date: day.parse().unwrap(), sport }
}

/// What a batch changes, without the days it leaves as they were.
fn changes(history: &History) -> Changes {
    let mut changes = fold::<Totals>(&history.events).unwrap();
    changes.retain(|_, sums| *sums != Sums::default());
    changes
}

#[test]
fn a_workout_counts_on_its_local_day_whoever_may_see_it() {
    let mut history = History::default();
    history.log(
        athlete(1),
        workout(1),
        run(|details| {
            details.visibility = Visibility::Private;
            details.local_date = "2026-11-25".parse().unwrap();
        }),
    );
    assert_eq!(changes(&history), Changes::from([(key("2026-11-25", Sport::Run), HOUR_OF_TEN_KILOMETRES)]));
}

#[test]
fn workouts_of_a_day_and_sport_add_up() {
    let mut history = History::default();
    history.log(athlete(1), workout(1), run(|_| {})).import(
        athlete(1),
        workout(2),
        run(|details| {
            details.moving_s = None;
            details.energy_kcal = None;
        }),
    );
    let both = Sums {
        workouts: 2,
        distance_mm: 20_000_000,
        duration_ms: 7_200_000,
        elevation_gain_mm: 200_000,
        ..HOUR_OF_TEN_KILOMETRES
    };
    assert_eq!(changes(&history), Changes::from([(key("2026-11-24", Sport::Run), both)]));
}

#[test]
fn an_edit_moves_what_was_counted_to_where_it_belongs() {
    let mut history = History::default();
    history.log(athlete(1), workout(1), run(|_| {})).edit(workout(1), |details| {
        details.sport = Sport::Ride;
        details.local_date = "2026-11-23".parse().unwrap();
        details.distance_m = Some(metres(11_000));
    });
    let after = Sums { distance_mm: 11_000_000, ..HOUR_OF_TEN_KILOMETRES };
    assert_eq!(changes(&history), Changes::from([(key("2026-11-23", Sport::Ride), after)]));
}

#[test]
fn an_edit_in_a_batch_of_its_own_is_a_difference() {
    let mut history = History::default();
    history.log(athlete(1), workout(1), run(|_| {})).edit(workout(1), |details| details.duration_s = seconds(3000));
    let later = fold::<Totals>(&history.events[1..]).unwrap();
    let difference = Sums { duration_ms: -600_000, ..Sums::default() };
    assert_eq!(later, Changes::from([(key("2026-11-24", Sport::Run), difference)]));
}

#[test]
fn what_is_deleted_is_taken_away() {
    let mut history = History::default();
    history.log(athlete(1), workout(1), run(|_| {})).delete(workout(1));
    assert_eq!(changes(&history), Changes::new());
}

#[test]
fn a_late_upload_counts_on_the_day_it_was_done() {
    let mut history = History::default();
    history.log(athlete(1), workout(1), run(|_| {})).log(
        athlete(1),
        workout(2),
        run(|details| {
            details.local_date = "2019-01-01".parse().unwrap();
        }),
    );
    assert_eq!(changes(&history)[&key("2019-01-01", Sport::Run)], HOUR_OF_TEN_KILOMETRES);
}

#[test]
fn a_sum_that_would_leave_its_range_is_refused() {
    let mut history = History::default();
    for n in 0..3 {
        let details = serde_json::json!({
            "sport": "run", "started_at": "2026-11-24T07:00:00Z", "time_zone": "UTC", "local_date": "2026-11-24",
            "duration_s": 60.0, "distance_m": 5e15, "visibility": "public",
        });
        let payload = serde_json::json!({
            "type": "workout_logged", "workout_id": workout(n), "athlete_id": athlete(1), "details": details,
        });
        history.add(athlete(1), "workout", workout(n), "workout_logged", &payload);
    }
    assert!(matches!(fold::<Totals>(&history.events), Err(FoldError::Overflow("distance_mm"))));
}
