//! One file or one part of an export becomes commands, each under an id that follows from the job and what it is about: however
//! often a job is begun again, each is stored once.
use std::time::Duration;

use bytes::Bytes;
use fittrack_domain::{
    aggregate::{Context, Decider},
    athlete::{Athlete, AthleteCommand, UpdateProfile},
    ids::{AthleteId, WorkoutId},
    measurement::{Measurement, MeasurementCommand, RecordMeasurement},
    privacy::{PrivacyZone, PrivacyZones, PrivacyZonesCommand, SetPrivacyZones},
    recording::Format,
    values::{TimeZone, Visibility},
    workout::{LogWorkout, Workout, WorkoutCommand, WorkoutDraft, WorkoutRefusal},
};
use fittrack_runtime::{backoff::Backoff, clock};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::jobs::Status;
use crate::{
    dispatch::{DispatchError, Dispatcher, Precondition, Receipt, Request},
    imports::{ImportError, Imported, Importer, Keyed, Restored, Upload},
    jobs::JobError,
    routes::idempotency::derive,
};

/// How often one command is tried while the store is busy.
const TRIES: u32 = 10;
/// How often a workout can have been taken in and deleted again.
const LIVES: u32 = 32;

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Took {
    /// Stored, there before, or refused.
    pub status: Status,
    /// Why.
    pub reason: Option<String>,
    /// The workouts it is.
    pub workout_ids: Vec<Uuid>,
}

/// A file of activities.
#[derive(Debug, Clone)]
pub struct ActivityFile {
    /// Its place in the zip.
    pub number: i32,
    /// It.
    pub content: Bytes,
    /// Its form.
    pub format: Format,
    /// Who may see its workouts.
    pub visibility: Option<Visibility>,
    /// The shoes or the bike.
    pub gear_id: Option<Uuid>,
}

/// The file of an exported workout.
#[derive(Debug, Clone)]
pub struct Original {
    /// It.
    pub content: Bytes,
    /// Its form.
    pub format: Format,
    /// Which of its activities the workout is.
    pub leg: u32,
}

/// Gives the commands of one job.
pub struct Intake {
    /// Takes in recordings.
    pub importer: Importer,
    /// Stores everything else.
    pub dispatcher: Dispatcher,
    /// The job.
    pub job_id: Uuid,
    /// Whose.
    pub athlete_id: AthleteId,
    /// Ends a wait.
    pub stop: CancellationToken,
}

impl Took {
    /// Not taken in.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self { status: Status::Refused, reason: Some(reason.into()), workout_ids: vec![] }
    }

    fn of(status: Status, workout_ids: Vec<Uuid>) -> Self {
        Self { status, reason: None, workout_ids }
    }

    fn kept(reason: &str) -> Self {
        Self { status: Status::Duplicate, reason: Some(reason.to_owned()), workout_ids: vec![] }
    }
}

impl Intake {
    /// Everything in a file of activities.
    pub async fn file(&self, file: ActivityFile) -> Result<Took, JobError> {
        let context = self.own_context().await?;
        let upload = Upload {
            file: file.content,
            format: file.format,
            context,
            visibility: file.visibility,
            gear_id: file.gear_id,
            keyed: Some(self.keyed(&format!("file\n{}", file.number))),
            traceparent: None,
        };
        self.settle(async || self.importer.import(upload.clone()).await).await
    }

    /// The profile of an export, where this account's was never changed.
    pub async fn profile(&self, update: UpdateProfile) -> Result<Took, JobError> {
        let command = AthleteCommand::UpdateProfile(Box::new(update));
        let context = self.own_context().await?;
        let new = Some(Precondition::Version(1));
        match self.give::<Athlete>(self.athlete_id.0, command, context, "profile", new).await? {
            Ok(receipt) if receipt.changed => Ok(Took::of(Status::Stored, vec![])),
            Ok(_) => Ok(Took::of(Status::Duplicate, vec![])),
            Err(Refused::AnotherVersion) => {
                Ok(Took::kept("this account's profile was changed already and stays as it is"))
            }
            Err(Refused::ByRule(reason)) => Ok(Took::refused(reason)),
        }
    }

    /// The privacy zones of an export, where this account never had any.
    pub async fn privacy_zones(&self, zones: Vec<PrivacyZone>) -> Result<Took, JobError> {
        let command = PrivacyZonesCommand::SetPrivacyZones(SetPrivacyZones { zones });
        let (stream_id, context) = (PrivacyZones::stream_id(self.athlete_id), self.own_context().await?);
        let new = Some(Precondition::Version(0));
        match self.give::<PrivacyZones>(stream_id, command, context, "privacy zones", new).await? {
            Ok(_) => Ok(Took::of(Status::Stored, vec![])),
            Err(Refused::AnotherVersion) => Ok(Took::of(Status::Duplicate, vec![])),
            Err(Refused::ByRule(reason)) => Ok(Took::refused(reason)),
        }
    }

    /// A measurement of an export, where this account has none of that kind and day.
    pub async fn measurement(&self, measured: RecordMeasurement) -> Result<Took, JobError> {
        let stream_id = Measurement::stream_id(self.athlete_id, measured.kind, measured.measured_on);
        let command = MeasurementCommand::RecordMeasurement(measured);
        // The day was today somewhere: the athlete may have moved since.
        let context = self.context(first_zone_of_a_day(), Visibility::default());
        let about = format!("measurement\n{stream_id}");
        let new = Some(Precondition::Version(0));
        match self.give::<Measurement>(stream_id, command, context, &about, new).await? {
            Ok(_) => Ok(Took::of(Status::Stored, vec![])),
            Err(Refused::AnotherVersion) => Ok(Took::of(Status::Duplicate, vec![])),
            Err(Refused::ByRule(reason)) => Ok(Took::refused(reason)),
        }
    }

    /// A workout of an export that was logged by hand. The same one is known again by its old id.
    pub async fn logged(&self, old: WorkoutId, draft: WorkoutDraft, zone: TimeZone) -> Result<Took, JobError> {
        if self.is_there(old.0).await? {
            return Ok(Took::of(Status::Duplicate, vec![old.0]));
        }
        for life in 0..LIVES {
            let id = derive(&format!("restored\n{}\n{old}\n{life}", self.athlete_id));
            let log = LogWorkout { workout_id: WorkoutId(id), draft: draft.clone() };
            let command = WorkoutCommand::LogWorkout(Box::new(log));
            let context = self.context(zone, Visibility::default());
            match self.give::<Workout>(id, command, context, &format!("workout\n{id}"), None).await? {
                Ok(_) => return Ok(Took::of(Status::Stored, vec![id])),
                Err(Refused::ByRule(reason)) => return Ok(Took::refused(reason)),
                Err(Refused::AnotherVersion) if self.is_there(id).await? => {
                    return Ok(Took::of(Status::Duplicate, vec![id]));
                }
                // It was taken in before and deleted: it begins another life.
                Err(Refused::AnotherVersion) => {}
            }
        }
        Ok(Took::refused("it was taken in and deleted too often"))
    }

    /// A workout of an export that has a recording: recognised as any other recording is.
    pub async fn recorded(
        &self,
        old: WorkoutId,
        draft: WorkoutDraft,
        zone: TimeZone,
        original: Original,
    ) -> Result<Took, JobError> {
        let upload = Upload {
            file: original.content,
            format: original.format,
            context: self.context(zone, Visibility::default()),
            visibility: None,
            gear_id: None,
            keyed: Some(self.keyed(&format!("workout\n{old}"))),
            traceparent: None,
        };
        let restored = Restored { upload, leg: original.leg, draft };
        self.settle(async || self.importer.restore(restored.clone()).await.map(|imported| vec![imported])).await
    }

    /// What an import came to, tried again while others are in its way.
    async fn settle(&self, import: impl AsyncFn() -> Result<Vec<Imported>, ImportError>) -> Result<Took, JobError> {
        let mut backoff = backoff();
        for _ in 0..TRIES {
            match import().await {
                Ok(imported) => {
                    let is_new = imported.iter().any(|one| one.is_new);
                    let ids = imported.iter().map(|one| one.receipt.stream_id).collect();
                    return Ok(Took::of(if is_new { Status::Stored } else { Status::Duplicate }, ids));
                }
                Err(error @ (ImportError::File(_) | ImportError::Activity { .. })) => {
                    return Ok(Took::refused(error.to_string()));
                }
                Err(ImportError::Busy | ImportError::Dispatch(_)) => {}
                Err(ImportError::Erased) => return Err(JobError::Lost),
                Err(ImportError::Load(error)) => return Err(error.into()),
                Err(ImportError::Database(error)) => return Err(error.into()),
                Err(error @ (ImportError::KeyReused | ImportError::Internal(_))) => {
                    return Err(JobError::Unfinished(error.to_string()));
                }
            }
            if !backoff.wait(&self.stop).await {
                return Err(JobError::Stopped);
            }
        }
        Err(JobError::Unfinished("the store stayed busy".to_owned()))
    }

    /// One command, tried again while the store is busy; its own earlier copy is not in its way.
    async fn give<A>(
        &self,
        stream_id: Uuid,
        command: A::Command,
        context: Context,
        about: &str,
        precondition: Option<Precondition>,
    ) -> Result<Result<Receipt, Refused>, JobError>
    where
        A: Decider + 'static,
        A::Command: Clone + Send + Sync + 'static,
        A::Event: 'static,
        A::Error: Send + IsTaken + 'static,
    {
        let request = Request::<A> {
            stream_id,
            owner_id: self.athlete_id,
            command,
            context,
            command_id: self.command_id(about),
            fingerprint: None,
            keyed: false,
            precondition,
            traceparent: None,
            correlation_id: Some(self.job_id),
        };
        let mut backoff = backoff();
        for _ in 0..TRIES {
            match self.dispatcher.dispatch(request.clone()).await {
                Ok(receipt) => return Ok(Ok(receipt)),
                Err(DispatchError::VersionMismatch { .. }) => return Ok(Err(Refused::AnotherVersion)),
                Err(DispatchError::Refused(refusal)) if refusal.is_taken() => return Ok(Err(Refused::AnotherVersion)),
                Err(DispatchError::Refused(refusal)) => return Ok(Err(Refused::ByRule(refusal.to_string()))),
                Err(DispatchError::Erased) => return Err(JobError::Lost),
                Err(error @ DispatchError::FingerprintMismatch) => return Err(JobError::Unfinished(error.to_string())),
                Err(
                    DispatchError::Busy
                    | DispatchError::Overloaded
                    | DispatchError::Unknown
                    | DispatchError::Unavailable(_),
                ) => {}
            }
            if !backoff.wait(&self.stop).await {
                return Err(JobError::Stopped);
            }
        }
        Err(JobError::Unfinished("the store stayed busy".to_owned()))
    }

    /// Whether a workout of the athlete's own is there under this id.
    async fn is_there(&self, workout_id: Uuid) -> Result<bool, JobError> {
        let (workout, _) = self.dispatcher.load::<Workout>(workout_id).await?;
        Ok(matches!(workout, Workout::Logged { athlete_id, .. } if athlete_id == self.athlete_id))
    }

    /// The athlete's own zone and defaults.
    async fn own_context(&self) -> Result<Context, JobError> {
        let (athlete, _) = self.dispatcher.load::<Athlete>(self.athlete_id.0).await?;
        // Erased in between.
        let profile = athlete.profile.ok_or(JobError::Lost)?;
        Ok(self.context(profile.time_zone, profile.default_visibility))
    }

    fn context(&self, time_zone: TimeZone, default_visibility: Visibility) -> Context {
        Context { now: clock::now(), actor: self.athlete_id, time_zone, default_visibility }
    }

    fn command_id(&self, about: &str) -> Uuid {
        derive(&format!("zip\n{}\n{about}", self.job_id))
    }

    fn keyed(&self, about: &str) -> Keyed {
        Keyed { command_id: self.command_id(about), fingerprint: about.to_owned(), is_kept: false }
    }
}

fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(50), Duration::from_secs(5))
}

/// Why a command was not stored and never will be.
enum Refused {
    /// Something is there.
    AnotherVersion,
    /// The rules say no.
    ByRule(String),
}

/// Whether a refusal says that the stream exists.
trait IsTaken {
    fn is_taken(&self) -> bool {
        false
    }
}

impl IsTaken for fittrack_domain::athlete::AthleteRefusal {}
impl IsTaken for fittrack_domain::measurement::MeasurementRefusal {}
impl IsTaken for fittrack_domain::privacy::PrivacyZonesRefusal {}
impl IsTaken for WorkoutRefusal {
    fn is_taken(&self) -> bool {
        matches!(self, Self::AlreadyExists)
    }
}

/// Where every day begins first.
fn first_zone_of_a_day() -> TimeZone {
    TimeZone::parse("Pacific/Kiritimati").unwrap_or_default()
}
