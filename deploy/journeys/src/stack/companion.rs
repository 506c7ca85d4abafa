//! A small process that outlives the test program and takes its stack down, however the program ends: by itself, by
//! Ctrl-C, or killed. It waits on a pipe that only the end of the program (or its own drop) closes.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::failure::Result;

/// The end of the pipe; dropped, the stack goes.
#[derive(Debug)]
pub struct Companion(#[expect(dead_code, reason = "the pipe is open as long as it lives")] Child);

impl Companion {
    /// Stands by for the stack in this folder, which need not exist yet.
    pub fn of(binaries: &Path, dir: &Path) -> Result<Self> {
        let child = Command::new("sh")
            .args(["-c", "cat > /dev/null; exec \"$0\" down --wipe --dir \"$1\""])
            .arg(binaries.join("fittrack-local"))
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in the terminal is meant for the tests.
            .process_group(0)
            .spawn()?;
        Ok(Self(child))
    }
}
