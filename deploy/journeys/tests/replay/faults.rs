//! What may happen while a version is rebuilt: the rebuild itself, the projectors, Kafka and Postgres are killed in the middle of it,
//! each at a random moment, and an owner is parked. The rows it comes to are the same.

use fittrack_journeys::model::BoardRule::AMinuteOrMore;
use fittrack_journeys::patience::until;
use fittrack_journeys::readers::{Plan as Reading, Readers};
use fittrack_journeys::rebuild::Rebuild;
use fittrack_journeys::writers::Writers;
use fittrack_journeys::{Athlete, TestStack, bodies, invariants, poison};
use fittrack_local::{KAFKA, POSTGRES, Parts};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use super::{flip, history, json, number, rebuilt, retire, shown, stage, steadily, succeeds};

/// Slow enough to go on through all of it, whatever the machine.
const VERY_SLOWLY: [&str; 4] = ["--max-rate", "60", "--by", "anna"];
/// Stands for the rebuild among the processes of a stack.
const REBUILD: &str = "rebuild";

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_outlives_whatever_is_killed_beside_it() {
    let seed = std::env::var("FITTRACK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    eprintln!("seed {seed}; FITTRACK_SEED={seed} makes the same schedule again");
    let mut random = StdRng::seed_from_u64(seed);
    let stage = stage().await;
    let stack = &stage.stack;
    let api = stack.api().unwrap();
    let mut ledger = history(stack).await;
    let writers = Writers::start(&api, steadily()).await.unwrap();

    // Boards are served all the while; who waits for a dead projector with a token waits in vain.
    let reading = Reading { with_tokens: false, seed, ..Reading::default() };
    let readers = Readers::start(stack, &api, reading).await.unwrap();
    let mut victims = [REBUILD, "projectors", KAFKA, REBUILD];
    victims.shuffle(&mut random);
    let mut running = Rebuild::start(stack, "leaderboards", &VERY_SLOWLY).unwrap();
    for victim in victims {
        running = killed_in_the_middle(stack, running, victim, random.random_range(5..25)).await;
        writers.more(30).await.unwrap();
        stack.ensure_up(Parts::Everything).await.unwrap();
    }
    assert_eq!(readers.answers(AMinuteOrMore), 0, "a rebuild shows before it is promoted");
    let crowd = readers.crowd.clone();
    readers.stop().await.unwrap().all_right().unwrap();

    // Without Postgres there is nothing to be served, and nothing to be rebuilt from.
    at(&mut running, 10).await;
    stack.kill(POSTGRES).await.unwrap();
    let failed = running.ended().await.unwrap();
    assert!(failed.status.code() == Some(1) && !failed.errors.is_empty(), "{failed:?}");
    stack.ensure_up(Parts::Everything).await.unwrap();

    let ended = Rebuild::start(stack, "leaderboards", &["--by", "anna"]).unwrap().ended().await.unwrap();
    assert_eq!(ended.plan()["resumes"], true, "{ended:?}");
    let new = ended.done().unwrap()["build"].as_str().unwrap().to_owned();
    sound(stack).await;
    assert_eq!(flip(stack, &["promote"]).await, ("leaderboards.v1".to_owned(), new));
    writers.more(30).await.unwrap();
    ledger.absorb(writers.stop().await.unwrap());
    ledger.athletes.extend(crowd.everybody().cloned());
    invariants::hold(stack, &ledger, &format!("a rebuild through the faults of seed {seed}")).await.unwrap();

    rebuilt_beside_somebody_parked(stack).await;
}

/// Waits until so much of the rebuild is done.
async fn at(rebuild: &mut Rebuild, percent: i64) {
    let met = |line: &Value| {
        let (events, of) = (number(line, "events"), number(line, "of"));
        of > 0 && events * 100 >= of * percent
    };
    rebuild.says(&format!("{percent} % are done"), met).await.unwrap();
}

/// Kills one of those when so much is done; a rebuild that is under way afterwards.
async fn killed_in_the_middle(stack: &TestStack, mut running: Rebuild, victim: &str, percent: i64) -> Rebuild {
    at(&mut running, percent).await;
    eprintln!("kill -9 of {victim} at {percent} %");
    if victim != REBUILD {
        stack.kill(victim).await.unwrap();
        return running;
    }
    let killed = running.kill().await.unwrap();
    assert_eq!(killed.status.code(), None, "{killed:?}");
    Rebuild::start(stack, "leaderboards", &VERY_SLOWLY).unwrap()
}

/// Old and new agree in all that was not meant to change.
async fn sound(stack: &TestStack) {
    let report = json(stack, &["verify", "leaderboards"]).await;
    assert_eq!((number(&report, "unexplained_rows"), &report["undeclared_columns"]), (0, &Value::Array(vec![])));
}

/// Whoever is parked in what is shown is parked in what is rebuilt, at the same event; everybody else is in it.
async fn rebuilt_beside_somebody_parked(stack: &TestStack) {
    let victim = stack.api().unwrap().register("Parked").await.unwrap();
    victim.log(&bodies::run("2025-01-05T06:00:00Z")).await.unwrap();
    poison::append(stack, &victim).await.unwrap();
    victim.log(&bodies::run("2025-01-06T06:00:00Z")).await.unwrap();
    succeeds(stack, &retire("1", Some("0"))).await;
    let before = shown(stack).await;
    let parked = parked_once_there(stack, &victim, &before).await;
    let done = rebuilt(stack, &[]).await;
    let new = done["build"].as_str().unwrap();
    assert!(done["left"].to_string().contains("cannot be folded"), "{done}");
    assert_eq!(parked_once_there(stack, &victim, new).await, parked);
    sound(stack).await;
    succeeds(stack, &["promote", "leaderboards"]).await;
    assert_eq!(shown(stack).await, new);
}

/// The positions parked of somebody in a build: the poison and what came behind it.
async fn parked_once_there(stack: &TestStack, victim: &Athlete, build: &str) -> Vec<i64> {
    let mut read_models = stack.read_models().await.unwrap();
    until("the poison and what is behind it are parked", async || {
        let parked = "SELECT position FROM parked_events WHERE owner_id = $1 AND worker = $2 ORDER BY position";
        let positions = sqlx::query_scalar(parked).bind(victim.id).bind(build).fetch_all(&mut read_models).await;
        match positions {
            Ok(positions) if positions.len() == 2 => Ok(positions),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .unwrap()
}
