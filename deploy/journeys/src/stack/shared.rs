//! One stack for all tests of a program that do not disturb each other.
//! A test program's statics are never dropped, so a companion takes the stack down when the program is gone.

use std::path::PathBuf;

use fittrack_local::ports::PortBlock;
use fittrack_local::{Stack, StackOptions};
use tokio::sync::OnceCell;

use super::binaries;
use super::companion::Companion;
use crate::failure::{Failure, Result};
use crate::secrets;

/// What lives as long as the program.
struct Shared {
    dir: PathBuf,
    _companion: Companion,
    _ports: PortBlock,
}

static SHARED: OnceCell<Shared> = OnceCell::const_new();

/// A handle on the stack of this program; each test has its own, because HTTP connections end with a test's runtime.
pub async fn open() -> Result<Stack> {
    let shared = SHARED.get_or_try_init(start).await?;
    let stack = Stack::open(&shared.dir)?;
    stack.ok_or_else(|| Failure::new(format!("the shared stack in {} is gone", shared.dir.display())))
}

async fn start() -> Result<Shared> {
    let binaries = binaries::folder()?;
    let ports = PortBlock::find()?;
    let dir = std::env::temp_dir().join(format!("fittrack-{:016x}", rand::random::<u64>()));
    // It stands by before the stack exists: however this program ends, nothing is left.
    let companion = Companion::of(&binaries, &dir)?;
    let stack = Stack::start(StackOptions::new(dir.clone(), binaries).on_ports_from(ports.base)).await?;
    secrets::know_stack(&stack).await?;
    Ok(Shared { dir, _companion: companion, _ports: ports })
}
