//! A longer campaign: minutes of load through a random schedule of faults, with its seed printed. `FITTRACK_LONG=1`.

use std::time::{Duration, Instant};

use fittrack_journeys::invariants;
use fittrack_journeys::writers::{Plan, Writers};
use fittrack_local::{KAFKA, POSTGRES, Parts};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{SOME, stage};

const LASTS: Duration = Duration::from_secs(420);
const PROCESSES: [&str; 7] =
    ["command-api", "command-api-2", "projectors", "projectors-2", "query-api", KAFKA, POSTGRES];

#[tokio::test(flavor = "multi_thread")]
async fn a_long_run_through_random_faults() {
    if std::env::var("FITTRACK_LONG").as_deref() != Ok("1") {
        eprintln!("SKIPPED: the long campaign of random faults; FITTRACK_LONG=1 runs it");
        return;
    }
    let seed = std::env::var("FITTRACK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    eprintln!("seed {seed}; FITTRACK_SEED={seed} makes the same schedule again");
    let mut random = StdRng::seed_from_u64(seed);
    let stage = stage().await;
    let stack = &stage.stack;
    stack.spawn_replica("command-api").await.unwrap();
    stack.spawn_replica("projectors").await.unwrap();
    let api = stack.api_through(&["command-api", "command-api-2"]).unwrap();
    let plan = Plan { hang_ups: 10, seed, ..Plan::default() };
    let writers = Writers::start(&api, plan).await.unwrap();
    let ends = Instant::now() + LASTS;
    while Instant::now() < ends {
        writers.more(SOME).await.unwrap();
        let name = PROCESSES[random.random_range(0..PROCESSES.len())];
        match random.random_range(0..10) {
            0..5 => {
                eprintln!("kill -9 of {name}");
                stack.kill(name).await.unwrap();
            }
            5..7 => {
                eprintln!("a polite stop of {name}");
                stack.stop_process(name).await.unwrap();
                stack.start_process(name).await.unwrap();
            }
            _ => {
                let seconds = random.random_range(1..14);
                eprintln!("{name} sleeps for {seconds} s");
                stack.pause(name).unwrap();
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                stack.resume(name).unwrap();
            }
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..2_000))).await;
        stack.ensure_up(Parts::Everything).await.unwrap();
    }
    let ledger = writers.stop().await.unwrap();
    invariants::hold(stack, &ledger, &format!("random faults of seed {seed}")).await.unwrap();
}
