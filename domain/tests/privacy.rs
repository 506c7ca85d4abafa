//! The rules of privacy zones: given what was set, when a list is set, then this follows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use fittrack_domain::{
    aggregate::Context,
    ids::AthleteId,
    privacy::{
        PrivacyZone, PrivacyZones, PrivacyZonesCommand, PrivacyZonesEvent, PrivacyZonesRefusal, PrivacyZonesSet,
        SetPrivacyZones,
    },
};
use support::{a_zone, given};
use uuid::Uuid;

const HOME: (f64, f64) = (52.1, 6.6);
/// Some 110 m north of it.
const NEXT_DOOR: (f64, f64) = (52.101, 6.6);
const ELSEWHERE: (f64, f64) = (52.2, 6.6);

fn set<'z>(zones: impl IntoIterator<Item = &'z PrivacyZone>) -> PrivacyZonesCommand {
    PrivacyZonesCommand::SetPrivacyZones(SetPrivacyZones { zones: zones.into_iter().cloned().collect() })
}

fn was_set<'z>(zones: impl IntoIterator<Item = &'z PrivacyZone>) -> PrivacyZonesEvent {
    let zones = zones.into_iter().cloned().collect();
    let set = PrivacyZonesSet { athlete_id: Context::example().actor, zones };
    PrivacyZonesEvent::PrivacyZonesSet(set)
}

#[test]
fn the_whole_list_is_replaced_and_not_repeated() {
    let (home, work) = (a_zone(1, HOME, 400.0), a_zone(2, ELSEWHERE, 200.0));
    given::<PrivacyZones>([]).when(set([&home])).then([was_set([&home])]);
    let before = || given::<PrivacyZones>([was_set([&home])]);
    before().when(set([&home])).then_nothing();
    before().when(set([&work])).then([was_set([&work])]);
    before().when(set([])).then([was_set([])]);
    // The first time is said even where there is none; and what was erased is no list that could stay.
    given::<PrivacyZones>([]).when(set([])).then([was_set([])]);
    given::<PrivacyZones>([was_set([]), PrivacyZonesEvent::Redacted]).when(set([])).then([was_set([])]);
}

#[test]
fn there_are_at_most_five() {
    let zones = |count: u128| (0..count).map(|id| a_zone(id, HOME, 200.0)).collect::<Vec<_>>();
    given::<PrivacyZones>([]).when(set(&zones(5))).then([was_set(&zones(5))]);
    let refusal = PrivacyZonesRefusal::Invalid { field: "zones", must: "must be at most 5" };
    given::<PrivacyZones>([]).when(set(&zones(6))).then_refused(refusal);
}

#[test]
fn a_zone_that_stays_where_it_is_keeps_its_id_and_one_elsewhere_is_another() {
    let home = a_zone(1, HOME, 400.0);
    let before = || given::<PrivacyZones>([was_set([&home])]);
    // Said again under another id it is what it was.
    before().when(set([&a_zone(7, HOME, 400.0)])).then_nothing();
    before().when(set([&a_zone(7, HOME, 900.0)])).then([was_set([&a_zone(1, HOME, 900.0)])]);
    before().when(set([&a_zone(7, NEXT_DOOR, 400.0)])).then([was_set([&a_zone(1, NEXT_DOOR, 400.0)])]);
    before().when(set([&a_zone(7, ELSEWHERE, 400.0)])).then([was_set([&a_zone(7, ELSEWHERE, 400.0)])]);
}

#[test]
fn of_two_near_zones_each_keeps_its_own_id() {
    let (home, next_door) = (a_zone(1, HOME, 400.0), a_zone(2, NEXT_DOOR, 400.0));
    let before = || given::<PrivacyZones>([was_set([&home, &next_door])]);
    before().when(set([&a_zone(8, NEXT_DOOR, 400.0), &a_zone(9, HOME, 400.0)])).then([was_set([&next_door, &home])]);
    // A third one in the same place is new: no two have one id.
    before()
        .when(set([&a_zone(7, HOME, 400.0), &a_zone(8, NEXT_DOOR, 400.0), &a_zone(9, HOME, 400.0)]))
        .then([was_set([&home, &next_door, &a_zone(9, HOME, 400.0)])]);
}

#[test]
fn each_athlete_has_one_stream() {
    let of = |athlete| PrivacyZones::stream_id(AthleteId(Uuid::from_u128(athlete)));
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}
