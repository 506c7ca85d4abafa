use super::*;
use crate::{
    projections::given::{History, athlete, instant, zone},
    runner::batch::fold,
};

#[test]
fn the_last_list_of_a_batch_stays_also_where_it_is_empty() {
    let mut history = History::default();
    history.set_zones(athlete(1), vec![zone(1), zone(2)]).set_zones(athlete(1), vec![zone(2)]);
    history.set_zones(athlete(2), vec![zone(3)]).set_zones(athlete(2), vec![]);
    let changes = fold::<PrivacyZones>(&history.events).unwrap();
    assert_eq!(changes[&athlete(1)], Row { version: 2, zones: vec![zone(2)], changed_at: instant(1) });
    assert_eq!(changes[&athlete(2)], Row { version: 2, zones: vec![], changed_at: instant(3) });
}

#[test]
fn nothing_else_that_happens_to_an_athlete_changes_them() {
    let mut history = History::default();
    history.register(athlete(1), "Anna").rename(athlete(1), "Anna B.");
    assert!(fold::<PrivacyZones>(&history.events).unwrap().is_empty());
}
