//! What a recording says, as a workout's draft. A device's odd number (a heart rate of 0, an average above the maximum) is
//! left out; what makes the workout itself impossible (its duration or distance) refuses it.
use fittrack_domain::{
    recording::Activity,
    values::{Distance, Duration, Energy, HeartRate, Power},
    workout::WorkoutDraft,
};

/// The draft of an activity, or why there can be none.
pub fn of(activity: &Activity) -> Result<WorkoutDraft, String> {
    let duration_s = Duration::from_seconds(activity.duration_s).map_err(|reason| format!("its duration {reason}"))?;
    let distance_m = activity
        .distance_m
        .map(Distance::from_metres)
        .transpose()
        .map_err(|reason| format!("its distance {reason}"))?;
    let average_heart_rate_bpm = plausible(activity.average_heart_rate_bpm, HeartRate::from_bpm);
    let max_heart_rate_bpm = plausible(activity.max_heart_rate_bpm, HeartRate::from_bpm)
        .filter(|max| average_heart_rate_bpm.is_none_or(|average| average <= *max));
    Ok(WorkoutDraft {
        sport: activity.sport,
        started_at: activity.started_at,
        duration_s,
        moving_s: plausible(Some(activity.moving_s), Duration::from_seconds).map(|moving| moving.min(duration_s)),
        distance_m,
        elevation_gain_m: plausible(activity.elevation_gain_m, Distance::climb_from_metres),
        energy_kcal: plausible(activity.energy_kcal, Energy::from_kcal),
        average_heart_rate_bpm,
        max_heart_rate_bpm,
        average_power_w: plausible(activity.average_power_w, Power::from_watts),
        perceived_exertion: None,
        title: None,
        notes: None,
        visibility: None,
        gear_id: None,
        sets: vec![],
    })
}

/// The value, unless it is one that cannot be.
fn plausible<T, E>(value: Option<f64>, parse: impl Fn(f64) -> Result<T, E>) -> Option<T> {
    value.and_then(|value| parse(value).ok())
}

#[cfg(test)]
mod tests {
    use fittrack_domain::{recording::synthesize, sport::Sport};

    use super::*;

    fn ride() -> Activity {
        synthesize(1, Sport::Ride, "2026-10-01T06:00:00Z".parse().unwrap(), 600.0)
    }

    #[test]
    fn a_draft_says_what_the_activity_says() {
        let activity = ride();
        let draft = of(&activity).unwrap();
        assert_eq!(draft.sport, Sport::Ride);
        assert_eq!(draft.duration_s.milliseconds(), 600_000);
        assert!(draft.distance_m.is_some() && draft.average_power_w.is_some() && draft.max_heart_rate_bpm.is_some());
    }

    #[test]
    fn a_device_s_odd_numbers_are_left_out() {
        let odd = Activity {
            average_heart_rate_bpm: Some(150.0),
            max_heart_rate_bpm: Some(149.0),
            energy_kcal: Some(-3.0),
            moving_s: 0.0,
            ..ride()
        };
        let draft = of(&odd).unwrap();
        assert_eq!(draft.average_heart_rate_bpm.map(HeartRate::bpm), Some(150));
        assert_eq!((draft.max_heart_rate_bpm, draft.energy_kcal, draft.moving_s), (None, None, None));
        let dead = Activity { average_heart_rate_bpm: Some(0.0), ..ride() };
        assert_eq!(of(&dead).unwrap().average_heart_rate_bpm, None);
    }

    #[test]
    fn an_impossible_distance_refuses_the_activity() {
        let far = Activity { distance_m: Some(1e9), ..ride() };
        assert!(of(&far).unwrap_err().starts_with("its distance must be from 0"));
    }
}
