//! Recordings: what a device's file says about a workout, and its samples as columns.
//! [`parse`] turns an upload into activities, the codec stores their samples, writers and down-sampling serve them.

mod activity;
pub mod codec;
mod downsample;
mod draft;
mod ends;
mod field;
mod fit;
mod format;
mod gpx;
pub mod measure;
mod points;
mod refusal;
mod samples;
mod sport_names;
mod synthesize;
mod tcx;
mod write;
mod xml;

pub use activity::{Activity, ElevationSource, Lap};
pub use codec::{DecodeError, decode, encode};
pub use downsample::{Resolution, downsample, lttb};
pub use ends::without_hidden_ends;
pub use field::{Field, UnknownField};
pub use format::Format;
pub use refusal::FileRefusal;
pub use samples::{MAX_DURATION_S, MAX_SAMPLES, Recording, RecordingRefusal};
pub use synthesize::synthesize;
pub use write::{WriteRefusal, write};

/// Largest file that is read, in bytes: the longest recording there may be, in the wordiest format.
pub const MAX_FILE_BYTES: usize = 128 * 1024 * 1024;

/// Most activities one file may hold.
pub const MAX_ACTIVITIES: usize = 50;

/// Most laps one file may hold, all its activities together.
pub const MAX_LAPS: usize = 5_000;

/// The activities in a file, one a leg where it is a multisport session.
///
/// The legs' transitions are passed over: they are no workouts. What the device says of a whole activity wins; what it
/// leaves out is computed from the samples. Nothing here panics or allocates by a length the file claims.
///
/// # Errors
/// [`FileRefusal`] says what is wrong with the file, and where.
pub fn parse(bytes: &[u8], format: Format) -> Result<Vec<Activity>, FileRefusal> {
    if bytes.is_empty() {
        return Err(FileRefusal::Empty);
    }
    if bytes.len() > MAX_FILE_BYTES {
        return Err(FileRefusal::TooLarge { bytes: bytes.len(), limit: MAX_FILE_BYTES });
    }
    match format {
        Format::Fit => fit::parse(bytes),
        Format::Gpx => gpx::parse(bytes),
        Format::Tcx => tcx::parse(bytes),
    }
}

const fn too_many_activities() -> FileRefusal {
    FileRefusal::TooMany { what: "activities", limit: MAX_ACTIVITIES }
}

const fn too_many_laps() -> FileRefusal {
    FileRefusal::TooMany { what: "laps", limit: MAX_LAPS }
}
