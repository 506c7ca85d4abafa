//! I6, as apps see it: lists, totals of every grouping, profiles and boards that the query API serves, cache included,
//! are what the model makes of the log.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde_json::Value;
use uuid::Uuid;

use super::Findings;
use crate::client::Athlete;
use crate::failure::Result;
use crate::model::{Board, BoardRule, Model, Sums, board_periods, by_period, label_of, ranked};
use crate::patience::until_within;

/// How long a notice may take from a commit to every cache, on a slow machine.
const SETTLING: std::time::Duration = std::time::Duration::from_secs(30);
const METRICS: [&str; 4] = ["distance_m", "duration_s", "elevation_gain_m", "workouts"];

/// Asks as each of these athletes, while boards are shown by this rule; more than a few of them tell nothing new.
pub async fn check(model: &Model, rule: BoardRule, athletes: &[Athlete], findings: &mut Findings) -> Result<()> {
    let mut asked: Vec<&Athlete> = Vec::new();
    for athlete in athletes {
        if asked.len() < 4 && !asked.iter().any(|other| other.id == athlete.id) {
            asked.push(athlete);
        }
    }
    for athlete in &asked {
        // A cached answer may be as old as a notice takes; then it has to be right.
        let outcome = until_within(SETTLING, "the query API serves what the log comes to", async || {
            let mut found = Findings::default();
            of_athlete(model, athlete, &mut found).await.map_err(|error| error.to_string())?;
            found.into_result("catching up").map_err(|error| error.to_string())
        })
        .await;
        if let Err(error) = outcome {
            findings.broken("I6", error);
        }
    }
    if let Some(athlete) = asked.first() {
        boards(model, rule, athlete, findings).await?;
    }
    Ok(())
}

async fn of_athlete(model: &Model, athlete: &Athlete, findings: &mut Findings) -> Result<()> {
    let me = athlete.get("/v1/me").await?.json();
    let name = model.profiles.get(&athlete.id).map(|profile| profile.display_name.as_str());
    if me["display_name"].as_str() != name {
        findings.broken("I6", format!("{} is called {} and not {name:?}", athlete.id, me["display_name"]));
    }

    let list = athlete.all("/v1/workouts?limit=200", None).await?;
    let seen = |item: &Value| (item["id"].as_str().unwrap_or_default().to_owned(), item["version"].as_i64());
    let found: Vec<_> = list.iter().map(seen).collect();
    let expected: Vec<_> =
        model.list(athlete.id).iter().map(|workout| (workout.id.to_string(), Some(workout.version))).collect();
    if found != expected {
        let text =
            format!("the list of {} has {} workouts, not {}, or others", athlete.id, found.len(), expected.len());
        findings.broken("I6", text);
    }

    for period in ["day", "week", "month", "year"] {
        let path = format!("/v1/me/analytics/totals?by={period}");
        let found: BTreeMap<String, Sums> = athlete
            .all(&path, None)
            .await?
            .iter()
            .map(|item| (item["period"].as_str().unwrap_or_default().to_owned(), sums_of(item)))
            .collect();
        let expected: BTreeMap<String, Sums> = by_period(model.list(athlete.id), period)
            .into_iter()
            .map(|(first, sums): (NaiveDate, Sums)| (label_of(period, first), sums))
            .collect();
        if found != expected {
            findings.broken("I6", format!("{path} of {}: {found:?} instead of {expected:?}", athlete.id));
        }
    }
    Ok(())
}

/// The sums of an answer, in small units.
pub fn sums_of(item: &Value) -> Sums {
    Sums {
        workouts: item["workouts"].as_i64().unwrap_or(-1),
        distance_mm: thousandths(&item["distance_m"]),
        duration_ms: thousandths(&item["duration_s"]),
        moving_ms: thousandths(&item["moving_s"]),
        elevation_gain_mm: thousandths(&item["elevation_gain_m"]),
        energy_kcal: item["energy_kcal"].as_i64().unwrap_or(-1),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "sums of a test are far below the limits of i64")]
fn thousandths(value: &Value) -> i64 {
    value.as_f64().map_or(-1, |value| (value * 1000.0).round() as i64)
}

/// A few boards of each period, by every metric.
async fn boards(model: &Model, rule: BoardRule, athlete: &Athlete, findings: &mut Findings) -> Result<()> {
    let boards = model.boards(rule);
    for period in board_periods() {
        let of_period = boards.iter().filter(|(board, _)| board.period == period);
        for (board, scores) in of_period.step_by(7).take(3) {
            for metric in METRICS {
                let expected = ranked(scores, metric);
                let outcome = until_within(SETTLING, "a board serves what the log comes to", async || {
                    let found = board_of(athlete, board, metric).await.map_err(|error| error.to_string())?;
                    if found == expected { Ok(()) } else { Err(format!("{found:?} instead of {expected:?}")) }
                })
                .await;
                if let Err(error) = outcome {
                    findings.broken("I6", format!("{metric} of {board:?}: {error}"));
                }
            }
        }
    }
    Ok(())
}

async fn board_of(athlete: &Athlete, board: &Board, metric: &str) -> Result<BTreeMap<Uuid, (i64, i64)>> {
    let Board { period, starts_on, sport } = board;
    let path = format!("/v1/leaderboards/{metric}?period={period}&date={starts_on}&sport={sport}&limit=200");
    let rows = athlete.all(&path, None).await?;
    let place = |row: &Value| {
        let id = row["athlete_id"].as_str()?.parse().ok()?;
        let value = if metric == "workouts" { row["value"].as_i64()? } else { thousandths(&row["value"]) };
        Some((id, (row["rank"].as_i64()?, value)))
    };
    Ok(rows.iter().filter_map(place).collect())
}
