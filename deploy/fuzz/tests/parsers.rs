//! Every parser under its corpus and what becomes of it. The same inputs in every run; `FITTRACK_LONG=1` tries others, for a minute
//! a parser, and `FITTRACK_SEED` repeats a run.
#![expect(clippy::panic, reason = "a test stops at the first thing that is not as it should be")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use fittrack_fuzz::campaign::{Bound, Tried, run};
use fittrack_fuzz::{Target, corpus, targets};

const LONG: Duration = Duration::from_secs(60);
const ALWAYS: u64 = 7;
/// Of the whole corpus, and of one input: the repository stays small.
const LARGEST_CORPUS: usize = 200_000;
const LARGEST_INPUT: usize = 20_000;

fn tried(target: &'static Target) -> Tried {
    let is_long = std::env::var("FITTRACK_LONG").as_deref() == Ok("1");
    let said = std::env::var("FITTRACK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = said.unwrap_or_else(|| if is_long { rand::random() } else { ALWAYS });
    let tried = run(target, seed, if is_long { Bound::Time(LONG) } else { Bound::Inputs });
    let tried = tried.unwrap_or_else(|found| panic!("{found}"));
    eprintln!("{}: FITTRACK_SEED={seed}, {tried:?}", target.name);
    tried
}

#[test]
fn no_input_breaks_a_parser() {
    for target in targets::ALL {
        let tried = tried(target);
        assert!(
            tried.seeds_accepted > 0 || !(target.made)().is_empty(),
            "nothing of the corpus of {} is accepted",
            target.name
        );
        assert!(tried.seeds_accepted < tried.seeds, "all of the corpus of {} is accepted", target.name);
        assert!(tried.mutated > 0);
    }
}

#[test]
fn the_corpus_is_small_and_belongs_to_the_targets() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let folders: BTreeSet<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let names: BTreeSet<String> = targets::ALL.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(folders, names);
    let mut whole = 0;
    for target in targets::ALL {
        for (name, bytes) in corpus::of(target).unwrap() {
            assert!(bytes.len() <= LARGEST_INPUT, "{}/{name} is {} bytes", target.name, bytes.len());
            whole += bytes.len();
        }
    }
    assert!(whole <= LARGEST_CORPUS, "{whole} bytes");
}
