//! Looks for secrets in what a stack has written: the logs of every process of it, Postgres' and Kafka's too, and the metrics its
//! services show. [`crate::stack::TestStack`] does so when it ends, so that no test can forget it.

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aho_corasick::AhoCorasick;
use fittrack_local::Stack;
use fittrack_local::services::Service;

use crate::client::Answer;
use crate::failure::{Failure, Result};
use crate::secrets;

/// How many a failure shows.
const SHOWN: usize = 10;
/// How long a process may take to show its metrics; a paused or dead one shows none.
const METRICS: Duration = Duration::from_secs(2);

/// A secret where it must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// The file or page, and the line of it.
    pub at: String,
    /// What kind of secret it is.
    pub what: String,
    /// The line, without the secrets in it.
    pub line: String,
}

impl fmt::Display for Leak {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} shows {}: {}", self.at, self.what, self.line)
    }
}

/// Those that answers have shown, until a stack ends and says so; a test may have taken the failure for a lost answer.
static ANSWERED: Mutex<Vec<Leak>> = Mutex::new(Vec::new());

/// Looks at a problem document as it arrives.
///
/// # Errors
/// When it shows a secret.
pub(crate) fn check_problem(answer: &Answer) -> Result<()> {
    if answer.header("content-type") != Some("application/problem+json") {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&answer.body);
    let Some(what) = secrets::shown_in(&text) else { return Ok(()) };
    let leak = Searcher::new(secrets::known())?.in_text(&format!("the answer to {}", answer.call), &text).pop();
    let leak = leak.unwrap_or_else(|| Leak { at: answer.call.clone(), what, line: String::new() });
    let failure = Failure::new(&leak);
    let mut answered = ANSWERED.lock().unwrap_or_else(PoisonError::into_inner);
    if answered.len() < SHOWN {
        answered.push(leak);
    }
    Err(failure)
}

/// Everything a stack shows now: in its logs, on its metrics pages, and what its answers have shown before.
/// Blocks for a moment; may be called anywhere, in a runtime or not.
///
/// # Errors
/// When a log cannot be read.
pub fn of_stack(stack: &Stack) -> Result<Vec<Leak>> {
    let searcher = Searcher::new(secrets::known())?;
    let mut leaks = std::mem::take(&mut *ANSWERED.lock().unwrap_or_else(PoisonError::into_inner));
    leaks.extend(searcher.in_folder(&stack.dir().join("logs"))?);
    for (process, page) in metrics_pages(stack) {
        leaks.extend(searcher.in_text(&format!("the metrics of {process}"), &page));
    }
    Ok(leaks)
}

/// What is said of them in a test's output.
pub fn described(leaks: &[Leak]) -> String {
    let mut text = format!("secrets are shown in {} places:", leaks.len());
    for leak in leaks.iter().take(SHOWN) {
        text = format!("{text}\n  {leak}");
    }
    text
}

/// Finds any of many secrets in one pass.
pub struct Searcher {
    automaton: AhoCorasick,
    secrets: Vec<(String, String)>,
}

impl Searcher {
    /// For these secrets, each with what it is.
    ///
    /// # Errors
    /// When there are too many.
    pub fn new(secrets: Vec<(String, String)>) -> Result<Self> {
        Ok(Self { automaton: AhoCorasick::new(secrets.iter().map(|(secret, _)| secret))?, secrets })
    }

    /// Looks into every file of a folder; one that is not there shows nothing.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn in_folder(&self, folder: &Path) -> Result<Vec<Leak>> {
        let mut leaks = Vec::new();
        if !folder.exists() {
            return Ok(leaks);
        }
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let bytes = std::fs::read(&path)?;
            let name = path.file_name().unwrap_or_default().display().to_string();
            leaks.extend(self.in_text(&name, &String::from_utf8_lossy(&bytes)));
        }
        Ok(leaks)
    }

    /// Looks into a text of this name.
    pub fn in_text(&self, name: &str, text: &str) -> Vec<Leak> {
        if !self.automaton.is_match(text) {
            return Vec::new();
        }
        let stars = vec!["***"; self.secrets.len()];
        let of_line = |(number, line): (usize, &str)| {
            let found = self.automaton.find(line)?;
            let (_, what) = self.secrets.get(found.pattern().as_usize())?;
            let line = self.automaton.replace_all(line, &stars);
            Some(Leak { at: format!("{name}:{}", number + 1), what: what.clone(), line })
        };
        text.lines().enumerate().filter_map(of_line).collect()
    }
}

/// The metrics of every service that answers, by the name of its process; asked in a thread and a runtime of its own.
fn metrics_pages(stack: &Stack) -> Vec<(String, String)> {
    let mut names: Vec<String> = Service::ALL.iter().map(|service| service.name().to_owned()).collect();
    let replicas = stack.started().unwrap_or_default().into_iter().filter(|name| Service::of_process(name).is_some());
    names.extend(replicas.filter(|name| !names.contains(name)).collect::<Vec<_>>());
    let pages: Vec<(String, String)> = names
        .into_iter()
        .filter_map(|name| Some((name.clone(), format!("{}/metrics", stack.private_url(&name).ok()?))))
        .collect();
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        Some(runtime.block_on(fetch(pages)))
    });
    asking.join().ok().flatten().unwrap_or_default()
}

async fn fetch(pages: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut fetched = Vec::new();
    let Ok(client) = reqwest::Client::builder().no_proxy().timeout(METRICS).build() else { return fetched };
    for (name, url) in pages {
        if let Ok(answer) = client.get(url).send().await
            && let Ok(page) = answer.text().await
        {
            fetched.push((name, page));
        }
    }
    fetched
}

#[cfg(test)]
mod tests {
    use super::*;

    fn searcher() -> Searcher {
        let secrets = [("one-secret-value", "a password"), ("another-secret", "an API key")];
        Searcher::new(secrets.map(|(secret, what)| (secret.to_owned(), what.to_owned())).to_vec()).unwrap()
    }

    #[test]
    fn a_secret_in_any_log_is_found_by_file_line_and_kind_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("quiet.log"), "started\nstopped\n").unwrap();
        assert_eq!(searcher().in_folder(folder.path()).unwrap(), []);
        // No text at all before it, as a killed process may leave.
        let log = b"\xff\xfe\nstarted\nlogin with one-secret-value and another-secret\n";
        std::fs::write(folder.path().join("postgres.log"), log).unwrap();
        let leaks = searcher().in_folder(folder.path()).unwrap();
        let [leak] = leaks.as_slice() else { panic!("{leaks:?}") };
        assert_eq!((leak.at.as_str(), leak.what.as_str()), ("postgres.log:3", "a password"));
        assert_eq!(leak.line, "login with *** and ***");
        assert!(!described(&leaks).contains("secret-value"));
    }

    #[test]
    fn a_folder_that_was_wiped_shows_nothing() {
        assert_eq!(searcher().in_folder(Path::new("/nowhere/at/all")).unwrap(), []);
    }

    #[test]
    fn a_problem_that_repeats_a_secret_is_a_failure() {
        secrets::know("a password", "repeated password 31");
        let answer = |body: &'static str| {
            let mut headers = reqwest::header::HeaderMap::new();
            headers.insert("content-type", "application/problem+json".parse().unwrap());
            Answer { call: "POST /v1/account".into(), status: 422, headers, body: body.into() }
        };
        check_problem(&answer(r#"{"detail": "too short"}"#)).unwrap();
        let failure = check_problem(&answer(r#"{"detail": "repeated password 31 is too short"}"#)).unwrap_err();
        assert_eq!(
            failure.to_string(),
            r#"the answer to POST /v1/account:1 shows a password: {"detail": "*** is too short"}"#
        );
        ANSWERED.lock().unwrap().clear();
    }
}
