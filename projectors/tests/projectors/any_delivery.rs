//! The property of `src/projections/any_split.rs` once more, over Postgres and the real runner, with few cases.
use fittrack_domain::{measurement::MeasurementKind, sport::Sport, values::Visibility};
use fittrack_schemas::envelope::StoredEvent;
use projectors::{
    projection::Projection,
    projections::{
        leaderboards::Leaderboards, measurements::Measurements, privacy_zones::PrivacyZones, profiles::Profiles,
        totals::Totals, workouts::Workouts,
    },
    registry::Road,
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::{
    given::{History, athlete, metres, run, workout, zone},
    scripted::scripted,
    support::{self, Databases},
};

/// What four athletes did: logged, edited, hid, deleted.
fn history(choices: &[u8]) -> History {
    let mut history = History::default();
    for n in 0..4 {
        history.register(athlete(n), "Somebody");
    }
    for (n, choice) in (0_u128..).zip(choices) {
        let which = workout(u128::from(*choice) % (n + 1));
        match choice % 8 {
            0 => history.rename(athlete(n % 4), &format!("Name {n}")),
            1 => history.edit(which, |details| details.distance_m = Some(metres(u32::from(*choice) * 10))),
            2 => history.edit(which, |details| details.visibility = Visibility::Private),
            3 => history.delete(which),
            4 => history.import(athlete(n % 4), workout(n), run(|details| details.sport = Sport::Ride)),
            5 => {
                let measured_on = format!("2026-10-{:02}", 1 + choice % 3).parse().unwrap();
                history.measure(athlete(n % 4), MeasurementKind::MassKg, measured_on, f64::from(50 + choice / 4))
            }
            6 => history.set_zones(athlete(n % 4), vec![zone(u32::from(*choice))]),
            _ => history.log(athlete(n % 4), workout(n), run(|_| {})),
        };
    }
    history
}

async fn deliver<P: Projection>(databases: &Databases, history: &History, deliveries: &[Vec<&StoredEvent>]) {
    let (script, source) = scripted();
    let running = support::run::<P>(databases.parts(), source);
    for delivery in deliveries {
        script.deliver(delivery.iter().copied());
    }
    script.deliver(&history.events);
    databases.eventually_at(&format!("{}.v{}", P::NAME, P::VERSION), history.heads()).await;
    assert!(running.stop().await.is_ok());
}

#[test]
fn any_delivery_leaves_the_rows_of_one_undisturbed_reading() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut cases = TestRunner::new(Config { cases: 3, failure_persistence: None, ..Config::default() });
    let deliveries = prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..30), 0..6);
    let strategy = (prop::collection::vec(any::<u8>(), 10..80), deliveries);
    let outcome = cases.run(&strategy, |(choices, deliveries)| {
        let history = history(&choices);
        let deliveries: Vec<Vec<&StoredEvent>> = deliveries
            .iter()
            .map(|delivery| delivery.iter().map(|index| index.get(&history.events)).collect())
            .collect();
        let (undisturbed, disturbed) = runtime.block_on(async {
            let (calm, wild) = (Databases::new().await, Databases::new().await);
            calm.append(&history.events).await;
            wild.append(&history.events).await;
            let running = support::run_all(&calm.parts(), &Road::Store);
            calm.eventually_all_at(history.heads()).await;
            running.stop().await;
            deliver::<Workouts>(&wild, &history, &deliveries).await;
            deliver::<Measurements>(&wild, &history, &deliveries).await;
            deliver::<PrivacyZones>(&wild, &history, &deliveries).await;
            deliver::<Profiles>(&wild, &history, &deliveries).await;
            deliver::<Totals>(&wild, &history, &deliveries).await;
            deliver::<Leaderboards>(&wild, &history, &deliveries).await;
            (calm.all_rows().await, wild.all_rows().await)
        });
        prop_assert_eq!(undisturbed, disturbed);
        Ok(())
    });
    outcome.unwrap();
}
