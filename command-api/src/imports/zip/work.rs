//! Does an import: opens the zip, goes through its files (or through the document, where it is an export) and writes down what
//! became of each. What has a row was done by an earlier attempt and is passed over.
use std::{
    cell::{Cell, RefCell},
    io::Read,
    time::Instant,
};

use bytes::Bytes;
use fittrack_domain::{recording::Format, values::Visibility};
use fittrack_schemas::export::{DOCUMENT, ExportedAthlete, ExportedMeasurement, ExportedWorkout};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    archive::{Archive, Entry, MAX_DOCUMENT_BYTES, MAX_FILE_BYTES, Unread},
    document::{self, Part},
    exported,
    jobs::{self, FileOutcome, Status, Taken},
    take_in::{ActivityFile, Intake, Original, Took},
};
use crate::jobs::{
    BEAT, JobError, Thread,
    pieces::{PieceReader, Source},
};

/// How a file packed by itself begins.
const GZIP: &[u8] = &[0x1f, 0x8b];
/// How an archive begins.
const ZIP: &[u8] = b"PK\x03\x04";

/// The zip of a job, in the database.
#[derive(Clone)]
pub struct InDatabase {
    /// Waits for it.
    pub thread: Thread,
    /// Where it is.
    pub recordings: PgPool,
    /// Of which import.
    pub import_id: Uuid,
}

impl Source for InDatabase {
    fn get(&self, number: i32) -> Result<Bytes, JobError> {
        let piece = self.thread.wait(jobs::piece(&self.recordings, self.import_id, number))?;
        piece.ok_or(JobError::Lost)
    }
}

type Zip = Archive<PieceReader<InDatabase>>;

/// A job being done, on its thread.
pub struct Run {
    /// The job.
    pub job: Taken,
    /// Where it is done.
    pub thread: Thread,
    /// Where the job is.
    pub recordings: PgPool,
    /// Gives the commands.
    pub intake: Intake,
    /// The last sign of life.
    pub beaten_at: Cell<Instant>,
}

/// Takes in everything that can be.
pub fn work(run: &Run) -> Result<(), JobError> {
    let source =
        InDatabase { thread: run.thread.clone(), recordings: run.recordings.clone(), import_id: run.job.import_id };
    let length = u64::try_from(run.job.size_bytes).unwrap_or(0);
    let mut zip = Archive::open(PieceReader::new(source, length), length).map_err(given_up)?;
    match zip.find(DOCUMENT) {
        Some(index) => export(run, &mut zip, index),
        None => files(run, &mut zip),
    }
}

/// An error of the whole zip.
fn given_up(error: Unread) -> JobError {
    match error {
        Unread::Refused(refusal) => JobError::GivenUp(refusal.to_string()),
        Unread::Failed(error) => error,
    }
}

/// Any zip of activity files.
fn files(run: &Run, zip: &mut Zip) -> Result<(), JobError> {
    let mut entries = Vec::new();
    for index in 0..zip.len() {
        if zip.entry(index).map_err(given_up)?.is_some() {
            entries.push(index);
        }
    }
    let done = run.counted(entries.len())?;
    for (number, index) in (0..).zip(entries).skip(usize::try_from(done).unwrap_or(0)) {
        run.beat()?;
        let Some(entry) = zip.entry(index).map_err(given_up)? else { continue };
        let took = match activity_file(zip, &entry) {
            Ok((content, format)) => run.file(number, content, format)?,
            Err(Unread::Refused(refusal)) => Took::refused(refusal.to_string()),
            Err(Unread::Failed(JobError::GivenUp(reason))) => Took::refused(reason),
            Err(Unread::Failed(error)) => return Err(error),
        };
        run.note(number, entry.name, took)?;
    }
    Ok(())
}

/// An entry as an activity file; the reason where it is none.
fn activity_file(zip: &mut Zip, entry: &Entry) -> Result<(Bytes, Format), Unread> {
    let refused = |reason: &str| Unread::Failed(JobError::GivenUp(reason.to_owned()));
    let mut content = read(zip, entry)?;
    if content.starts_with(GZIP) {
        content = unpacked(&content).ok_or_else(|| refused("it is damaged, or too long when it is unpacked"))?;
    }
    if content.starts_with(ZIP) {
        return Err(refused("it is an archive itself; send its files"));
    }
    match Format::sniff(&content) {
        Some(format) => Ok((content.into(), format)),
        None => Err(refused("it begins neither like a FIT, nor like a GPX, nor like a TCX file")),
    }
}

fn read(zip: &mut Zip, entry: &Entry) -> Result<Vec<u8>, Unread> {
    let refused = |reason: &str| Unread::Failed(JobError::GivenUp(reason.to_owned()));
    if !entry.is_readable {
        return Err(refused("it has a password, or is packed otherwise than by deflate"));
    }
    zip.read(entry, MAX_FILE_BYTES)?.ok_or_else(|| refused("it is longer than 25 MiB, or not as long as it says"))
}

fn unpacked(gzip: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    flate2::read::GzDecoder::new(gzip).take(MAX_FILE_BYTES + 1).read_to_end(&mut content).ok()?;
    (content.len() as u64 <= MAX_FILE_BYTES).then_some(content)
}

/// An export of FitTrack's: read once to see whether it is one and how much it is, then part by part.
fn export(run: &Run, zip: &mut Zip, index: usize) -> Result<(), JobError> {
    let unreadable = || JobError::GivenUp(format!("{DOCUMENT} cannot be read"));
    let entry = zip.entry(index).map_err(given_up)?.ok_or_else(unreadable)?;
    if !entry.is_readable || entry.unpacked_bytes > MAX_DOCUMENT_BYTES {
        return Err(unreadable());
    }
    let mut parts = 0_usize;
    document::read(zip.reader(&entry).map_err(given_up)?, |_| {
        run.beat()?;
        parts += 1;
        Ok(())
    })?;
    let done = run.counted(parts)?;
    let originals = RefCell::new(zip.clone());
    let mut number = 0;
    document::read(zip.reader(&entry).map_err(given_up)?, |part| {
        run.beat()?;
        if number >= done {
            let (name, took) = run.part(&part, &originals)?;
            run.note(number, name, took)?;
        }
        number += 1;
        Ok(())
    })
}

impl Run {
    fn part(&self, part: &Part, originals: &RefCell<Zip>) -> Result<(String, Took), JobError> {
        Ok(match part {
            Part::Athlete(json) => {
                let took = match exported::part::<ExportedAthlete>(json) {
                    Ok(athlete) => self.athlete(&athlete)?,
                    Err(reason) => Took::refused(reason),
                };
                ("profile".to_owned(), took)
            }
            Part::Measurement(json) => match exported::part::<ExportedMeasurement>(json) {
                Ok(measurement) => {
                    let name = format!("measurements/{}/{}", measurement.kind.as_str(), measurement.measured_on);
                    let took = match exported::measurement(&measurement) {
                        Ok(measured) => self.thread.wait(self.intake.measurement(measured))?,
                        Err(reason) => Took::refused(reason),
                    };
                    (name, took)
                }
                Err(reason) => ("measurements".to_owned(), Took::refused(reason)),
            },
            Part::Workout(json) => match exported::part::<ExportedWorkout>(json) {
                Ok(workout) => (format!("workouts/{}", workout.id), self.workout(&workout, originals)?),
                Err(reason) => ("workouts".to_owned(), Took::refused(reason)),
            },
        })
    }

    /// The zones come first: no track is public here before its ends are hidden.
    fn athlete(&self, athlete: &ExportedAthlete) -> Result<Took, JobError> {
        let parts = exported::privacy_zones(athlete).and_then(|zones| Ok((zones, exported::profile(athlete)?)));
        let (zones, update) = match parts {
            Ok(parts) => parts,
            Err(reason) => return Ok(Took::refused(reason)),
        };
        let zones = if zones.is_empty() { None } else { Some(self.thread.wait(self.intake.privacy_zones(zones))?) };
        let profile = self.thread.wait(self.intake.profile(update))?;
        Ok(match zones {
            Some(zones) if zones.status != Status::Duplicate => zones,
            _ => profile,
        })
    }

    fn workout(&self, workout: &ExportedWorkout, originals: &RefCell<Zip>) -> Result<Took, JobError> {
        let draft = match exported::workout(workout) {
            Ok(draft) => draft,
            Err(reason) => return Ok(Took::refused(reason)),
        };
        let Some(recording) = &workout.recording else {
            return self.thread.wait(self.intake.logged(workout.id, draft, workout.time_zone));
        };
        let content = match original(&mut originals.borrow_mut(), &recording.original) {
            Ok(content) => content,
            Err(Unread::Refused(refusal)) => return Ok(Took::refused(format!("{}: {refusal}", recording.original))),
            Err(Unread::Failed(JobError::GivenUp(reason))) => {
                return Ok(Took::refused(format!("{}: {reason}", recording.original)));
            }
            Err(Unread::Failed(error)) => return Err(error),
        };
        if hex::encode(Sha256::digest(&content)) != recording.original_sha256 {
            return Ok(Took::refused(format!("{} is not the file the export names", recording.original)));
        }
        let original = Original { content: content.into(), format: recording.format, leg: recording.leg };
        self.thread.wait(self.intake.recorded(workout.id, draft, workout.time_zone, original))
    }

    fn file(&self, number: i32, content: Bytes, format: Format) -> Result<Took, JobError> {
        let visibility = self.job.visibility.as_deref().and_then(|name| Visibility::parse(name).ok());
        let file = ActivityFile { number, content, format, visibility, gear_id: self.job.gear_id };
        self.thread.wait(self.intake.file(file))
    }

    /// Says how many files there are; answers how many were done by earlier attempts.
    fn counted(&self, files: usize) -> Result<i32, JobError> {
        let files = i32::try_from(files).unwrap_or(i32::MAX);
        Ok(self.thread.wait(jobs::counted(&self.recordings, &self.job, files))?)
    }

    fn note(&self, number: i32, name: String, took: Took) -> Result<(), JobError> {
        let Took { status, reason, workout_ids } = took;
        let outcome = FileOutcome { name, status, reason, workout_ids };
        let noted = self.thread.wait(jobs::put_file(&self.recordings, &self.job, number, &outcome))?;
        if noted { Ok(()) } else { Err(JobError::Lost) }
    }

    /// Goes on, with a sign of life now and then.
    fn beat(&self) -> Result<(), JobError> {
        self.thread.go_on()?;
        if self.beaten_at.get().elapsed() < BEAT {
            return Ok(());
        }
        self.beaten_at.set(Instant::now());
        if self.thread.wait(jobs::renew(&self.recordings, &self.job))? { Ok(()) } else { Err(JobError::Lost) }
    }
}

fn original(zip: &mut Zip, name: &str) -> Result<Vec<u8>, Unread> {
    let missing = || Unread::Failed(JobError::GivenUp("there is no such file in the export".to_owned()));
    let index = zip.find(name).ok_or_else(missing)?;
    let entry = zip.entry(index)?.ok_or_else(missing)?;
    read(zip, &entry)
}
