//! Exports: everything an athlete has as one zip, made by a worker from the athlete's own streams and recordings, kept for a
//! week. The form is [`fittrack_schemas::export`]; [`crate::imports::zip`] takes it in again.
pub mod history;
pub mod jobs;
pub mod write;

use std::{cell::Cell, sync::Arc, time::Instant};

use fittrack_domain::ids::AthleteId;
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    jobs::{
        JobError, Thread,
        turns::Turns,
        worker::{Queue, Then},
    },
    store::EventStore,
};
use jobs::{Export, Taken};
use write::Run;

/// How many zips are sent at once by one process; each holds a piece of 1 MiB.
const DOWNLOADS_AT_ONCE: usize = 16;

/// Makes exports. Cheap to clone.
#[derive(Clone)]
pub struct Exports {
    store: EventStore,
    event_store: PgPool,
    identity: PgPool,
    recordings: PgPool,
    /// Woken when one was asked for here.
    pub woken: Arc<Notify>,
    /// Turns for sending zips.
    pub downloads: Turns,
}

impl Exports {
    /// Over the event store and its database, accounts and the recordings.
    pub fn new(store: EventStore, event_store: PgPool, identity: PgPool, recordings: PgPool) -> Self {
        Self {
            store,
            event_store,
            identity,
            recordings,
            woken: Arc::default(),
            downloads: Turns::new(DOWNLOADS_AT_ONCE),
        }
    }

    /// Asks for an export; answers with the one under way where there is one.
    pub async fn request(&self, athlete_id: AthleteId) -> Result<Export, sqlx::Error> {
        let export = jobs::request(&self.recordings, athlete_id).await?;
        self.woken.notify_one();
        Ok(export)
    }

    /// An athlete's own export.
    pub async fn find(&self, athlete_id: AthleteId, export_id: Uuid) -> Result<Option<Export>, sqlx::Error> {
        jobs::find(&self.recordings, athlete_id, export_id).await
    }

    /// Whether an export is somebody else's.
    pub async fn is_another_s(&self, athlete_id: AthleteId, export_id: Uuid) -> Result<bool, sqlx::Error> {
        jobs::is_another_s(&self.recordings, athlete_id, export_id).await
    }

    /// A piece of a finished export's zip.
    pub async fn piece(&self, export: &Export, number: i32) -> Result<Option<bytes::Bytes>, sqlx::Error> {
        jobs::piece(&self.recordings, export, number).await
    }
}

impl Queue for Exports {
    const KIND: &'static str = "export";
    type Job = Taken;

    async fn take(&self) -> Result<Option<Taken>, sqlx::Error> {
        jobs::take(&self.recordings).await
    }

    fn attempts(job: &Taken) -> i32 {
        job.attempts
    }

    async fn perform(&self, job: &Taken, stop: CancellationToken) -> Result<(), JobError> {
        let run = Run {
            job: job.clone(),
            thread: Thread::new(stop),
            store: self.store.clone(),
            event_store: self.event_store.clone(),
            identity: self.identity.clone(),
            recordings: self.recordings.clone(),
            beaten_at: Cell::new(Instant::now()),
        };
        let written = tokio::task::spawn_blocking(move || write::write(run));
        let written = written.await.map_err(|error| JobError::Unfinished(error.to_string()))??;
        if jobs::finish(&self.recordings, job, written).await? { Ok(()) } else { Err(JobError::Lost) }
    }

    async fn end(&self, job: &Taken, then: &Then) -> Result<(), sqlx::Error> {
        jobs::end(&self.recordings, job, then).await
    }

    async fn sweep(&self) -> Result<u64, sqlx::Error> {
        jobs::sweep(&self.recordings).await
    }
}
