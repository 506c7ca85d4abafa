//! Replaying history: 1,000,000 events of 20,000 athletes rebuilt into read models, against a bare stream of the same columns out
//! of Postgres; what users feel of it meanwhile; and the pause at a promotion.
use std::{process::Stdio, str::FromStr, time::Duration};

use command_api::store::{EventStore, append::Outcome};
use fittrack_domain::partition::DEFAULT_PARTITIONS;
use fittrack_local::{Parts, Stack, StackOptions, databases, services::Service};
use futures::{StreamExt, TryStreamExt, future, stream};
use serde_json::Value;
use sqlx::{
    Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Failure,
    figure::{Bound, Figure},
    measure::{cpu_seconds, median, ms, percentile},
    projecting::wait_until,
    requests::{at_rate, new_athlete, workout_body},
    workload::{EVENTS_EACH, History},
};

/// How many events there are.
const EVENTS: u64 = 1_000_000;
/// Of how many athletes.
const ATHLETES: u64 = EVENTS / EVENTS_EACH;
/// The read models.
const NAMES: [&str; 6] = ["workouts", "profiles", "totals", "leaderboards", "measurements", "privacy_zones"];
/// How long users are watched without a rebuild; beside one, until it is done.
const WATCHED: Duration = Duration::from_secs(10);
/// Commands and queries a second meanwhile.
const COMMANDS: u32 = 50;
const QUERIES: u32 = 200;
/// How often another build is shown.
const FLIPS: usize = 9;

/// All figures of a replay, measured on a stack that has nothing yet; the one at hand rests meanwhile.
pub async fn on_a_fresh_stack(resting: &Stack, repeats: u32) -> Result<Vec<Figure>, Failure> {
    for process in ["projectors", "query-api", "command-api"] {
        resting.stop_process(process).await?;
    }
    let stack = Stack::temporary(Parts::Everything, StackOptions::built_beside_this_test()?).await?;
    let figures = run(&stack, repeats).await;
    drop(stack);
    for process in ["command-api", "query-api", "projectors"] {
        resting.start_process(process).await?;
    }
    figures
}

/// All figures of a replay.
async fn run(stack: &Stack, repeats: u32) -> Result<Vec<Figure>, Failure> {
    stack.stop_process("projectors").await?;
    fill(stack).await?;
    let store = PgPool::connect(&stack.database_url(databases::EVENT_STORE)?).await?;
    wait_until("the relay has published the history", async || crate::projecting::relayed(&store).await).await?;
    store.execute("VACUUM ANALYZE events").await?;
    let mut figures = rebuilds(stack, &store, repeats).await?;
    figures.extend(together(stack).await?);
    serve_the_rebuilt(stack).await?;
    figures.extend(users(stack, repeats).await?);
    figures.extend(promotion(stack).await?);
    Ok(figures)
}

/// Fills the store through the append function, as the command API would.
async fn fill(stack: &Stack) -> Result<(), Failure> {
    let options = PgConnectOptions::from_str(&stack.role_url(databases::EVENT_STORE, databases::Role::Command)?)?;
    let pool = PgPoolOptions::new().max_connections(4).connect_with(options).await?;
    let (store, lanes) = EventStore::open(pool, DEFAULT_PARTITIONS);
    let stop = CancellationToken::new();
    let working = tokio::spawn(lanes.run(stop.clone()));
    // Each athlete's commands one after the other, as they come; many athletes at once.
    let stored = stream::iter(0..ATHLETES)
        .map(|number| store_history(&store, number))
        .buffer_unordered(1_000)
        .try_fold(0, async |sum, events| Ok(sum + events))
        .await?;
    if stored != EVENTS {
        return Err(format!("{stored} events were made, not {EVENTS}").into());
    }
    stop.cancel();
    working.await?;
    Ok(())
}

async fn store_history(store: &EventStore, number: u64) -> Result<u64, Failure> {
    let mut events = 0;
    for append in History::of(number..number + 1) {
        if !matches!(store.append(append?).await?, Outcome::Stored(_)) {
            return Err("the made-up history is in the store already: this benchmark needs a fresh stack".into());
        }
        events += 1;
    }
    Ok(events)
}

/// What a rebuild said of itself.
#[derive(Debug, Clone, Copy, Default)]
struct Rebuilt {
    /// Loading and indexing.
    seconds: f64,
    events: f64,
    /// What it expected to take in all, at a tenth of the way.
    expected_seconds: Option<f64>,
    /// The most memory it had, in megabytes.
    peak_mb: f64,
}

async fn rebuild(stack: &Stack, name: &str) -> Result<Rebuilt, Failure> {
    let mut command = tokio::process::Command::from(stack.operator_command(Service::Projectors)?);
    let mut child = command
        .args(["rebuild", name, "--yes", "--json", "--by", "bench"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = child.stdout.take().ok_or("the rebuild has no output")?;
    let mut lines = BufReader::new(output).lines();
    let mut rebuilt = Rebuilt::default();
    while let Some(line) = lines.next_line().await? {
        rebuilt.peak_mb = peak_mb(&child).unwrap_or(rebuilt.peak_mb);
        rebuilt.read(&serde_json::from_str(&line)?);
    }
    if !child.wait().await?.success() {
        return Err(format!("the rebuild of {name} failed").into());
    }
    Ok(rebuilt)
}

impl Rebuilt {
    fn read(&mut self, line: &Value) {
        let number = |value: &Value| value.as_f64();
        if let Some(done) = line.get("done") {
            self.events = number(&done["events"]).unwrap_or_default();
            self.seconds =
                number(&done["fill_seconds"]).unwrap_or_default() + number(&done["index_seconds"]).unwrap_or_default();
        }
        let (events, of) = (number(&line["events"]), number(&line["of"]));
        let at_a_tenth = matches!((events, of), (Some(events), Some(of)) if of > 0.0 && events >= of / 10.0);
        if let (true, None, Some(left), Some(elapsed)) =
            (at_a_tenth, self.expected_seconds, number(&line["eta_seconds"]), number(&line["elapsed_seconds"]))
        {
            self.expected_seconds = Some(elapsed + left);
        }
    }
}

fn peak_mb(child: &Child) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()?)).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").trim().parse::<f64>().ok()? / 1024.0)
}

async fn projectors(stack: &Stack, arguments: &[&str]) -> Result<Value, Failure> {
    let output =
        tokio::process::Command::from(stack.operator_command(Service::Projectors)?).args(arguments).output().await?;
    if !output.status.success() {
        return Err(format!("projectors {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
}

/// The generation that readers do not see.
async fn unseen(stack: &Stack, name: &str) -> Result<Option<(String, String)>, Failure> {
    let status = projectors(stack, &["status", "--json"]).await?;
    let all = status["projections"].as_array().cloned().unwrap_or_default();
    let unseen = all.iter().find(|one| one["projection"] == name && one["shown"] == false);
    Ok(unseen.map(|one| (one["version"].to_string(), one["generation"].to_string())))
}

async fn retire_unseen(stack: &Stack, name: &str) -> Result<(), Failure> {
    if let Some((version, generation)) = unseen(stack, name).await? {
        let build = ["--version", &version, "--generation", &generation, "--grace-hours", "0", "--by", "bench"];
        projectors(stack, &[&["retire", name][..], &build].concat()).await?;
    }
    Ok(())
}

const STREAM: &str = "
COPY (SELECT position, event_type, event_version, sequence, occurred_at, recorded_at, event_id, payload
      FROM events ORDER BY partition, position) TO STDOUT";

/// The baseline: the columns a rebuild reads, streamed and thrown away.
async fn stream_seconds(store: &PgPool) -> Result<f64, Failure> {
    let started = Instant::now();
    let mut connection = store.acquire().await?;
    connection.copy_out_raw(STREAM).await?.try_for_each(|_| future::ready(Ok(()))).await?;
    Ok(started.elapsed().as_secs_f64())
}

/// Rebuilds of the leaderboards, each beside a bare stream.
async fn rebuilds(stack: &Stack, store: &PgPool, repeats: u32) -> Result<Vec<Figure>, Failure> {
    let (mut ours, mut streamed, mut missed, mut peaks) = (vec![], vec![], vec![], vec![]);
    for _ in 0..repeats {
        streamed.push(EVENTS as f64 / stream_seconds(store).await?);
        let rebuilt = rebuild(stack, "leaderboards").await?;
        ours.push(rebuilt.events / rebuilt.seconds);
        peaks.push(rebuilt.peak_mb);
        if let Some(expected) = rebuilt.expected_seconds {
            missed.push((expected / rebuilt.seconds - 1.0).abs() * 100.0);
        }
        retire_unseen(stack, "leaderboards").await?;
    }
    let figure = |name: &str, value, unit, baseline, bound| Figure {
        name: name.to_owned(),
        value,
        unit,
        baseline,
        bound,
        cpu_us: None,
    };
    Ok(vec![
        figure(
            "rebuild of leaderboards / COPY of the same columns",
            median(&ours),
            "events/s",
            Some(median(&streamed)),
            Bound::RatioAtLeast(0.5),
        ),
        figure("time expected at a tenth of it, off by", median(&missed), "%", None, Bound::AtMost(20.0)),
        figure("memory of the rebuild of leaderboards", median(&peaks), "MB", None, Bound::AtMost(600.0)),
    ])
}

/// All at once, each in a process of its own.
async fn together(stack: &Stack) -> Result<Vec<Figure>, Failure> {
    let started = Instant::now();
    let rebuilt = future::try_join_all(NAMES.map(|name| rebuild(stack, name))).await?;
    let seconds = started.elapsed().as_secs_f64();
    let peak: f64 = rebuilt.iter().map(|one| one.peak_mb).sum();
    let figure = |name: &str, value, unit, bound| Figure {
        name: name.to_owned(),
        value,
        unit,
        baseline: None,
        bound,
        cpu_us: None,
    };
    Ok(vec![
        figure("all read models rebuilt together", EVENTS as f64 / seconds, "events/s", Bound::None),
        figure("memory of their processes together", peak, "MB", Bound::AtMost(600.0)),
    ])
}

/// Shows what was rebuilt, which is at the head, and lets the projectors keep it there.
async fn serve_the_rebuilt(stack: &Stack) -> Result<(), Failure> {
    for name in NAMES {
        projectors(stack, &["promote", name, "--force", "--reason", "a benchmark", "--by", "bench", "--json"]).await?;
        retire_unseen(stack, name).await?;
    }
    stack.start_process("projectors").await?;
    // Nobody has told these builds where they stand in Kafka, so they pass over the whole topic first.
    let pid = [stack.pid("projectors")?.ok_or("projectors do not run")?];
    wait_until("the projectors have nothing to do", async || {
        let before = cpu_seconds(&pid);
        sleep(Duration::from_secs(1)).await;
        Ok(cpu_seconds(&pid) - before < 0.2)
    })
    .await
}

/// What users feel.
#[derive(Default)]
struct Felt {
    commands: Vec<f64>,
    queries: Vec<f64>,
}

/// p99 of commands and of cached queries during rebuilds, and without.
async fn users(stack: &Stack, repeats: u32) -> Result<Vec<Figure>, Failure> {
    watch_users(stack, sleep(WATCHED)).await?; // the first requests of a process are slower
    let (mut with, mut without) = ((vec![], vec![]), (vec![], vec![]));
    for _ in 0..repeats {
        let felt = watch_users(stack, sleep(WATCHED)).await?;
        without.0.push(percentile(&felt.commands, 0.99));
        without.1.push(percentile(&felt.queries, 0.99));
        let done = CancellationToken::new();
        let rebuilding = async {
            let rebuilt = rebuild(stack, "leaderboards").await;
            done.cancel();
            rebuilt
        };
        let (felt, _) = tokio::try_join!(watch_users(stack, done.clone().cancelled_owned()), rebuilding)?;
        with.0.push(percentile(&felt.commands, 0.99));
        with.1.push(percentile(&felt.queries, 0.99));
        retire_unseen(stack, "leaderboards").await?;
    }
    let figure = |name: &str, with: &[f64], without: &[f64]| Figure {
        name: format!("p99 of {name} during a rebuild / without"),
        value: median(with),
        unit: "ms",
        baseline: Some(median(without)),
        bound: Bound::RatioAtMost(1.5),
        cpu_us: None,
    };
    Ok(vec![figure("commands", &with.0, &without.0), figure("cached queries", &with.1, &without.1)])
}

async fn watch_users(stack: &Stack, until: impl Future<Output = ()>) -> Result<Felt, Failure> {
    let over = CancellationToken::new();
    let (command, query) = (stack.url("command-api")?, stack.url("query-api")?);
    let (writer, reader) = (new_athlete(stack).await?.token, new_athlete(stack).await?.token);
    let http = reqwest::Client::new();
    let (workouts, totals) = (format!("{command}/v1/workouts"), format!("{query}/v1/me/analytics/totals?by=week"));
    let post = || http.post(&workouts).bearer_auth(&writer).json(&workout_body()).send();
    let get = || http.get(&totals).bearer_auth(&reader).send();
    let ending = async {
        until.await;
        over.cancel();
        Ok(())
    };
    let ((), commands, queries) =
        tokio::try_join!(ending, at_rate(COMMANDS, &over, post), at_rate(QUERIES, &over, get))?;
    Ok(Felt { commands, queries })
}

const BOARD: &str = "
SELECT athlete_id, distance_mm FROM leaderboards
WHERE period = 'all' AND starts_on = '1970-01-01' AND sport = 'yoga' ORDER BY distance_mm DESC LIMIT 20";

/// The longest a reader waits for a row of the board while another build is shown, beside what it waits usually.
async fn promotion(stack: &Stack) -> Result<Vec<Figure>, Failure> {
    rebuild(stack, "leaderboards").await?;
    projectors(stack, &["verify", "leaderboards", "--json"]).await?;
    let mut reader = PgConnection::connect(&stack.role_url(databases::READ_MODELS, databases::Role::Query)?).await?;
    let (mut longest, mut usual, mut held) = (vec![], vec![], vec![]);
    for flip in 0..FLIPS {
        let command = if flip % 2 == 0 { "promote" } else { "rollback" };
        let arguments = [command, "leaderboards", "--json", "--by", "bench"];
        let mut switching = std::pin::pin!(projectors(stack, &arguments));
        let mut waits = Vec::new();
        let switched = loop {
            let asked = Instant::now();
            let _rows = tokio::select! {
                biased;
                switched = &mut switching => break switched?,
                rows = reader.execute(BOARD) => rows?,
            };
            waits.push(ms(asked.elapsed()));
        };
        usual.push(percentile(&waits, 0.5));
        longest.push(percentile(&waits, 1.0));
        held.push(switched["held_ms"].as_f64().unwrap_or_default());
    }
    let figure = |name: &str, value, baseline| Figure {
        name: name.to_owned(),
        value,
        unit: "ms",
        baseline,
        bound: Bound::AtMost(50.0),
        cpu_us: None,
    };
    Ok(vec![
        figure("longest wait of a reader at a promotion, beside its usual one", median(&longest), Some(median(&usual))),
        figure("how long a promotion held the view", median(&held), None),
    ])
}
