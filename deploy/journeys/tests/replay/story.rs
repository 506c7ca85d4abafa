//! The change story: version 2 of `leaderboards` (a new column and a new rule) comes to an installation that shows version 1,
//! under load from the first command to the last.

use std::collections::BTreeSet;

use fittrack_journeys::model::BoardRule::{AMinuteOrMore, EveryWorkout};
use fittrack_journeys::readers::{Plan as Reading, Readers, board};
use fittrack_journeys::rebuild::Rebuild;
use fittrack_journeys::writers::Writers;
use fittrack_journeys::{Athlete, TestStack, invariants};
use serde_json::Value;

use super::{
    api_of_all, builds, flip, history, json, number, refuses, replicas, retire, shown, stage, steadily, succeeds,
};

const QUERY_APIS: [&str; 2] = ["query-api", "query-api-2"];
/// Slow enough to be met in the middle.
const SLOWLY: [&str; 4] = ["--max-rate", "200", "--by", "anna"];
/// Beside load that does not end, a rebuild that gives way to it takes as long as the machine is slow.
const FAST: [&str; 3] = ["--full-speed", "--by", "anna"];

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_comes_to_a_busy_installation() {
    let stage = stage().await;
    let stack = &stage.stack;
    stack.spawn_replica("query-api").await.unwrap();
    let (api, replicas) = (api_of_all(stack, &QUERY_APIS), replicas(stack, &QUERY_APIS));

    let mut ledger = history(stack).await;
    let writers = Writers::start(&api, steadily()).await.unwrap();
    let readers = Readers::start(stack, &api, Reading::default()).await.unwrap();
    readers.all_see(&replicas, EveryWorkout).await.unwrap();

    planned(stack).await;
    let new = rebuilt_in_two_goes(stack, &writers).await;
    assert_eq!(readers.answers(AMinuteOrMore), 0, "a rebuild shows before it is promoted");

    verified(stack, &new).await;
    let before = Before::remember(&readers).await;
    let old = "leaderboards.v1";
    assert_eq!(flip(stack, &["promote", "--reason", "the minute"]).await, (old.to_owned(), new.clone()));
    before.still_works(&readers).await;
    readers.all_see(&replicas, AMinuteOrMore).await.unwrap();
    writers.more(40).await.unwrap();

    assert_eq!(flip(stack, &["rollback"]).await, (new.clone(), old.to_owned()));
    readers.all_see(&replicas, EveryWorkout).await.unwrap();
    writers.more(40).await.unwrap();

    assert_eq!(flip(stack, &["promote"]).await, (old.to_owned(), new.clone()));
    readers.all_see(&replicas, AMinuteOrMore).await.unwrap();
    flipped_in_haste(stack, &new).await;
    readers.all_see(&replicas, AMinuteOrMore).await.unwrap();

    let kept = refuses(stack, &retire("1", None)).await;
    assert!(kept.contains("24 hours"), "{kept}");
    readers.more(50).await.unwrap();
    let crowd = readers.crowd.clone();
    readers.stop().await.unwrap().all_right().unwrap();
    ledger.absorb(writers.stop().await.unwrap());
    ledger.athletes.extend(crowd.everybody().cloned());
    invariants::hold(stack, &ledger, "the change story").await.unwrap();

    // The old build was kept up to date all the while: going back is no going back in time.
    succeeds(stack, &["rollback", "leaderboards"]).await;
    invariants::hold(stack, &ledger, "a rollback").await.unwrap();
    succeeds(stack, &["promote", "leaderboards"]).await;
    retired(stack, &new).await;
    invariants::hold(stack, &ledger, "the retirement of version 1").await.unwrap();
    audited(stack).await;
}

/// The plan says what is true, and changes nothing.
async fn planned(stack: &TestStack) {
    let (builds_before, stored_before) = (builds(stack).await.len(), stored(stack).await);
    let answer = json(stack, &["rebuild", "leaderboards", "--plan"]).await;
    let (plan, stored_after) = (&answer["plan"], stored(stack).await);
    assert_eq!(builds(stack).await.len(), builds_before);

    let planned = number(plan, "events");
    assert!((stored_before..=stored_after).contains(&planned), "{stored_before} to {stored_after}: {plan}");
    assert_eq!(sum(&plan["events_by_partition"]), planned, "{plan}");
    let types: Vec<&str> =
        plan["events_by_type"].as_array().unwrap().iter().map(|one| one["event_type"].as_str().unwrap()).collect();
    for name in ["workout_logged", "workout_edited", "workout_deleted"] {
        assert!(types.contains(&name), "{name}: {plan}");
    }
    assert!(["bytes", "keys", "space_bytes"].iter().all(|name| number(plan, name) > 0), "{plan}");
    let seconds = |name: &str| plan["expected_seconds"][name].as_f64().unwrap();
    assert!(0.0 < seconds("low") && seconds("low") <= seconds("likely") && seconds("likely") <= seconds("high"));

    // A disk that would not hold it.
    let full = refuses(stack, &["rebuild", "leaderboards", "--yes", "--free-space", "1000"]).await;
    assert!(full.contains("space") || full.contains("disk"), "{full}");
    assert_eq!(builds(stack).await.len(), builds_before, "it has begun all the same");
}

async fn stored(stack: &TestStack) -> i64 {
    let mut store = stack.event_store().await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(&mut store).await.unwrap()
}

fn sum(counts: &Value) -> i64 {
    counts.as_array().unwrap().iter().map(|one| one["events"].as_i64().unwrap()).sum()
}

/// Killed in the middle, and finished by the same command; the name of what it has built.
async fn rebuilt_in_two_goes(stack: &TestStack, writers: &Writers) -> String {
    let mut first = Rebuild::start(stack, "leaderboards", &SLOWLY).unwrap();
    let met = first.says("some partitions are done", |line| number(line, "partitions") >= 2).await.unwrap();
    let second = refuses(stack, &["rebuild", "leaderboards", "--yes", "--by", "ben"]).await;
    assert!(second.contains("anna") && second.contains("since 20"), "it does not say who and since when: {second}");
    let build = builds(stack).await.into_iter().find(|build| build["shown"] == false).unwrap();
    assert_eq!(build["state"], "building", "{build}");
    let killed = first.kill().await.unwrap();
    assert!(number(&met, "events") < number(&met, "of"), "it was too fast to be met in the middle: {met}");
    assert_eq!(killed.status.code(), None, "{killed:?}");
    assert_eq!(shown(stack).await, "leaderboards.v1");

    writers.more(30).await.unwrap();
    let resumed = Rebuild::start(stack, "leaderboards", &FAST).unwrap().ended().await.unwrap();
    let (plan, done) = (resumed.plan(), resumed.done().unwrap());
    assert_eq!((&plan["resumes"], &plan["build"]), (&Value::from(true), &killed.plan()["build"]), "{resumed:?}");
    // Writers go on writing, also where nobody had written before; a partition that is loaded is not planned again.
    let planned = |plan: &Value| -> BTreeSet<i64> {
        plan["events_by_partition"].as_array().unwrap().iter().map(|one| number(one, "partition")).collect()
    };
    assert!(!planned(&plan).is_superset(&planned(&killed.plan())), "it begins anew: {resumed:?}");
    assert_eq!(done["build"], plan["build"], "{done}");
    plan["build"].as_str().unwrap().to_owned()
}

/// What was not compared is not shown; what differs is what was meant to.
async fn verified(stack: &TestStack, new: &str) {
    let too_early = refuses(stack, &["promote", "leaderboards"]).await;
    assert!(too_early.contains("verif"), "{too_early}");
    let report = json(stack, &["verify", "leaderboards"]).await;
    let names = (&report["build"], &report["with"]);
    assert_eq!(names, (&Value::from(new), &Value::from("leaderboards.v1")), "{report}");
    assert_eq!((number(&report, "unexplained_rows"), &report["undeclared_columns"]), (0, &Value::Array(vec![])));
    let intended: i64 = report["intended"].as_array().unwrap().iter().map(|one| number(one, "rows").max(0)).sum();
    assert!(intended > 0, "nobody has worked out for less than a minute: {report}");
}

/// There and back as fast as the commands go: readers, caches and live workers race with every one of them.
async fn flipped_in_haste(stack: &TestStack, new: &str) {
    for _ in 0..4 {
        succeeds(stack, &["rollback", "leaderboards"]).await;
        succeeds(stack, &["promote", "leaderboards"]).await;
    }
    assert_eq!(shown(stack).await, new);
}

/// What was given out before a promotion: the token of a write, and a cursor into a board.
struct Before {
    reader: Athlete,
    token: String,
    cursor: String,
}

impl Before {
    async fn remember(readers: &Readers) -> Self {
        let reader = readers.crowd.markers[0].0.clone();
        let renamed = reader.update_profile(&serde_json::json!({"bio": "before"})).await.unwrap();
        let page = reader.get(&format!("{}&limit=3", board("duration_s"))).await.unwrap();
        Self { reader, token: renamed.token(), cursor: page.json()["next"].as_str().unwrap().to_owned() }
    }

    async fn still_works(&self, readers: &Readers) {
        self.reader.get_seeing(&board("duration_s"), &self.token).await.unwrap();
        let rest = format!("{}&limit=200&cursor={}", board("duration_s"), self.cursor);
        let rest = self.reader.get(&rest).await.unwrap();
        // There were three before it.
        assert!(rest.items().len() <= readers.crowd.ranked(EveryWorkout) - 3, "{rest}");
    }
}

/// What readers saw before is gone for good, and nobody misses it.
async fn retired(stack: &TestStack, new: &str) {
    succeeds(stack, &retire("1", Some("0"))).await;
    assert_eq!((builds(stack).await.len(), shown(stack).await.as_str()), (1, new));
    let all = json(stack, &["status", "--retired"]).await.to_string();
    assert!(all.contains("\"retired\""), "{all}");
    refuses(stack, &["rollback", "leaderboards"]).await;
    refuses(stack, &retire("2", Some("0"))).await;
}

/// Who decided what, in order.
async fn audited(stack: &TestStack) {
    let audit = json(stack, &["audit"]).await;
    let decisions: Vec<(&str, &str)> = audit["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|decision| decision["decided_by"] == "anna")
        .map(|decision| (decision["action"].as_str().unwrap(), decision["reason"].as_str().unwrap_or("")))
        .collect();
    let newest_first = [("promoted", ""), ("rolled_back", ""), ("promoted", "the minute")];
    assert_eq!(decisions[..3], newest_first, "{audit}");
    assert!(decisions[3..].iter().any(|(action, _)| *action == "rebuild_done"), "{audit}");
}
