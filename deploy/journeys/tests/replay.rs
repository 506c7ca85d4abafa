//! A read model changes its shape on whole stacks under load: planned, rebuilt, compared, promoted, taken back and retired
//! by the operators' commands, while readers judge every answer and invariants I1 to I9 are checked afterwards.
//! One stack at a time, as in `faults.rs`; each begins as an installation that still shows version 1 of `leaderboards`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helpers fail loudly as the test itself does"
)]

mod replay {
    mod faults;
    mod story;

    use std::time::Duration;

    use fittrack_journeys::ledger::Ledger;
    use fittrack_journeys::rebuild::Rebuild;
    use fittrack_journeys::writers::{Plan, Writers};
    use fittrack_journeys::{Api, TestStack};
    use fittrack_local::services::Service;
    use serde_json::Value;
    use tokio::sync::{Mutex, MutexGuard};

    static TURN: Mutex<()> = Mutex::const_new(());

    /// A stack of one's own that shows version 1 of `leaderboards`; the next test waits until it is gone.
    struct Stage {
        stack: TestStack,
        _turn: MutexGuard<'static, ()>,
    }

    async fn stage() -> Stage {
        let turn = TURN.lock().await;
        let stack = TestStack::start().await.unwrap();
        go_back_to_version_1(&stack).await;
        Stage { stack, _turn: turn }
    }

    /// A new installation shows the newest version and has no other.
    async fn go_back_to_version_1(stack: &TestStack) {
        rebuilt(stack, &["--version", "1"]).await;
        for command in [&["verify", "leaderboards"][..], &["promote", "leaderboards"], &retire("2", Some("0"))] {
            succeeds(stack, command).await;
        }
        assert_eq!(shown(stack).await, "leaderboards.v1");
    }

    /// Some months of an app, so that a rebuild takes a while.
    async fn history(stack: &TestStack) -> Ledger {
        let plan = Plan { athletes: 8, pause: Duration::ZERO, ..Plan::default() };
        let writers = Writers::start(&stack.api().unwrap(), plan).await.unwrap();
        writers.more(1_000).await.unwrap();
        writers.stop().await.unwrap()
    }

    /// Writers that leave the machine time for other things.
    fn steadily() -> Plan {
        Plan { athletes: 3, pause: Duration::from_millis(80), ..Plan::default() }
    }

    /// Rebuilds `leaderboards` to its end; what it says it did.
    async fn rebuilt(stack: &TestStack, arguments: &[&str]) -> Value {
        let ended = Rebuild::start(stack, "leaderboards", arguments).unwrap().ended().await.unwrap();
        ended.done().unwrap().clone()
    }

    fn retire<'a>(version: &'a str, grace_hours: Option<&'a str>) -> Vec<&'a str> {
        let command = ["retire", "leaderboards", "--version", version, "--reason", "a test's"];
        let grace = grace_hours.into_iter().flat_map(|hours| ["--grace-hours", hours]);
        command.into_iter().chain(grace).collect()
    }

    /// What a command of `projectors` prints where it must succeed.
    async fn succeeds(stack: &TestStack, arguments: &[&str]) -> String {
        let output = stack.operator(Service::Projectors, arguments).await.unwrap();
        let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?} ended with {}:\n{text}\n{errors}", output.status);
        text.into_owned()
    }

    async fn json(stack: &TestStack, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--json"]].concat();
        serde_json::from_str(&succeeds(stack, &arguments).await).unwrap()
    }

    /// What it says where it must refuse.
    async fn refuses(stack: &TestStack, arguments: &[&str]) -> String {
        let output = stack.operator(Service::Projectors, arguments).await.unwrap();
        let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{arguments:?}:\n{text}\n{errors}");
        format!("{text}{errors}")
    }

    /// Promotes or rolls back, as Anna: what readers saw before, and what they see then.
    async fn flip(stack: &TestStack, arguments: &[&str]) -> (String, String) {
        let (command, others) = arguments.split_first().unwrap();
        let flipped = json(stack, &[&[*command, "leaderboards", "--by", "anna"], others].concat()).await;
        eprintln!("{command}: {flipped}");
        let build = |name: &str| flipped[name].as_str().unwrap().to_owned();
        (build("from"), build("to"))
    }

    /// Every build of `leaderboards` that is not retired, as `status` has it.
    async fn builds(stack: &TestStack) -> Vec<Value> {
        let status = json(stack, &["status"]).await;
        let all = status["projections"].as_array().unwrap().iter();
        all.filter(|build| build["projection"] == "leaderboards").cloned().collect()
    }

    /// The build of `leaderboards` that readers see.
    async fn shown(stack: &TestStack) -> String {
        let builds = builds(stack).await;
        let shown: Vec<&Value> = builds.iter().filter(|build| build["shown"] == true).collect();
        assert_eq!(shown.len(), 1, "{builds:?}");
        name(shown[0])
    }

    /// A whole number in a line of JSON; -1 where there is none.
    fn number(line: &Value, name: &str) -> i64 {
        line[name].as_i64().unwrap_or(-1)
    }

    /// `leaderboards.v1`, or `leaderboards.v2.g2`.
    fn name(build: &Value) -> String {
        let (version, generation) = (&build["version"], build["generation"].as_i64().unwrap());
        let generation = if generation == 1 { String::new() } else { format!(".g{generation}") };
        format!("leaderboards.v{version}{generation}")
    }

    /// A client for each query API of a stack.
    fn replicas(stack: &TestStack, names: &[&str]) -> Vec<Api> {
        let api =
            |name: &&str| Api::new(vec![stack.url("command-api").unwrap()], vec![stack.url(name).unwrap()]).unwrap();
        names.iter().map(api).collect()
    }

    /// One client that asks all of these query APIs in turn.
    fn api_of_all(stack: &TestStack, names: &[&str]) -> Api {
        let queries = names.iter().map(|name| stack.url(name).unwrap()).collect();
        Api::new(vec![stack.url("command-api").unwrap()], queries).unwrap()
    }
}
