//! The workout's rules.
use chrono::{DateTime, TimeDelta, Utc};

use super::{
    EditWorkout, ImportWorkout, LogWorkout, StrengthSet, Workout, WorkoutCommand, WorkoutDeleted, WorkoutDetails,
    WorkoutDraft, WorkoutEdited, WorkoutEvent, WorkoutImported, WorkoutLogged, WorkoutRefusal,
};
use crate::{
    aggregate::{Context, Decider},
    ids::WorkoutId,
    patch::Patch,
};

/// How far a client's clock may run ahead.
const MAX_AHEAD: TimeDelta = TimeDelta::minutes(5);
/// How many sets one workout may have.
const MAX_SETS: usize = 500;

impl Workout {
    /// What it says, if it is there and the actor's own.
    fn owned(&self, context: &Context) -> Result<&WorkoutDetails, WorkoutRefusal> {
        match self {
            Self::Logged { athlete_id, details } if *athlete_id == context.actor => Ok(details),
            Self::Deleted { athlete_id } if *athlete_id == context.actor => Err(WorkoutRefusal::Deleted),
            _ => Err(WorkoutRefusal::NotFound),
        }
    }
}

impl Decider for Workout {
    fn decide(&self, command: &WorkoutCommand, context: &Context) -> Result<Vec<WorkoutEvent>, WorkoutRefusal> {
        match command {
            WorkoutCommand::LogWorkout(command) => log(self, command, context),
            WorkoutCommand::ImportWorkout(command) => import(self, command, context),
            WorkoutCommand::EditWorkout(command) => edit(self, command, context),
            WorkoutCommand::DeleteWorkout(command) => delete(self, command, context),
        }
    }

    fn begins_stream(command: &WorkoutCommand) -> bool {
        matches!(command, WorkoutCommand::LogWorkout(_) | WorkoutCommand::ImportWorkout(_))
    }
}

fn log(workout: &Workout, command: &LogWorkout, context: &Context) -> Result<Vec<WorkoutEvent>, WorkoutRefusal> {
    if *workout != Workout::Unknown {
        return Err(WorkoutRefusal::AlreadyExists);
    }
    let details = complete(&command.draft, context);
    check(&details, context.now)?;
    Ok(vec![WorkoutEvent::WorkoutLogged(WorkoutLogged {
        workout_id: command.workout_id,
        athlete_id: context.actor,
        details,
    })])
}

fn import(workout: &Workout, command: &ImportWorkout, context: &Context) -> Result<Vec<WorkoutEvent>, WorkoutRefusal> {
    if *workout != Workout::Unknown {
        return Err(WorkoutRefusal::AlreadyExists);
    }
    let details = complete(&command.draft, context);
    check(&details, context.now)?;
    Ok(vec![WorkoutEvent::WorkoutImported(WorkoutImported {
        workout_id: command.workout_id,
        athlete_id: context.actor,
        details,
        recording: command.recording.clone(),
    })])
}

fn edit(workout: &Workout, command: &EditWorkout, context: &Context) -> Result<Vec<WorkoutEvent>, WorkoutRefusal> {
    let before = workout.owned(context)?;
    let after = patched(before, command)?;
    check(&after, context.now)?;
    if after == *before {
        return Ok(vec![]);
    }
    Ok(vec![WorkoutEvent::WorkoutEdited(WorkoutEdited {
        workout_id: command.workout_id,
        athlete_id: context.actor,
        before: before.facts(),
        after,
    })])
}

fn delete(workout: &Workout, workout_id: &WorkoutId, context: &Context) -> Result<Vec<WorkoutEvent>, WorkoutRefusal> {
    let before = workout.owned(context)?.facts();
    Ok(vec![WorkoutEvent::WorkoutDeleted(WorkoutDeleted {
        workout_id: *workout_id,
        athlete_id: context.actor,
        deleted_by: context.actor,
        before,
    })])
}

/// The draft with zone, local day and default visibility filled in.
fn complete(draft: &WorkoutDraft, context: &Context) -> WorkoutDetails {
    WorkoutDetails {
        sport: draft.sport,
        started_at: draft.started_at,
        time_zone: context.time_zone,
        local_date: context.time_zone.local_date(draft.started_at),
        duration_s: draft.duration_s,
        moving_s: draft.moving_s,
        distance_m: draft.distance_m,
        elevation_gain_m: draft.elevation_gain_m,
        energy_kcal: draft.energy_kcal,
        average_heart_rate_bpm: draft.average_heart_rate_bpm,
        max_heart_rate_bpm: draft.max_heart_rate_bpm,
        average_power_w: draft.average_power_w,
        perceived_exertion: draft.perceived_exertion,
        title: draft.title.clone(),
        notes: draft.notes.clone(),
        visibility: draft.visibility.unwrap_or(context.default_visibility),
        gear_id: draft.gear_id,
        sets: draft.sets.clone(),
    }
}

/// The workout after a merge patch. The zone stays the one it was counted in.
fn patched(before: &WorkoutDetails, patch: &EditWorkout) -> Result<WorkoutDetails, WorkoutRefusal> {
    let started_at = required(&patch.started_at, &before.started_at, "started_at")?;
    Ok(WorkoutDetails {
        sport: required(&patch.sport, &before.sport, "sport")?,
        started_at,
        time_zone: before.time_zone,
        local_date: before.time_zone.local_date(started_at),
        duration_s: required(&patch.duration_s, &before.duration_s, "duration_s")?,
        moving_s: patch.moving_s.on(before.moving_s.as_ref()),
        distance_m: patch.distance_m.on(before.distance_m.as_ref()),
        elevation_gain_m: patch.elevation_gain_m.on(before.elevation_gain_m.as_ref()),
        energy_kcal: patch.energy_kcal.on(before.energy_kcal.as_ref()),
        average_heart_rate_bpm: patch.average_heart_rate_bpm.on(before.average_heart_rate_bpm.as_ref()),
        max_heart_rate_bpm: patch.max_heart_rate_bpm.on(before.max_heart_rate_bpm.as_ref()),
        average_power_w: before.average_power_w,
        perceived_exertion: patch.perceived_exertion.on(before.perceived_exertion.as_ref()),
        title: patch.title.on(before.title.as_ref()),
        notes: patch.notes.on(before.notes.as_ref()),
        visibility: required(&patch.visibility, &before.visibility, "visibility")?,
        gear_id: patch.gear_id.on(before.gear_id.as_ref()),
        sets: patch.sets.on(Some(&before.sets)).unwrap_or_default(),
    })
}

fn required<T: Clone>(patch: &Patch<T>, current: &T, field: &'static str) -> Result<T, WorkoutRefusal> {
    match patch {
        Patch::Keep => Ok(current.clone()),
        Patch::Set(value) => Ok(value.clone()),
        Patch::Clear => Err(WorkoutRefusal::Invalid { field, must: "must not be null" }),
    }
}

/// The rules that look at more than one value.
fn check(details: &WorkoutDetails, now: DateTime<Utc>) -> Result<(), WorkoutRefusal> {
    let invalid = |field, must| Err(WorkoutRefusal::Invalid { field, must });
    if details.started_at > now + MAX_AHEAD {
        return invalid("started_at", "must not be more than five minutes in the future");
    }
    if details.started_at < DateTime::UNIX_EPOCH {
        return invalid("started_at", "must not be before 1970");
    }
    if details.moving_s.is_some_and(|moving| moving > details.duration_s) {
        return invalid("moving_s", "must not be longer than duration_s");
    }
    if let (Some(average), Some(max)) = (details.average_heart_rate_bpm, details.max_heart_rate_bpm)
        && average > max
    {
        return invalid("average_heart_rate_bpm", "must not be above max_heart_rate_bpm");
    }
    if details.sets.len() > MAX_SETS {
        return invalid("sets", "must be at most 500");
    }
    if !details.sets.iter().all(StrengthSet::is_within_bounds) {
        return invalid(
            "sets",
            "must each have 1 to 10000 repetitions, 0 to 2000 kg and 0 to 20 repetitions in reserve",
        );
    }
    Ok(())
}
