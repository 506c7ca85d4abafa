//! Imports of zips: an export of FitTrack's, or any zip of activity files. Received piece by piece, looked into, then worked
//! through by a worker, file by file, each by the same ways as if it had been sent alone.
pub mod archive;
pub mod document;
pub mod exported;
pub mod jobs;
pub mod receive;
pub mod take_in;
pub mod work;

use std::{cell::Cell, sync::Arc, time::Instant};

use bytes::Bytes;
use fittrack_domain::ids::AthleteId;
use futures::Stream;
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    dispatch::Dispatcher,
    imports::Importer,
    jobs::{
        JobError, Thread,
        turns::Turns,
        worker::{Queue, Then},
    },
};
use jobs::Taken;
use receive::{Accepted, Arriving, NotReceived};
use take_in::Intake;
use work::Run;

/// How many zips are received at once by one process; each holds a piece of 1 MiB.
const UPLOADS_AT_ONCE: usize = 8;

/// Takes in zips. Cheap to clone.
#[derive(Clone)]
pub struct ZipImports {
    importer: Importer,
    dispatcher: Dispatcher,
    recordings: PgPool,
    /// Woken when one was accepted here.
    pub woken: Arc<Notify>,
    /// Turns for receiving zips.
    pub uploads: Turns,
}

impl ZipImports {
    /// Over the ways that single files and commands take.
    pub fn new(importer: Importer, dispatcher: Dispatcher, recordings: PgPool) -> Self {
        Self { importer, dispatcher, recordings, woken: Arc::default(), uploads: Turns::new(UPLOADS_AT_ONCE) }
    }

    /// Receives a zip and queues it.
    pub async fn receive<E>(
        &self,
        arriving: &Arriving,
        body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<Accepted, NotReceived<E>> {
        let accepted = receive::receive(&self.recordings, arriving, body).await?;
        self.woken.notify_one();
        Ok(accepted)
    }

    /// Forgets a zip that nobody has begun to work through.
    pub async fn cancel(&self, import_id: Uuid) -> Result<(), sqlx::Error> {
        jobs::cancel(&self.recordings, import_id).await
    }
}

impl Queue for ZipImports {
    const KIND: &'static str = "import";
    type Job = Taken;

    async fn take(&self) -> Result<Option<Taken>, sqlx::Error> {
        jobs::take(&self.recordings).await
    }

    fn attempts(job: &Taken) -> i32 {
        job.attempts
    }

    async fn perform(&self, job: &Taken, stop: CancellationToken) -> Result<(), JobError> {
        let athlete_id = AthleteId(job.athlete_id);
        let run = Run {
            job: job.clone(),
            thread: Thread::new(stop.clone()),
            recordings: self.recordings.clone(),
            intake: Intake {
                importer: self.importer.clone(),
                dispatcher: self.dispatcher.clone(),
                job_id: job.import_id,
                athlete_id,
                stop,
            },
            beaten_at: Cell::new(Instant::now()),
        };
        let worked = tokio::task::spawn_blocking(move || work::work(&run));
        worked.await.map_err(|error| JobError::Unfinished(error.to_string()))??;
        let store = self.dispatcher.store();
        let partition = store.partition_of(athlete_id.0);
        let position = store.head(partition).await?;
        if jobs::finish(&self.recordings, job, partition, position).await? { Ok(()) } else { Err(JobError::Lost) }
    }

    async fn end(&self, job: &Taken, then: &Then) -> Result<(), sqlx::Error> {
        jobs::end(&self.recordings, job, then).await
    }

    async fn sweep(&self) -> Result<u64, sqlx::Error> {
        jobs::sweep(&self.recordings).await
    }
}
