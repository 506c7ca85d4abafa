//! The signals that ask a command to end: Ctrl-C, a closing terminal, a service manager.
//! Commands wait for them beside their work, so that what they started is always stopped.

use fittrack_local::{Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ctrl-C, and what a closing terminal or a service manager sends.
pub struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Interrupts {
    /// From here on these signals no longer end the program by themselves.
    ///
    /// # Errors
    /// When the system does not let this program listen.
    pub fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(|cause| Error::failed(format!("cannot listen for signals: {cause}")));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
            _ = self.hang_up.recv() => (),
        }
    }
}
