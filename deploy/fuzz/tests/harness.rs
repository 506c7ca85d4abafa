//! The harness itself: it notices a panic, a parser that never ends and one that takes too much, and repeats itself.
#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]

use std::fs;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use fittrack_fuzz::campaign::{Bound, Found, run};
use fittrack_fuzz::mutation::made;
use fittrack_fuzz::{Target, targets};

/// A parser of our own over the corpus of another.
const fn parser(accepts: fn(&[u8]) -> bool) -> Target {
    Target {
        name: "consistency_tokens",
        accepts,
        words: &[],
        inputs: 500,
        memory_bytes: 1024 * 1024,
        slowest: Duration::from_secs(20),
        made: Vec::new,
        mended: |bytes| bytes,
    }
}

fn found(target: &'static Target) -> Found {
    run(target, 7, Bound::Inputs).unwrap_err()
}

#[test]
fn a_panic_is_found_with_its_input() {
    static PANICS: Target = parser(|input| {
        assert!(!input.contains(&b'!'), "an exclamation mark");
        true
    });
    static SHOUTS: Target = Target { words: &[b"!"], ..parser(PANICS.accepts) };
    let found = found(&SHOUTS);
    assert!(found.why.contains("an exclamation mark"), "{found}");
    assert!(fs::read(&found.file).unwrap().contains(&b'!'));
    assert!(found.input.contains("FITTRACK_SEED=7"), "{found}");
}

#[test]
fn a_parser_that_takes_too_much_memory_is_found() {
    static TAKES: Target = parser(|input| vec![1_u8; 1024 * 1024 + input.len()].len() == 1);
    let found = found(&TAKES);
    assert!(found.why.contains("may need 1048576"), "{found}");
}

#[test]
fn a_parser_that_never_ends_is_found() {
    static NEVER: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
    static STOPS: Target = parser(|_| {
        let mut held = NEVER.0.lock().unwrap();
        loop {
            held = NEVER.1.wait(held).unwrap();
        }
    });
    static HANGS: Target = Target { slowest: Duration::ZERO, ..parser(STOPS.accepts) };
    let found = found(&HANGS);
    assert!(found.why.contains("still not read"), "{found}");
}

#[test]
fn a_campaign_ends_when_it_has_done_enough() {
    static READS: Target = parser(<[u8]>::is_ascii);
    let tried = run(&READS, 7, Bound::Inputs).unwrap();
    assert_eq!(tried.mutated, READS.inputs);
    assert!((1..tried.mutated).contains(&tried.mutated_accepted), "{tried:?}");
    let began = Instant::now();
    assert!(run(&READS, 7, Bound::Time(Duration::from_millis(200))).unwrap().mutated > 0);
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_seed_and_a_number_make_one_input() {
    let seeds = [b"1.3-4d.1f".to_vec(), b"another".to_vec()];
    let inputs = |seed| (0..200).map(|number| made(&seeds, &[b"word"], seed, number)).collect::<Vec<_>>();
    assert_eq!(inputs(7), inputs(7));
    assert_ne!(inputs(7), inputs(8));
    let different: std::collections::BTreeSet<_> = inputs(7).into_iter().collect();
    assert!(different.len() > 150, "{}", different.len());
}

#[test]
fn every_target_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<&str> = targets::ALL.iter().map(|target| target.name).collect();
    assert_eq!(names.len(), targets::ALL.len());
}
