//! I9: no log of any process shows an address, a password, an access token, or a password of the databases.

use std::collections::BTreeSet;

use super::Findings;
use crate::client::Athlete;
use crate::failure::Result;
use crate::stack::TestStack;

/// Searches every file in the stack's folder of logs.
pub fn check(stack: &TestStack, athletes: &[Athlete], findings: &mut Findings) -> Result<()> {
    let mut secrets: BTreeSet<(String, String)> = BTreeSet::new();
    for athlete in athletes {
        secrets.insert(("an e-mail address".to_owned(), athlete.email.clone()));
        secrets.insert(("a password".to_owned(), athlete.password.clone()));
        for token in athlete.access_tokens() {
            secrets.insert(("an access token".to_owned(), token));
        }
    }
    for service in ["command-api", "projectors", "query-api"] {
        for (key, value) in stack.settings(service)? {
            if let Some(password) = password_of(&value) {
                secrets.insert((format!("the password in {key}"), password));
            }
        }
    }
    for entry in std::fs::read_dir(stack.logs())? {
        let path = entry?.path();
        let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        for (what, secret) in &secrets {
            if let Some(line) = text.lines().find(|line| line.contains(secret.as_str())) {
                let name = path.file_name().unwrap_or_default().display();
                findings.broken("I9", format!("{name} shows {what}: {}", line.replace(secret.as_str(), "***")));
            }
        }
    }
    Ok(())
}

/// The password of a URL like `postgres://user:password@host/database`.
fn password_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let (credentials, _) = rest.rsplit_once('@')?;
    credentials.split_once(':').map(|(_, password)| password.to_owned())
}
