use fittrack_domain::{
    sport::Sport,
    values::{Title, Visibility},
};

use super::*;
use crate::{
    projections::given::{History, athlete, instant, metres, run, seconds, workout},
    runner::batch::fold,
};

const HOUR_OF_TEN_KILOMETRES: Score = Score {
    distance_mm: 10_000_000,
    duration_ms: 3_600_000,
    moving_ms: 3_500_000,
    elevation_gain_mm: 100_000,
    workouts: 1,
};

fn fold_all(history: &History) -> Changes {
    fold::<Leaderboards>(&history.events).unwrap()
}

fn key(period: Period, starts_on: &str, sport: Option<Sport>) -> Key {
    Key { board: Board { period, starts_on: starts_on.parse().unwrap(), sport }, athlete_id: athlete(1) }
}

#[test]
fn a_public_workout_counts_on_eight_boards() {
    let mut history = History::default();
    history.log(athlete(1), workout(1), run(|_| {}));
    let change = Change { difference: HOUR_OF_TEN_KILOMETRES, scored_at: instant(0) };
    let expected: Changes = [
        (Period::Week, "2026-11-23"),
        (Period::Month, "2026-11-01"),
        (Period::Year, "2026-01-01"),
        (Period::All, "1970-01-01"),
    ]
    .into_iter()
    .flat_map(|(period, starts_on)| [key(period, starts_on, Some(Sport::Run)), key(period, starts_on, None)])
    .map(|key| (key, change))
    .collect();
    assert_eq!(fold_all(&history), expected);
}

#[test]
fn a_workout_counts_in_the_utc_period_it_began_in() {
    let mut history = History::default();
    history.log(
        athlete(1),
        workout(1),
        run(|details| {
            // Still November in UTC, December already in Berlin.
            details.started_at = "2026-11-30T23:30:00Z".parse().unwrap();
            details.local_date = "2026-12-01".parse().unwrap();
        }),
    );
    assert!(fold_all(&history).contains_key(&key(Period::Month, "2026-11-01", None)));
}

#[test]
fn what_is_not_public_or_not_plausible_counts_nowhere() {
    let mut history = History::default();
    history
        .log(athlete(1), workout(1), run(|details| details.visibility = Visibility::Followers))
        .log(athlete(1), workout(2), run(|details| details.visibility = Visibility::Private))
        .log(athlete(1), workout(3), run(|details| details.distance_m = Some(metres(100_000))));
    assert_eq!(fold_all(&history), Changes::new());
}

#[test]
fn hiding_a_workout_takes_it_off_and_showing_it_puts_it_back() {
    let mut history = History::default();
    history
        .log(athlete(1), workout(1), run(|_| {}))
        .edit(workout(1), |details| details.visibility = Visibility::Private)
        .edit(workout(1), |details| details.visibility = Visibility::Public);
    let hidden = fold::<Leaderboards>(&history.events[..2]).unwrap();
    let week = key(Period::Week, "2026-11-23", None);
    assert_eq!(hidden[&week], Change { difference: Score::default(), scored_at: instant(1) });
    assert_eq!(fold_all(&history)[&week], Change { difference: HOUR_OF_TEN_KILOMETRES, scored_at: instant(2) });
}

#[test]
fn an_edit_that_changes_no_score_does_not_change_when_it_was_scored() {
    let mut history = History::default();
    history
        .log(athlete(1), workout(1), run(|_| {}))
        .edit(workout(1), |details| details.title = Some(Title::parse("Other").unwrap()));
    assert!(fold_all(&history).values().all(|change| change.scored_at == instant(0)));
    assert_eq!(fold::<Leaderboards>(&history.events[1..]).unwrap(), Changes::new());
}

#[test]
fn an_edit_into_another_week_of_the_month_changes_the_weeks_alone() {
    let mut history = History::default();
    history
        .log(athlete(1), workout(1), run(|_| {}))
        .edit(workout(1), |details| details.started_at = "2026-11-17T07:00:00Z".parse().unwrap());
    let later = fold::<Leaderboards>(&history.events[1..]).unwrap();
    assert_eq!(later.len(), 4);
    assert_eq!(later[&key(Period::Week, "2026-11-16", None)].difference, HOUR_OF_TEN_KILOMETRES);
    assert_eq!(later[&key(Period::Week, "2026-11-23", None)].difference.workouts, -1);
}

#[test]
fn an_edit_into_another_sport_leaves_the_boards_of_all_sports_as_they_are() {
    let mut history = History::default();
    history.log(athlete(1), workout(1), run(|_| {})).edit(workout(1), |details| details.sport = Sport::TrailRun);
    let later = fold::<Leaderboards>(&history.events[1..]).unwrap();
    assert!(later.keys().all(|key| key.board.sport.is_some()));
    assert_eq!(later.len(), 8);
}

#[test]
fn a_deletion_takes_everything_away() {
    let mut history = History::default();
    history.log(athlete(1), workout(1), run(|_| {})).delete(workout(1));
    let later = fold::<Leaderboards>(&history.events[1..]).unwrap();
    let away = Score {
        distance_mm: -10_000_000,
        duration_ms: -3_600_000,
        moving_ms: -3_500_000,
        elevation_gain_mm: -100_000,
        workouts: -1,
    };
    assert!(later.len() == 8 && later.values().all(|change| change.difference == away));
}

#[test]
fn a_late_upload_counts_on_the_boards_of_its_own_week() {
    let mut history = History::default();
    history.log(
        athlete(1),
        workout(1),
        run(|details| {
            details.started_at = "2019-01-01T10:00:00Z".parse().unwrap();
            details.duration_s = seconds(4000);
        }),
    );
    assert!(fold_all(&history).contains_key(&key(Period::Week, "2018-12-31", Some(Sport::Run))));
}
