//! Takes in a recording: parse, recognise what is there already, store the blobs, then the workout's event that names them.
//!
//! Nothing of it needs undoing. A claim says which workout an activity belongs to before its event exists, so a crash at
//! any point leaves something the same upload completes: the claim is found, the blobs are content-addressed, the command
//! id follows from the workout's id (or the client's key).
pub mod claims;
pub mod draft;
pub mod overlap;
pub mod prepare;
pub mod turns;
pub mod zip;

use std::sync::Arc;

use fittrack_domain::{
    aggregate::{Context, Decider},
    ids::WorkoutId,
    recording::{FileRefusal, Format},
    values::Visibility,
    workout::{ImportWorkout, RecordingRef, Workout, WorkoutCommand, WorkoutDraft, WorkoutRefusal},
};
use metrics::counter;
use sqlx::PgPool;
use tokio::{sync::Semaphore, task};
use uuid::Uuid;

use crate::{
    blobs::{self, BlobKind},
    dispatch::{DispatchError, Dispatcher, Earlier, Receipt, Request},
    routes::idempotency::{command_about, derive},
    store::{LoadError, answers::Answer, append::Place},
};
use claims::{Claim, ClaimError, Existing};
use prepare::{Leg, Prepared};

/// An uploaded file and all that is said about it.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The file.
    pub file: bytes::Bytes,
    /// Its form.
    pub format: Format,
    /// Who uploads, and their defaults.
    pub context: Context,
    /// Who may see the workouts.
    pub visibility: Option<Visibility>,
    /// The shoes or the bike.
    pub gear_id: Option<Uuid>,
    /// The command id of the client's key and the request's fingerprint, where it gave a key.
    pub keyed: Option<Keyed>,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

/// A client's name for its upload.
#[derive(Debug, Clone)]
pub struct Keyed {
    /// The command id of the key.
    pub command_id: Uuid,
    /// Identifies the request.
    pub fingerprint: String,
    /// Whether answers are kept that store nothing; a job writes down for itself what became of its files.
    pub is_kept: bool,
}

/// One activity of a file that was taken in before, here or elsewhere, and what its owner has made of it since.
#[derive(Debug, Clone)]
pub struct Restored {
    /// The file.
    pub upload: Upload,
    /// Which of its activities.
    pub leg: u32,
    /// What the workout says now.
    pub draft: WorkoutDraft,
}

/// What became of one activity of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Stored by this upload (or its first copy), else a duplicate of what was there.
    pub is_new: bool,
    /// Where the workout is.
    pub receipt: Receipt,
}

/// Why an upload was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file is refused.
    #[error(transparent)]
    File(#[from] FileRefusal),
    /// One of its activities is refused.
    #[error("activity {leg}: {reason}")]
    Activity {
        /// Which, from 0.
        leg: u32,
        /// Why.
        reason: String,
    },
    /// The same activity is being imported from another file.
    #[error("the same activity is being imported from another file")]
    Busy,
    /// The athlete's account was erased.
    #[error("the account was erased")]
    Erased,
    /// The idempotency key belongs to another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// An event was not stored.
    #[error(transparent)]
    Dispatch(#[from] DispatchError<WorkoutRefusal>),
    /// The event store could not be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A database failed.
    #[error("a database failed")]
    Database(#[from] sqlx::Error),
    /// Our fault.
    #[error("{0}")]
    Internal(String),
}

/// Imports recordings. Cheap to clone.
#[derive(Clone)]
pub struct Importer {
    event_store: PgPool,
    recordings: PgPool,
    dispatcher: Dispatcher,
    parsing: Arc<Semaphore>,
}

impl Importer {
    /// Over the event store (claims), the recordings (blobs) and the dispatcher; parses as many files at once as there are cores.
    pub fn new(event_store: PgPool, recordings: PgPool, dispatcher: Dispatcher) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { event_store, recordings, dispatcher, parsing: Arc::new(Semaphore::new(cores)) }
    }

    /// Takes in a file: one result for each of its activities, in the file's order.
    pub async fn import(&self, upload: Upload) -> Result<Vec<Imported>, ImportError> {
        let is_retry = self.is_retry(&upload, 0).await?;
        let prepared = self.prepare(&upload).await?;
        if is_retry && let Some(answered) = self.answered(&upload, &prepared).await? {
            return Ok(answered);
        }
        refuse_impossible(&upload, &prepared)?;
        let candidates: Vec<_> = prepared.legs.iter().map(|leg| leg.candidate(prepared.original_sha256)).collect();
        let claims = claims::claim(&self.event_store, upload.context.actor, &candidates).await?;
        self.store(&upload, &prepared, claims, is_retry).await
    }

    /// Takes in one activity of a file under what its owner has made of it. It is recognised by what was recorded, as ever.
    pub async fn restore(&self, restored: Restored) -> Result<Imported, ImportError> {
        let Restored { upload, leg: number, draft } = restored;
        let is_retry = self.is_retry(&upload, number).await?;
        let mut prepared = self.prepare(&upload).await?;
        prepared.legs.retain(|leg| leg.number == number);
        let missing = || ImportError::Activity { leg: number, reason: "the file has no such activity".to_owned() };
        let candidate = prepared.legs.first().ok_or_else(missing)?.candidate(prepared.original_sha256);
        for leg in &mut prepared.legs {
            leg.draft = draft.clone();
        }
        refuse_impossible(&upload, &prepared)?;
        let claims = claims::claim(&self.event_store, upload.context.actor, &[candidate]).await?;
        let imported = self.store(&upload, &prepared, claims, is_retry).await?;
        imported.into_iter().next().ok_or_else(missing)
    }

    /// Stores the files, then does what each claim says.
    async fn store(
        &self,
        upload: &Upload,
        prepared: &Prepared,
        claims: Vec<Claim>,
        is_retry: bool,
    ) -> Result<Vec<Imported>, ImportError> {
        self.store_blobs(upload, prepared, &claims).await?;
        let mut imported = Vec::with_capacity(claims.len());
        for (leg, claim) in prepared.legs.iter().zip(claims) {
            let outcome = self.follow(upload, prepared, leg, claim, is_retry).await;
            if matches!(outcome, Err(ImportError::Dispatch(DispatchError::Erased))) {
                self.remove_blobs(upload, prepared).await;
            }
            imported.push(outcome?);
        }
        Ok(imported)
    }

    /// The account was erased while this was under way, and the eraser may have passed before the files were here.
    async fn remove_blobs(&self, upload: &Upload, prepared: &Prepared) {
        let hashes = prepared.legs.iter().map(|leg| leg.recording_sha256).chain([prepared.original_sha256]);
        let hashes: Vec<Vec<u8>> = hashes.map(|hash| hash.to_vec()).collect();
        let removed = blobs::remove_of_erased(&self.event_store, &self.recordings, upload.context.actor, &hashes).await;
        if let Err(error) = removed {
            tracing::warn!(%error, "files of an erased account could not be removed; the sweeper will");
        }
    }

    /// Does what the claim says.
    async fn follow(
        &self,
        upload: &Upload,
        prepared: &Prepared,
        leg: &Leg,
        claim: Claim,
        is_retry: bool,
    ) -> Result<Imported, ImportError> {
        let outcome = match claim {
            Claim::Proceed(workout_id) => self.store_workout(upload, prepared, leg, workout_id).await?,
            Claim::Duplicate(existing) if is_retry => self.of_this_key(upload, leg, existing).await?,
            Claim::Duplicate(existing) => duplicate(&existing),
            // The file holds the same activity twice; its first copy has just been stored.
            Claim::Repeats(workout_id) => duplicate(&self.existing(workout_id).await?),
        };
        if !outcome.is_new && !outcome.receipt.replayed {
            self.keep(upload, leg, &outcome.receipt).await?;
        }
        let outcome_name = if outcome.is_new { "stored" } else { "duplicate" };
        counter!("fittrack_imported_activities_total", "outcome" => outcome_name).increment(1);
        Ok(outcome)
    }

    /// What the client's key was answered before, for each activity; `None` where it was not for all.
    async fn answered(&self, upload: &Upload, prepared: &Prepared) -> Result<Option<Vec<Imported>>, ImportError> {
        let Some(keyed) = &upload.keyed else { return Ok(None) };
        let mut answered = Vec::with_capacity(prepared.legs.len());
        for leg in &prepared.legs {
            let Some(earlier) = self.dispatcher.find_command(command_of_leg(keyed, leg.number)).await? else {
                return Ok(None);
            };
            answered.push(again(&earlier)?);
        }
        Ok(Some(answered))
    }

    /// Keeps that an activity was there, so that the client's key is answered the same once more.
    async fn keep(&self, upload: &Upload, leg: &Leg, receipt: &Receipt) -> Result<(), ImportError> {
        let Some(keyed) = upload.keyed.as_ref().filter(|keyed| keyed.is_kept) else { return Ok(()) };
        let answer = Answer {
            command_id: command_of_leg(keyed, leg.number),
            owner_id: upload.context.actor.0,
            aggregate_id: receipt.stream_id,
            place: Place { version: receipt.version, partition: receipt.partition, position: receipt.position },
            fingerprint: Some(keyed.fingerprint.clone()),
        };
        self.dispatcher.store().keep_answer(answer).await?;
        Ok(())
    }

    /// Forgets that an activity was imported, so that it can be imported again: its workout was deleted.
    pub async fn forget(&self, context: &Context, workout_id: WorkoutId) -> Result<(), sqlx::Error> {
        claims::remove(&self.event_store, context.actor, workout_id).await
    }

    /// Whether the client's key has been answered already; refuses a key that was answered something else.
    async fn is_retry(&self, upload: &Upload, first_leg: u32) -> Result<bool, ImportError> {
        let Some(keyed) = &upload.keyed else { return Ok(false) };
        match self.dispatcher.find_command(command_of_leg(keyed, first_leg)).await? {
            None => Ok(false),
            Some(earlier) if earlier.metadata.fingerprint.as_ref() == Some(&keyed.fingerprint) => Ok(true),
            Some(_) => Err(ImportError::KeyReused),
        }
    }

    async fn prepare(&self, upload: &Upload) -> Result<Prepared, ImportError> {
        let turn = Arc::clone(&self.parsing).acquire_owned().await.map_err(|error| internal(&error))?;
        let (file, format) = (upload.file.clone(), upload.format);
        let (visibility, gear_id) = (upload.visibility, upload.gear_id);
        let work = task::spawn_blocking(move || {
            let prepared = prepare::prepare(&file, format, visibility, gear_id);
            drop(turn);
            prepared
        });
        work.await.map_err(|error| internal(&error))?
    }

    /// The file and the samples of what will be stored, before any event names them.
    async fn store_blobs(&self, upload: &Upload, prepared: &Prepared, claims: &[Claim]) -> Result<(), ImportError> {
        let mut original_is_stored = false;
        for (leg, claim) in prepared.legs.iter().zip(claims) {
            if !matches!(claim, Claim::Proceed(_)) {
                continue;
            }
            if !original_is_stored {
                blobs::store(&self.recordings, BlobKind::Original, prepared.original_sha256, &upload.file).await?;
                original_is_stored = true;
            }
            blobs::store(&self.recordings, BlobKind::Recording, leg.recording_sha256, &leg.recording).await?;
        }
        Ok(())
    }

    async fn store_workout(
        &self,
        upload: &Upload,
        prepared: &Prepared,
        leg: &Leg,
        workout_id: WorkoutId,
    ) -> Result<Imported, ImportError> {
        let context = upload.context.clone();
        let command_id = match &upload.keyed {
            Some(keyed) => command_of_leg(keyed, leg.number),
            None => command_about(context.actor, "import", workout_id.0),
        };
        let request = Request::<Workout> {
            stream_id: workout_id.0,
            owner_id: context.actor,
            command: command(upload, prepared, leg, workout_id),
            context,
            command_id,
            fingerprint: upload.keyed.as_ref().map(|keyed| keyed.fingerprint.clone()),
            keyed: false,
            precondition: None,
            traceparent: upload.traceparent.clone(),
            correlation_id: prepared.session_id(upload.context.actor),
        };
        match self.dispatcher.dispatch(request).await {
            Ok(receipt) => {
                Ok(Imported { is_new: receipt.changed && (upload.keyed.is_some() || !receipt.replayed), receipt })
            }
            // Another upload of the same activity was faster.
            Err(DispatchError::Refused(WorkoutRefusal::AlreadyExists)) => {
                Ok(duplicate(&self.existing(workout_id).await?))
            }
            Err(DispatchError::Refused(refusal)) => {
                Err(ImportError::Activity { leg: leg.number, reason: refusal.to_string() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A duplicate, unless it was this very key that stored it: then the same answer as the first time.
    async fn of_this_key(&self, upload: &Upload, leg: &Leg, existing: Existing) -> Result<Imported, ImportError> {
        let Some(keyed) = &upload.keyed else { return Ok(duplicate(&existing)) };
        let earlier = self.dispatcher.find_command(command_of_leg(keyed, leg.number)).await?;
        Ok(match earlier {
            Some(earlier) if earlier.aggregate_id == existing.workout_id.to_string() => again(&earlier)?,
            _ => duplicate(&existing),
        })
    }

    async fn existing(&self, workout_id: WorkoutId) -> Result<Existing, ImportError> {
        let mut connection = self.event_store.acquire().await?;
        match claims::stream_of(&mut connection, workout_id).await? {
            claims::Stream::Logged(existing) => Ok(existing),
            claims::Stream::Unknown | claims::Stream::Gone => Err(ImportError::Busy),
        }
    }
}

impl From<ClaimError> for ImportError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Busy => Self::Busy,
            ClaimError::Erased => Self::Erased,
            ClaimError::Database(error) => Self::Database(error),
        }
    }
}

fn internal(error: &dyn std::error::Error) -> ImportError {
    ImportError::Internal(format!("an import ended abnormally: {error}"))
}

/// What the rules would refuse is refused before anything is stored, so that a file is taken in whole or not at all.
fn refuse_impossible(upload: &Upload, prepared: &Prepared) -> Result<(), ImportError> {
    for leg in &prepared.legs {
        let command = command(upload, prepared, leg, WorkoutId(Uuid::nil()));
        Workout::default()
            .decide(&command, &upload.context)
            .map_err(|refusal| ImportError::Activity { leg: leg.number, reason: refusal.to_string() })?;
    }
    Ok(())
}

fn command(upload: &Upload, prepared: &Prepared, leg: &Leg, workout_id: WorkoutId) -> WorkoutCommand {
    WorkoutCommand::ImportWorkout(Box::new(ImportWorkout {
        workout_id,
        draft: leg.draft.clone(),
        recording: RecordingRef {
            format: upload.format,
            original_sha256: hex::encode(prepared.original_sha256),
            recording_sha256: hex::encode(leg.recording_sha256),
            samples: leg.samples,
            leg: leg.number,
            session_id: prepared.session_id(upload.context.actor),
            device: leg.device.clone(),
        },
    }))
}

fn command_of_leg(keyed: &Keyed, leg: u32) -> Uuid {
    derive(&format!("leg\n{}\n{leg}", keyed.command_id))
}

fn again(earlier: &Earlier) -> Result<Imported, ImportError> {
    let stream_id = Uuid::parse_str(&earlier.aggregate_id).map_err(|error| internal(&error))?;
    let Place { version, partition, position } = earlier.place;
    let changed = earlier.changed();
    let receipt = Receipt { stream_id, version, partition, position, replayed: true, changed };
    Ok(Imported { is_new: changed, receipt })
}

fn duplicate(existing: &Existing) -> Imported {
    Imported {
        is_new: false,
        receipt: Receipt {
            stream_id: existing.workout_id.0,
            version: existing.version,
            partition: existing.partition,
            position: existing.position,
            replayed: false,
            changed: false,
        },
    }
}
