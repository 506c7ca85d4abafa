//! The ports of one stack, all derived from one base number, and how to find a base that nobody uses.
//! Two stacks with bases twenty apart run side by side.

use std::fs::{File, OpenOptions};
use std::net::TcpListener;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, WhileDoing};

/// The base when nobody names one.
pub const DEFAULT_BASE: u16 = 8400;
/// How many consecutive ports a stack may use: eight of its own, the rest for replicas.
pub const BLOCK: u16 = 20;

/// Where each process of a stack listens, on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    base: u16,
}

impl Ports {
    /// The ports from `base` on.
    ///
    /// # Errors
    /// Wrong use, when the block would leave the range 1024 to 65535.
    pub fn from_base(base: u16) -> Result<Self> {
        if !(1024..=u16::MAX - BLOCK).contains(&base) {
            return Err(Error::wrong_use(format!("--port-base {base} is out of range"))
                .advise(format!("take a number from 1024 to {}", u16::MAX - BLOCK)));
        }
        Ok(Self { base })
    }

    pub fn base(self) -> u16 {
        self.base
    }
    pub fn command_api(self) -> u16 {
        self.base
    }
    pub fn command_api_private(self) -> u16 {
        self.base + 1
    }
    pub fn query_api(self) -> u16 {
        self.base + 2
    }
    pub fn query_api_private(self) -> u16 {
        self.base + 3
    }
    pub fn projectors_private(self) -> u16 {
        self.base + 4
    }
    pub fn postgres(self) -> u16 {
        self.base + 5
    }
    pub fn kafka(self) -> u16 {
        self.base + 6
    }
    pub fn kafka_controller(self) -> u16 {
        self.base + 7
    }
}

/// Whether a port of 127.0.0.1 can be listened on right now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// A block of free ports, kept from other tests of this user until it is dropped.
#[derive(Debug)]
pub struct PortBlock {
    pub base: u16,
    _lock: File,
}

impl PortBlock {
    /// Finds a free block below the range from which the kernel takes ports for outgoing connections, so that a
    /// process which is killed and started again finds its port still free.
    ///
    /// # Errors
    /// When no block is free.
    pub fn find() -> Result<Self> {
        let user = rustix::process::geteuid().as_raw();
        // Not TMPDIR: every run of the tests has its own, and all of them share the ports.
        let folder = Path::new("/tmp").join(format!("fittrack-ports-{user}"));
        std::fs::create_dir_all(&folder).while_doing(|| format!("create {}", folder.display()))?;
        let first: u16 = rand::random_range(0..600);
        for step in 0..600 {
            let base = 20_000 + (first + step) % 600 * BLOCK;
            let path = folder.join(base.to_string());
            let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
            let lock = lock.while_doing(|| format!("open {}", path.display()))?;
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() && (base..base + BLOCK).all(is_free) {
                return Ok(Self { base, _lock: lock });
            }
        }
        Err(Error::failed("no twenty consecutive ports are free between 20000 and 32000"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_is_counted_from_the_base() {
        let ports = Ports::from_base(9000).unwrap();
        assert_eq!((ports.command_api(), ports.query_api(), ports.postgres(), ports.kafka()), (9000, 9002, 9005, 9006));
        assert_eq!(Ports::from_base(80).unwrap_err().exit_code(), 2);
        assert!(Ports::from_base(65_530).is_err());
    }

    #[test]
    fn two_blocks_held_at_once_never_overlap() {
        let (one, other) = (PortBlock::find().unwrap(), PortBlock::find().unwrap());
        assert!(one.base.abs_diff(other.base) >= BLOCK);
    }
}
