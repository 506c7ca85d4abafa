use super::*;
use crate::{
    projections::given::{History, athlete, instant},
    runner::batch::fold,
};

#[test]
fn the_last_profile_of_a_batch_stays_with_the_first_instant() {
    let mut history = History::default();
    history.register(athlete(1), "Anna").rename(athlete(1), "Anna B.");
    let changes = fold::<Profiles>(&history.events).unwrap();
    let row = &changes[&athlete(1)];
    assert_eq!(row.profile.display_name.as_str(), "Anna B.");
    assert_eq!((row.version, row.registered_at, row.changed_at), (2, Some(instant(0)), instant(1)));
}

#[test]
fn an_update_in_a_later_batch_does_not_know_when_they_signed_up() {
    let mut history = History::default();
    history.register(athlete(1), "Anna").rename(athlete(1), "Anna B.");
    let later = fold::<Profiles>(&history.events[1..]).unwrap();
    assert_eq!(later[&athlete(1)].registered_at, None);
}

#[test]
fn a_number_wider_than_its_column_is_refused() {
    let mut history = History::default();
    let payload = serde_json::json!({
        "type": "profile_updated", "athlete_id": athlete(1),
        "profile": {"display_name": "Anna", "birth_year": 4_000_000_000_u32},
    });
    history.add(athlete(1), "athlete", athlete(1), "profile_updated", &payload);
    assert!(matches!(fold::<Profiles>(&history.events), Err(FoldError::DoesNotFit("birth_year"))));
}
