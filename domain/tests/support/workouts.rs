//! Commands to one workout and the events they lead to, as the tests of its rules write them.
use fittrack_domain::{
    sport::Sport,
    values::Visibility,
    workout::{
        EditWorkout, ImportWorkout, LogWorkout, WorkoutCommand, WorkoutDeleted, WorkoutDetails, WorkoutDraft,
        WorkoutEdited, WorkoutEvent, WorkoutImported, WorkoutLogged,
    },
};

use super::{a_recording, at, me, metres, seconds, workout_id, zone};

pub fn log(draft: WorkoutDraft) -> WorkoutCommand {
    WorkoutCommand::LogWorkout(Box::new(LogWorkout { workout_id: workout_id(), draft }))
}

pub fn import(draft: WorkoutDraft) -> WorkoutCommand {
    WorkoutCommand::ImportWorkout(Box::new(ImportWorkout { workout_id: workout_id(), draft, recording: a_recording() }))
}

pub fn edit(change: EditWorkout) -> WorkoutCommand {
    WorkoutCommand::EditWorkout(Box::new(EditWorkout { workout_id: workout_id(), ..change }))
}

pub fn delete() -> WorkoutCommand {
    WorkoutCommand::DeleteWorkout(workout_id())
}

/// What [`a_run`] says once the rules have filled in zone and day.
pub fn run_details() -> WorkoutDetails {
    WorkoutDetails {
        sport: Sport::Run,
        started_at: at("2026-10-31T07:00:00Z"),
        time_zone: zone("UTC"),
        local_date: "2026-10-31".parse().unwrap(),
        duration_s: seconds(3600.0),
        moving_s: None,
        distance_m: Some(metres(10_000.0)),
        elevation_gain_m: None,
        energy_kcal: None,
        average_heart_rate_bpm: None,
        max_heart_rate_bpm: None,
        average_power_w: None,
        perceived_exertion: None,
        title: None,
        notes: None,
        visibility: Visibility::Public,
        gear_id: None,
        sets: Vec::new(),
    }
}

pub fn logged(details: WorkoutDetails) -> WorkoutEvent {
    WorkoutEvent::WorkoutLogged(WorkoutLogged { workout_id: workout_id(), athlete_id: me(), details })
}

pub fn imported() -> WorkoutEvent {
    WorkoutEvent::WorkoutImported(WorkoutImported {
        workout_id: workout_id(),
        athlete_id: me(),
        details: run_details(),
        recording: a_recording(),
    })
}

pub fn edited(before: &WorkoutDetails, after: WorkoutDetails) -> WorkoutEvent {
    WorkoutEvent::WorkoutEdited(WorkoutEdited {
        workout_id: workout_id(),
        athlete_id: me(),
        before: before.facts(),
        after,
    })
}

pub fn deleted(before: &WorkoutDetails) -> WorkoutEvent {
    WorkoutEvent::WorkoutDeleted(WorkoutDeleted {
        workout_id: workout_id(),
        athlete_id: me(),
        deleted_by: me(),
        before: before.facts(),
    })
}
