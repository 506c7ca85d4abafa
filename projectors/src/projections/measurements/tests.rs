use super::*;
use crate::{
    projections::given::{History, athlete, instant},
    runner::batch::fold,
};

#[test]
fn the_last_value_of_a_kind_and_day_stays() {
    let mut history = History::default();
    for (day, thousandths) in [("2026-10-30", 72_000), ("2026-10-31", 71_500), ("2026-10-31", 71_000)] {
        history.measure(athlete(1), MeasurementKind::MassKg, day.parse().unwrap(), f64::from(thousandths) / 1_000.0);
    }
    history.measure(athlete(1), MeasurementKind::MaxHeartRateBpm, "2026-10-31".parse().unwrap(), 190.0);
    let changes = fold::<Measurements>(&history.events).unwrap();
    let row = |kind, day: &str| {
        let key = Key { athlete_id: athlete(1), measured_on: day.parse().unwrap(), kind };
        changes.get(&key).map(|row| (row.version, row.value.thousandths(), row.recorded_at))
    };
    assert_eq!(changes.len(), 3);
    assert_eq!(row(MeasurementKind::MassKg, "2026-10-30"), Some((1, 72_000, instant(0))));
    assert_eq!(row(MeasurementKind::MassKg, "2026-10-31"), Some((2, 71_000, instant(2))));
    assert_eq!(row(MeasurementKind::MaxHeartRateBpm, "2026-10-31"), Some((1, 190_000, instant(3))));
}
