//! How far a rebuild is: kept here by those who work, shown by [`report`] to people (a bar on a terminal, else a line now and
//! then) and to programs (five JSON lines a second).
use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{
    fill::{Filled, Took},
    throttle::Throttle,
};
use crate::status::duration;

/// What a rebuild is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Looking what there is to do.
    Beginning,
    /// Loading from the event store.
    Filling,
    /// Making keys and indexes.
    Indexing,
    /// Applying what came meanwhile.
    CatchingUp,
    /// It is done.
    Done,
}

/// The state of a rebuild at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Snapshot {
    /// What it is doing.
    pub phase: Phase,
    /// Events read.
    pub events: i64,
    /// Of so many.
    pub of: i64,
    /// Since the loading began.
    pub elapsed_seconds: f64,
    /// Events a second, on average.
    pub events_per_second: f64,
    /// How long it will take still; nothing while that is not known.
    pub eta_seconds: Option<f64>,
    /// Rows loaded.
    pub rows: u64,
    /// Partitions loaded.
    pub partitions: usize,
    /// Events to catch up with, once it does.
    pub behind: i64,
    /// How much of the time it works, from 0 to 1.
    pub share: f64,
    /// Why that is less than 1.
    pub slowed_by: Option<String>,
}

/// Shared by the tasks of a rebuild and the one that shows it.
#[derive(Debug)]
pub struct Progress {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    throttle: Throttle,
    of: i64,
    began: Instant,
    /// Events of the partitions that are done, whose rows are known.
    loaded_events: i64,
    rows: u64,
    /// What they took, over all tasks.
    took: Took,
    partitions: usize,
    behind: i64,
    slowed_by: Option<String>,
    /// What indexing takes, a row, as far as it was measured.
    index_seconds_per_row: f64,
}

impl Progress {
    /// Nothing done yet; indexing takes so long a row.
    pub fn new(index_seconds_per_row: f64) -> Arc<Self> {
        let state = State {
            phase: Phase::Beginning,
            throttle: Throttle::new(1, None),
            of: 0,
            began: Instant::now(),
            loaded_events: 0,
            rows: 0,
            took: Took::default(),
            partitions: 0,
            behind: 0,
            slowed_by: None,
            index_seconds_per_row,
        };
        Arc::new(Self { state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loading begins, of so many events at this pace.
    pub(super) fn begin(&self, of: i64, throttle: Throttle) {
        let mut state = self.state();
        (state.phase, state.of, state.throttle, state.began) = (Phase::Filling, of, throttle, Instant::now());
    }

    /// The next step.
    pub(super) fn enter(&self, phase: Phase) {
        self.state().phase = phase;
    }

    /// A partition is loaded.
    pub(super) fn partition_done(&self, filled: &Filled) {
        let mut state = self.state();
        state.partitions += 1;
        state.rows += filled.rows;
        state.loaded_events += filled.position;
        state.took.reading += filled.took.reading;
        state.took.writing += filled.took.writing;
    }

    /// So many events are missing still.
    pub(super) fn behind(&self, events: i64) {
        self.state().behind = events;
    }

    /// Why it goes slower than it could; nothing where it does not.
    pub(super) fn slowed_by(&self, reason: Option<String>) {
        self.state().slowed_by = reason;
    }

    /// How it stands.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.state();
        let (events, elapsed) = (state.throttle.events(), state.began.elapsed().as_secs_f64());
        Snapshot {
            phase: state.phase,
            events,
            of: state.of,
            elapsed_seconds: elapsed,
            events_per_second: events as f64 / elapsed.max(0.001),
            eta_seconds: eta(&state, events),
            rows: state.rows,
            partitions: state.partitions,
            behind: state.behind,
            share: state.throttle.share(),
            slowed_by: state.slowed_by.clone(),
        }
    }
}

/// What is left to be read and to be written, at what the loaded partitions took for it, and the indexes of as many rows as their
/// events lead to expect.
fn eta(state: &State, events: i64) -> Option<f64> {
    if state.phase != Phase::Filling || state.loaded_events == 0 {
        return None;
    }
    let share_left = |left: f64| left.max(0.0) / state.loaded_events as f64;
    let reading = state.took.reading.as_secs_f64() * share_left((state.of - events) as f64);
    let writing = state.took.writing.as_secs_f64() * share_left((state.of - state.loaded_events) as f64);
    let rows = state.rows as f64 * state.of as f64 / state.loaded_events as f64;
    Some((reading + writing) / state.throttle.parallelism() as f64 + rows * state.index_seconds_per_row)
}

/// For whom progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// People: a bar where the output is a terminal.
    People,
    /// Programs: JSON lines on the standard output.
    Programs,
}

/// How often a terminal or a program, and a log, are told.
const OFTEN: Duration = Duration::from_millis(200);
const LOG: Duration = Duration::from_secs(5);

/// Shows a rebuild's progress until it is done, or until told to stop.
pub async fn report(progress: Arc<Progress>, audience: Audience, stop: CancellationToken) -> io::Result<()> {
    let terminal = audience == Audience::People && io::stderr().is_terminal();
    let bar = terminal.then(bar).transpose()?;
    let every = match audience {
        Audience::Programs => OFTEN,
        Audience::People if terminal => OFTEN,
        Audience::People => LOG,
    };
    let mut clock = interval(every);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let ended = stop.run_until_cancelled(clock.tick()).await.is_none();
        let snapshot = progress.snapshot();
        match (&bar, audience) {
            (Some(bar), _) => draw(bar, &snapshot),
            (None, Audience::Programs) => write_line(&serde_json::to_string(&snapshot)?)?,
            (None, Audience::People) => eprintln!("{}", text(&snapshot)),
        }
        if ended || snapshot.phase == Phase::Done {
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
            return Ok(());
        }
    }
}

fn write_line(line: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}

fn bar() -> io::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:30.cyan/blue} {percent:>3} %  {msg}").map_err(io::Error::other)?;
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    bar.set_style(style);
    Ok(bar)
}

fn draw(bar: &ProgressBar, snapshot: &Snapshot) {
    bar.set_length(snapshot.of.unsigned_abs());
    bar.set_position(snapshot.events.unsigned_abs());
    bar.set_message(text(snapshot));
}

fn text(snapshot: &Snapshot) -> String {
    let Snapshot { events, of, events_per_second, rows, behind, share, .. } = snapshot;
    let text = match snapshot.phase {
        Phase::Beginning => "beginning".to_owned(),
        Phase::Filling => {
            let eta = snapshot.eta_seconds.map_or_else(|| "-".to_owned(), duration);
            format!("{events} of {of} events, {rows} rows, {events_per_second:.0} events/s, ready in {eta}")
        }
        Phase::Indexing => format!("{rows} rows loaded; making keys and indexes"),
        Phase::CatchingUp => format!("catching up: {behind} events to go"),
        Phase::Done => format!("done: {events} events, {rows} rows"),
    };
    match &snapshot.slowed_by {
        Some(reason) if snapshot.phase == Phase::Filling => {
            format!("{text}; at {:.0} % of the pace: {reason}", share * 100.0)
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_that_of_the_events_and_of_the_indexes() {
        let progress = Progress::new(0.001);
        let throttle = Throttle::new(2, None);
        progress.begin(1_000, throttle);
        assert_eq!(progress.snapshot().eta_seconds, None, "nothing is loaded yet");
        let took = Took { reading: Duration::from_secs(10), writing: Duration::from_secs(2) };
        progress.partition_done(&Filled { position: 100, rows: 50, left: None, took });
        let state = progress.state();
        // Another 100 are read and not written: 800 take 80 s to be read, 900 take 18 s to be written, by two tasks; 500 rows are
        // indexed in half a second.
        let eta = eta(&state, 200).unwrap();
        assert!((eta - 49.5).abs() < 1e-6, "{eta}");
    }
}
