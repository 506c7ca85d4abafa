//! The invariants of a FitTrack that has been through something: I1 to I9, checked after every fault.
//! The stack is first left alone until it has caught up; then the ledger, the log, Kafka, the read models, the query API
//! and the log files are held against each other. A failure names each broken invariant and what it was found by.

mod beside;
mod commands;
mod drain;
mod logs;
mod order;
mod progress;
mod read_models;
mod served;

use std::collections::BTreeMap;
use std::fmt;

use crate::events::Log;
use crate::failure::{Failure, Result};
use crate::ledger::Ledger;
use crate::model::Model;
use crate::stack::TestStack;

pub use drain::{drained, drained_store};

/// More findings of one invariant are counted and not shown.
const SHOWN: usize = 12;

/// What was found broken, by invariant.
#[derive(Debug, Default)]
pub struct Findings(BTreeMap<&'static str, Vec<String>>);

impl Findings {
    /// Notes that an invariant is broken.
    pub fn broken(&mut self, invariant: &'static str, what: impl fmt::Display) {
        self.0.entry(invariant).or_default().push(what.to_string());
    }

    /// Nothing, or everything that was found.
    ///
    /// # Errors
    /// When something was found.
    pub fn into_result(self, after: &str) -> Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Failure::new(format!("invariants are broken after {after}:{self}")))
        }
    }
}

/// A line for each finding, by invariant.
impl fmt::Display for Findings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (invariant, findings) in &self.0 {
            for finding in findings.iter().take(SHOWN) {
                write!(formatter, "\n  {invariant}: {finding}")?;
            }
            if findings.len() > SHOWN {
                write!(formatter, "\n  {invariant}: and {} more", findings.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

/// What of a stack is there to be checked.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Wait until everything stored is projected, and published where Kafka is there.
    pub catch_up: bool,
    /// Kafka is there: check I5.
    pub kafka: bool,
    /// The query API is there: check what it serves.
    pub served: bool,
}

/// Waits until the stack has caught up, asks again about every unknown outcome, and checks I1 to I9.
///
/// # Errors
/// When one is broken, or the stack never catches up.
pub async fn hold(stack: &TestStack, ledger: &Ledger, after: &str) -> Result<()> {
    let scope = Scope { catch_up: true, kafka: true, served: true };
    found(stack, ledger, scope).await?.into_result(after)?;
    eprintln!("I1 to I9 hold after {after}");
    Ok(())
}

/// The same while Kafka is away: all but I5.
///
/// # Errors
/// When one is broken, or the stack never catches up.
pub async fn hold_without_kafka(stack: &TestStack, ledger: &Ledger, after: &str) -> Result<()> {
    let scope = Scope { catch_up: true, kafka: false, served: true };
    found(stack, ledger, scope).await?.into_result(after)?;
    eprintln!("I1 to I9 but I5 hold after {after}");
    Ok(())
}

/// Everything that is broken.
///
/// # Errors
/// When the stack never catches up, or something does not answer.
pub async fn found(stack: &TestStack, ledger: &Ledger, scope: Scope) -> Result<Findings> {
    let mut findings = Findings::default();
    catch_up(stack, scope).await?;
    let fates = commands::settle(stack, ledger, &mut findings).await?;
    catch_up(stack, scope).await?;

    let log = Log::read(stack).await?;
    let model = Model::of(&log.rows);
    commands::check(ledger, &fates, &log, &mut findings);
    beside::check(stack, &log, &mut findings).await?;
    order::check(&log, &mut findings);
    if scope.kafka {
        order::check_road(stack, log.rows.len(), &mut findings).await?;
    }
    progress::check(stack, &log, &mut findings).await?;
    let rule = read_models::shown_rule(stack).await?;
    read_models::check(stack, &model, rule, &mut findings).await?;
    if scope.served {
        served::check(&model, rule, &ledger.athletes, &mut findings).await?;
    }
    logs::check(stack, &mut findings)?;
    for outrage in &ledger.outrages {
        findings.broken("no answer is", outrage);
    }
    Ok(findings)
}

async fn catch_up(stack: &TestStack, scope: Scope) -> Result<()> {
    match scope {
        Scope { catch_up: false, .. } => Ok(()),
        Scope { kafka: true, .. } => drained(stack).await,
        Scope { .. } => drained_store(stack).await,
    }
}
