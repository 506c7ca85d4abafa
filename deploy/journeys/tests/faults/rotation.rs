//! New passwords of the databases under load, without a restart (S-62): the files of the URLs are rewritten, the roles altered, and
//! every old connection ended, as `deploy/runbooks/keys-and-secrets.md` says.

use std::fs;
use std::path::PathBuf;

use fittrack_journeys::process::OwnProcess;
use fittrack_journeys::writers::Plan;
use fittrack_journeys::{TestStack, bodies, invariants};
use fittrack_local::databases::{EVENT_STORE, Role};

use super::{SOME, stage, under_load};

const SERVICES: [(&str, &str); 3] = [("command-api", "serve"), ("projectors", "run"), ("query-api", "serve")];

#[tokio::test(flavor = "multi_thread")]
async fn new_database_passwords_are_used_without_a_restart() {
    let stage = stage().await;
    let stack = &stage.stack;
    let mut services = Vec::new();
    for (service, command) in SERVICES {
        stack.stop_process(service).await.unwrap();
        let settings = with_urls_in_files(stack, service);
        services.push(OwnProcess::spawn_with(stack, service, &[command], settings).unwrap());
    }
    for service in &mut services {
        service.ready(stack).await.unwrap();
    }
    let writers = under_load(stack, Plan::default()).await;

    rotate(stack, new_password).await;
    let mut server = stack.event_store().await.unwrap();
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename LIKE 'fittrack\\_%'";
    let ended: i64 = sqlx::query_scalar(end).fetch_one(&mut server).await.unwrap();
    assert!(ended >= 10, "only {ended} connections were there to end");
    writers.more(SOME).await.unwrap();
    // One write and one read through everything: relay, Kafka, projectors, query API.
    let athlete = stack.api().unwrap().register("Rotated").await.unwrap();
    let logged = athlete.log(&bodies::run("2025-01-05T06:00:00Z")).await.unwrap();
    athlete.get_seeing("/v1/me/analytics/totals?by=week", &logged.token()).await.unwrap();

    // And back, so that the operators' commands, which the invariants need, can log in with what the stack told them.
    rotate(stack, |role| first_password(stack, role)).await;
    writers.more(SOME).await.unwrap();
    let ledger = writers.stop().await.unwrap();
    invariants::hold(stack, &ledger, "new passwords").await.unwrap();
    for service in &mut services {
        // The very processes that were started with the first passwords.
        service.ready(stack).await.unwrap();
    }
}

/// Puts the new password of its role into every file, whole or not at all, and gives it to every role.
async fn rotate(stack: &TestStack, password: impl Fn(Role) -> String) {
    let mut changed = 0;
    for entry in fs::read_dir(folder(stack)).unwrap() {
        let path = entry.unwrap().path();
        let mut url = reqwest::Url::parse(&fs::read_to_string(&path).unwrap()).unwrap();
        let role = Role::ALL.into_iter().find(|role| role.name() == url.username()).unwrap();
        url.set_password(Some(&password(role))).unwrap();
        let draft = path.with_extension("draft");
        fs::write(&draft, url.as_str()).unwrap();
        fs::rename(&draft, &path).unwrap();
        changed += 1;
    }
    assert_eq!(changed, 10, "six of the command API, two of the projectors, two of the query API");
    let mut server = stack.event_store().await.unwrap();
    for role in Role::ALL {
        fittrack_journeys::secrets::know("a new database password", &password(role));
        let alter = format!("ALTER ROLE {} PASSWORD '{}'", role.name(), password(role));
        sqlx::query(&alter).execute(&mut server).await.unwrap();
    }
}

/// The settings of a service, each URL of a database in a file of its own.
fn with_urls_in_files(stack: &TestStack, service: &str) -> Vec<(String, String)> {
    let folder = folder(stack);
    fs::create_dir_all(&folder).unwrap();
    let as_file = |(key, value): (String, String)| {
        if !value.starts_with("postgres://") {
            return (key, value);
        }
        let file = folder.join(format!("{service}-{key}"));
        fs::write(&file, value).unwrap();
        (format!("{key}_FILE"), file.display().to_string())
    };
    stack.settings(service).unwrap().into_iter().map(as_file).collect()
}

fn new_password(role: Role) -> String {
    format!("rotated-{}-{:08x}", role.name(), std::process::id())
}

fn first_password(stack: &TestStack, role: Role) -> String {
    let url = reqwest::Url::parse(&stack.role_url(EVENT_STORE, role).unwrap()).unwrap();
    url.password().unwrap().to_owned()
}

fn folder(stack: &TestStack) -> PathBuf {
    stack.dir().join("urls")
}
