//! Faults over whole stacks under a steady load, each followed by the invariants I1 to I9 of `reliability.md`.
//! One stack at a time: they would fight for the machine, and a fault is only as real as the load it meets.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helpers fail loudly as the test itself does"
)]

mod faults {
    mod crash_points;
    mod hang_ups;
    mod kills;
    mod long;
    mod poison;
    mod replicas;
    mod rotation;
    mod start_and_stop;
    mod store_source;
    mod takeout;

    use fittrack_journeys::TestStack;
    use fittrack_journeys::writers::{Plan, Writers};
    use tokio::sync::{Mutex, MutexGuard};

    static TURN: Mutex<()> = Mutex::const_new(());

    /// Commands acknowledged before a fault, and after what it hit is back.
    const SOME: usize = 150;

    /// A stack of one's own; the next test waits until it is gone.
    struct Stage {
        stack: TestStack,
        _turn: MutexGuard<'static, ()>,
    }

    async fn stage() -> Stage {
        let turn = TURN.lock().await;
        Stage { stack: TestStack::start().await.unwrap(), _turn: turn }
    }

    /// A load that has got going.
    async fn under_load(stack: &TestStack, plan: Plan) -> Writers {
        let writers = Writers::start(&stack.api().unwrap(), plan).await.unwrap();
        writers.more(SOME).await.unwrap();
        writers
    }
}
