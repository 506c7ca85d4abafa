//! Files to import: real devices' recordings where there are any, invented ones written by FitTrack itself where not.
//! The real ones are not part of the repository; a run without them says so.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use fittrack_domain::recording::{Activity, Format, synthesize, write};
use fittrack_domain::sport::Sport;

use crate::device::{Session, fit_sessions};
use crate::failure::{Failure, Result};

/// A file to import.
#[derive(Clone, Debug)]
pub struct File {
    pub name: String,
    pub format: Format,
    pub bytes: Bytes,
}

/// The same activities in one or more files.
#[derive(Clone, Debug)]
pub struct Activities {
    /// What the first file's device says of each, in the file's order.
    pub sessions: Vec<Session>,
    /// The first is imported first; all others are duplicates of it.
    pub files: Vec<File>,
}

impl File {
    fn read(folder: &Path, name: &str) -> Result<Self> {
        let bytes = Bytes::from(std::fs::read(folder.join(name))?);
        let format = Format::sniff(&bytes).ok_or_else(|| Failure::new(format!("{name} is in no known format")))?;
        Ok(Self { name: name.to_owned(), format, bytes })
    }

    fn written(name: &str, activity: &Activity, format: Format) -> Result<Self> {
        let bytes = Bytes::from(write(activity, format)?);
        Ok(Self { name: format!("{name}.{}", format.as_str()), format, bytes })
    }
}

/// The folder of real recordings: `FITTRACK_SAMPLES`, else `shared/samples` beside the repository.
pub fn folder() -> PathBuf {
    std::env::var_os("FITTRACK_SAMPLES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples"), PathBuf::from)
}

/// The real recordings, or nothing (said on stderr) where the folder is not there.
///
/// # Errors
/// When the folder is there and one of its files is not.
pub fn real() -> Result<Option<Vec<Activities>>> {
    let folder = folder();
    if !folder.is_dir() {
        eprintln!(
            "SKIPPED: there are no real recordings in {}; invented ones are imported instead. \
             Set FITTRACK_SAMPLES to a folder that has them.",
            folder.display()
        );
        return Ok(None);
    }
    let groups: [&[&str]; 5] = [
        &["4801048867.fit", "activity_4801048867.gpx", "4801048867_strava.gpx", "activity_4801048867.tcx"],
        &["2020-06-01-16-52-40.fit", "activity_5039744860.gpx", "activity_5039744860.tcx"],
        &["6449921903_ACTIVITY.fit"],
        &["6471559601_ACTIVITY.fit"],
        &["3173437224.tcx"],
    ];
    let read = |names: &&[&str]| {
        let files = names.iter().map(|name| File::read(&folder, name)).collect::<Result<Vec<_>>>()?;
        let sessions = if files[0].format == Format::Fit { fit_sessions(&files[0].bytes) } else { Vec::new() };
        Ok(Activities { sessions, files })
    };
    groups.iter().map(read).collect::<Result<Vec<_>>>().map(Some)
}

/// Invented recordings, each in every format that can hold it.
///
/// # Errors
/// When one cannot be written.
pub fn invented() -> Result<Vec<Activities>> {
    let plan = [(Sport::Ride, "2024-04-18T11:10:44Z", 1_800.0), (Sport::Run, "2024-06-01T14:52:40Z", 900.0)];
    let mut all = Vec::new();
    for (seed, (sport, started_at, duration_s)) in (1_u64..).zip(plan) {
        let activity = synthesize(seed, sport, started_at.parse()?, duration_s);
        let written = |format| File::written(&format!("invented-{sport}"), &activity, format);
        let files = [Format::Fit, Format::Gpx, Format::Tcx].into_iter().map(written).collect::<Result<Vec<_>>>()?;
        all.push(Activities { sessions: fit_sessions(&files[0].bytes), files });
    }
    Ok(all)
}
