//! What the demonstration uploads: the files it was given, or three recordings it makes itself, one in each format.
//! The invented ones are different every time, so that a second demonstration is no duplicate of the first.

use std::path::Path;

use chrono::{DateTime, Duration, Utc};
use fittrack_domain::recording::{Format, synthesize, write};
use fittrack_domain::sport::Sport;
use fittrack_local::{Error, Result};

/// A file on its way to the API.
pub struct Upload {
    pub name: String,
    pub format: Format,
    pub bytes: Vec<u8>,
}

/// Reads a file; its format shows in its ending, else in its first bytes.
pub fn read(path: &Path) -> Result<Upload> {
    let bytes = std::fs::read(path)
        .map_err(|cause| Error::failed(format!("cannot read {}: {cause}", path.display())).advise("check the path"))?;
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    let format = ending.and_then(|ending| Format::from_name(&ending)).or_else(|| Format::sniff(&bytes));
    let format = format.ok_or_else(|| {
        Error::failed(format!("{} is no recording", path.display())).advise("give a .fit, .gpx or .tcx file")
    })?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(Upload { name, format, bytes })
}

/// A run yesterday, a ride three days ago and a walk last week, as FIT, GPX and TCX.
pub fn invented(now: DateTime<Utc>, seed: u64) -> Result<Vec<Upload>> {
    let kinds = [
        (Sport::Run, Format::Fit, Duration::hours(26), 35.0 * 60.0),
        (Sport::Ride, Format::Gpx, Duration::hours(75), 80.0 * 60.0),
        (Sport::Walk, Format::Tcx, Duration::hours(190), 45.0 * 60.0),
    ];
    kinds
        .into_iter()
        .map(|(sport, format, ago, duration_s)| {
            // Files of all formats know whole seconds.
            let started_at = DateTime::from_timestamp((now - ago).timestamp(), 0).unwrap_or(now);
            let activity = synthesize(seed, sport, started_at, duration_s);
            let bytes = write(&activity, format).map_err(Error::failed)?;
            Ok(Upload { name: format!("{sport}.{format}"), format, bytes })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_invented_reads_back_in_every_format() {
        let now = DateTime::from_timestamp(1_790_000_000, 5).unwrap();
        let uploads = invented(now, 7).unwrap();
        assert_eq!(uploads.iter().map(|upload| upload.format).collect::<Vec<_>>(), Format::ALL);
        for upload in uploads {
            let activities = fittrack_domain::recording::parse(&upload.bytes, upload.format).unwrap();
            assert_eq!(activities.len(), 1, "{}", upload.name);
            assert!(activities[0].distance_m.unwrap() > 1_000.0);
        }
    }

    #[test]
    fn a_file_that_is_no_recording_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "no recording").unwrap();
        assert!(read(&path).err().unwrap().to_string().contains("notes.txt"));
        std::fs::write(&path, "<?xml version=\"1.0\"?><gpx version=\"1.1\"></gpx>").unwrap();
        assert_eq!(read(&path).unwrap().format, Format::Gpx);
    }
}
