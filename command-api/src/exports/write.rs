//! Writes an athlete's zip: `export.json` workout by workout, then file by file what was uploaded and its samples. Holds one
//! workout and one file at a time.
use std::{cell::Cell, collections::BTreeMap, io::Write, rc::Rc, sync::atomic::Ordering, time::Instant};

use fittrack_domain::{
    athlete::Athlete,
    ids::{AthleteId, WorkoutId},
    privacy::PrivacyZones,
    recording::{self, Field, Recording},
};
use fittrack_schemas::export::{
    DOCUMENT, DOCUMENT_SCHEMA, ExportedAthlete, ExportedRecording, ExportedRecordingRef, ExportedWorkout,
    FORMAT_VERSION, RECORDING_SCHEMA,
};
use serde::Serialize;
use sqlx::PgPool;
use zip::{
    CompressionMethod, ZipWriter,
    write::{SimpleFileOptions, StreamWriter},
};

use super::{
    history::{self, Log, Streams},
    jobs::{self, Taken},
};
use crate::{
    blobs,
    identity::accounts,
    jobs::{
        BEAT, JobError, MAX_ENTRIES, MAX_ZIP_BYTES, Thread,
        pieces::{PieceWriter, Sink, Written},
    },
    store::EventStore,
};

const README: &str = include_str!("readme.txt");
/// Entries that are no recordings.
const OTHER_ENTRIES: usize = 2;

/// A job being done, on its thread.
pub struct Run {
    /// The job.
    pub job: Taken,
    /// Where it is done.
    pub thread: Thread,
    /// The event store.
    pub store: EventStore,
    /// Its database.
    pub event_store: PgPool,
    /// The identity database.
    pub identity: PgPool,
    /// Blobs, jobs and pieces.
    pub recordings: PgPool,
    /// The last sign of life.
    pub beaten_at: Cell<Instant>,
}

/// A recording that is to be written behind the document.
struct Later {
    workout_id: WorkoutId,
    files: ExportedRecordingRef,
    recording_sha256: String,
}

type Zip = ZipWriter<StreamWriter<PieceWriter<ToDatabase>>>;

/// Writes the zip of an athlete.
pub fn write(run: Run) -> Result<Written, JobError> {
    let run = Rc::new(run);
    let pieces = PieceWriter::new(ToDatabase(Rc::clone(&run)), MAX_ZIP_BYTES);
    let abandoned = pieces.abandoned();
    let mut zip = ZipWriter::new_stream(pieces);
    if let Err(error) = fill(&run, &mut zip) {
        abandoned.store(true, Ordering::Release);
        return Err(error);
    }
    zip.finish()?.into_inner().finish()
}

fn fill(run: &Run, zip: &mut Zip) -> Result<(), JobError> {
    start(zip, "README.txt")?;
    zip.write_all(README.as_bytes())?;
    start(zip, DOCUMENT)?;
    let recordings = write_document(run, zip)?;
    for later in recordings {
        run.beat()?;
        write_recording(run, zip, &later)?;
    }
    Ok(())
}

fn start(zip: &mut Zip, name: &str) -> Result<(), JobError> {
    // No time of day: the zip tells when it was made in its document alone.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    Ok(zip.start_file(name, options.last_modified_time(zip::DateTime::DEFAULT))?)
}

/// Everything but the recordings; says which those are.
fn write_document(run: &Run, zip: &mut Zip) -> Result<Vec<Later>, JobError> {
    let athlete_id = AthleteId(run.job.athlete_id);
    // As the store has it: another replica may have changed it.
    run.store.forget::<Athlete>(athlete_id.0);
    let athlete = run.thread.wait(run.store.load::<Athlete>(athlete_id.0))?.state;
    // Erased in between.
    let profile = athlete.profile.ok_or(JobError::Lost)?;
    let zones_id = PrivacyZones::stream_id(athlete_id);
    run.store.forget::<PrivacyZones>(zones_id);
    let zones = run.thread.wait(run.store.load::<PrivacyZones>(zones_id))?.state.zones.unwrap_or_default();
    let email = run.thread.wait(accounts::email_of(&run.identity, athlete_id.0))?;
    let streams = streams(run, athlete_id)?;
    let head = serde_json::json!({
        "$schema": DOCUMENT_SCHEMA, "format_version": FORMAT_VERSION, "exported_at": run.job.requested_at,
        "athlete": ExportedAthlete::of(athlete_id, email, &profile, &zones),
    });
    let head = head.to_string();
    zip.write_all(head.strip_suffix('}').unwrap_or(&head).as_bytes())?;

    let mut list = List::begin(zip, "measurements")?;
    for id in streams.measurements {
        run.beat()?;
        if let Some(measurement) = run.thread.wait(history::measurement(&run.store, id))? {
            list.item(&measurement)?;
        }
    }
    list.end()?;

    let mut recordings = Vec::new();
    let mut list = List::begin(zip, "workouts")?;
    for id in streams.workouts {
        run.beat()?;
        let Some((workout_id, details, recording)) = run.thread.wait(history::workout(&run.store, id))? else {
            continue;
        };
        let exported = ExportedWorkout::of(workout_id, &details, recording.as_ref());
        list.item(&exported)?;
        if let (Some(files), Some(recording)) = (exported.recording, recording) {
            let recording_sha256 = recording.recording_sha256;
            recordings.push(Later { workout_id, files, recording_sha256 });
        }
        if recordings.len() * 2 + OTHER_ENTRIES > MAX_ENTRIES {
            return Err(JobError::GivenUp(format!("there are more than {} recordings", MAX_ENTRIES / 2)));
        }
    }
    list.end()?;
    zip.write_all(b"\n}\n")?;
    Ok(recordings)
}

fn streams(run: &Run, athlete_id: AthleteId) -> Result<Streams, JobError> {
    let mut streams = Streams::default();
    let mut log = run.thread.wait(Log::of(&run.store, &run.event_store, athlete_id))?;
    while run.thread.wait(log.next(&run.event_store, &mut streams))? {
        run.beat()?;
    }
    Ok(streams)
}

/// A list being written as a member of the document, an item a line.
struct List<'a> {
    zip: &'a mut Zip,
    is_empty: bool,
}

impl<'a> List<'a> {
    fn begin(zip: &'a mut Zip, name: &str) -> Result<Self, JobError> {
        write!(zip, ",\n\"{name}\":[")?;
        Ok(Self { zip, is_empty: true })
    }

    fn item(&mut self, item: &impl Serialize) -> Result<(), JobError> {
        self.zip.write_all(if self.is_empty { b"\n" } else { b",\n" })?;
        self.is_empty = false;
        let item = serde_json::to_vec(item).map_err(|error| JobError::Unfinished(error.to_string()))?;
        Ok(self.zip.write_all(&item)?)
    }

    fn end(self) -> Result<(), JobError> {
        Ok(self.zip.write_all(b"\n]")?)
    }
}

fn write_recording(run: &Run, zip: &mut Zip, later: &Later) -> Result<(), JobError> {
    let original = run.blob(&later.files.original_sha256)?;
    start(zip, &later.files.original)?;
    zip.write_all(&original)?;
    drop(original);
    let recording = recording::decode(&run.blob(&later.recording_sha256)?)
        .map_err(|error| JobError::Unfinished(format!("recording {}: {error}", later.recording_sha256)))?;
    start(zip, &later.files.samples)?;
    serde_json::to_writer(&mut *zip, &exported(later.workout_id, &recording))
        .map_err(|error| std::io::Error::from(error).into())
}

/// A column, borrowed.
#[derive(Serialize)]
#[serde(untagged)]
enum Column<'a> {
    Times(&'a [f64]),
    Values(&'a [Option<f64>]),
}

fn exported(workout_id: WorkoutId, recording: &Recording) -> ExportedRecording<Column<'_>> {
    let values = |field: Field| Some((field.name().to_owned(), Column::Values(recording.get(field)?)));
    let columns: BTreeMap<_, _> = recording
        .fields()
        .filter_map(values)
        .chain([("elapsed_s".to_owned(), Column::Times(recording.elapsed_s()))])
        .collect();
    ExportedRecording { schema: RECORDING_SCHEMA.to_owned(), workout_id, sample_count: recording.len(), columns }
}

impl Run {
    /// Goes on, with a sign of life now and then.
    fn beat(&self) -> Result<(), JobError> {
        self.thread.go_on()?;
        if self.beaten_at.get().elapsed() < BEAT {
            return Ok(());
        }
        self.beaten_at.set(Instant::now());
        if self.thread.wait(jobs::renew(&self.recordings, &self.job))? { Ok(()) } else { Err(JobError::Lost) }
    }

    fn blob(&self, sha256: &str) -> Result<Vec<u8>, JobError> {
        let blob = self.thread.wait(blobs::load(&self.recordings, sha256))?;
        blob.ok_or_else(|| JobError::Unfinished(format!("blob {sha256} is missing")))
    }
}

/// Pieces become rows.
struct ToDatabase(Rc<Run>);

impl Sink for ToDatabase {
    fn put(&mut self, number: i32, piece: &[u8]) -> Result<(), JobError> {
        let run = &self.0;
        run.beat()?;
        if run.thread.wait(jobs::put(&run.recordings, &run.job, number, piece))? { Ok(()) } else { Err(JobError::Lost) }
    }
}
