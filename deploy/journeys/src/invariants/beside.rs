//! What lies beside the log and has to agree with it: an account for each registered athlete, and the blobs each imported
//! workout names (decisions 11 and 12). Both are written outside the event's transaction, so a fault may come between.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::Findings;
use crate::events::{EventRow, Log};
use crate::failure::Result;
use crate::stack::TestStack;

const ACCOUNTS: &str = "SELECT athlete_id, status FROM accounts";
const SOUND_BLOBS: &str = "SELECT encode(sha256, 'hex') FROM blobs WHERE sha256(content) = sha256";

/// Compares accounts and blobs with the log.
pub async fn check(stack: &TestStack, log: &Log, findings: &mut Findings) -> Result<()> {
    check_accounts(stack, log, findings).await?;
    check_blobs(stack, log, findings).await
}

/// When every registration has been repeated until it was answered, none is left half done.
async fn check_accounts(stack: &TestStack, log: &Log, findings: &mut Findings) -> Result<()> {
    let rows: Vec<(Uuid, String)> = sqlx::query_as(ACCOUNTS).fetch_all(&mut stack.identity().await?).await?;
    let accounts: BTreeMap<Uuid, String> = rows.into_iter().collect();
    let registered: BTreeSet<Uuid> =
        of_type(log, "athlete_registered").filter_map(|row| row.aggregate_id.parse().ok()).collect();
    for athlete in &registered {
        match accounts.get(athlete).map(String::as_str) {
            Some("active") => {}
            other => {
                let text = format!("athlete {athlete} is registered, the account is {other:?}");
                findings.broken("I1 (accounts)", text);
            }
        }
    }
    for (athlete, status) in accounts.iter().filter(|(athlete, _)| !registered.contains(athlete)) {
        findings.broken("I1 (accounts)", format!("the account of {athlete} is {status}, and no event registers them"));
    }
    Ok(())
}

async fn check_blobs(stack: &TestStack, log: &Log, findings: &mut Findings) -> Result<()> {
    let sound: Vec<String> = sqlx::query_scalar(SOUND_BLOBS).fetch_all(&mut stack.recordings().await?).await?;
    let sound: BTreeSet<String> = sound.into_iter().collect();
    for row in of_type(log, "workout_imported") {
        for name in ["original_sha256", "recording_sha256"] {
            let hash = row.payload["recording"][name].as_str().unwrap_or_default();
            if !sound.contains(hash) {
                let text =
                    format!("workout {} names the {name} {hash}, which is not there or another", row.aggregate_id);
                findings.broken("I1 (blobs)", text);
            }
        }
    }
    Ok(())
}

fn of_type<'a>(log: &'a Log, event_type: &'static str) -> impl Iterator<Item = &'a EventRow> {
    log.rows.iter().filter(move |row| row.event_type == event_type)
}
