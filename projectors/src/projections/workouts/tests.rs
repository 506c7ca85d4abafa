use fittrack_domain::values::{Title, Visibility};

use super::*;
use crate::{
    projections::given::{History, athlete, instant, metres, recording, run, workout},
    runner::batch::fold,
};

fn changes(history: &History) -> Changes {
    fold::<Workouts>(&history.events).unwrap()
}

#[test]
fn a_logged_workout_is_a_row_with_all_it_says() {
    let mut history = History::default();
    history.log(athlete(1), workout(1), run(|_| {}));
    let row = Row {
        athlete_id: athlete(1),
        version: 1,
        details: run(|_| {}),
        changed_at: instant(0),
        logged: Some(Logged { at: instant(0), recording: None }),
    };
    assert_eq!(changes(&history), Changes::from([(workout(1), Some(row))]));
}

#[test]
fn an_edit_in_the_same_batch_keeps_the_recording_and_when_it_was_logged() {
    let mut history = History::default();
    history.import(athlete(1), workout(1), run(|_| {})).edit(workout(1), |details| {
        details.title = Some(Title::parse("Long run").unwrap());
        details.visibility = Visibility::Private;
    });
    let changes = changes(&history);
    let row = changes[&workout(1)].as_ref().unwrap();
    assert_eq!(row.version, 2);
    assert_eq!(row.details.title.as_ref().unwrap().as_str(), "Long run");
    assert_eq!(row.details.visibility, Visibility::Private);
    assert_eq!(row.logged, Some(Logged { at: instant(0), recording: Some(recording()) }));
    assert_eq!(row.changed_at, instant(1));
}

#[test]
fn an_edit_in_a_later_batch_knows_nothing_of_the_recording() {
    let mut history = History::default();
    history
        .import(athlete(1), workout(1), run(|_| {}))
        .edit(workout(1), |details| details.distance_m = Some(metres(9)));
    let later = fold::<Workouts>(&history.events[1..]).unwrap();
    assert_eq!(later[&workout(1)].as_ref().unwrap().logged, None);
}

#[test]
fn a_deleted_workout_is_no_row() {
    let mut history = History::default();
    history.log(athlete(1), workout(1), run(|_| {})).edit(workout(1), |_| {}).delete(workout(1));
    assert_eq!(changes(&history), Changes::from([(workout(1), None)]));
}
