//! I6, in the database: the rows of the read models are what the model makes of the log, no more and no less.
//! Looks at what readers are shown, through the same views, and holds boards against the rule of the version shown.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::Findings;
use crate::failure::{Failure, Result};
use crate::model::{
    Board, BoardRule, Day, Measured, Measurement, Model, PrivacyZones, Profile, Score, Sums, Workout, board_periods,
};
use crate::stack::TestStack;

const SHOWN_VERSION: &str = "SELECT version FROM read_models WHERE name = 'leaderboards'";

/// The rule of the leaderboards that readers are shown now.
pub async fn shown_rule(stack: &TestStack) -> Result<BoardRule> {
    let version: i32 = sqlx::query_scalar(SHOWN_VERSION).fetch_one(&mut stack.read_models().await?).await?;
    BoardRule::of_version(version).ok_or_else(|| Failure::new(format!("no rule is known for version {version}")))
}

/// Compares all of them, boards by the rule of the version that is shown.
pub async fn check(stack: &TestStack, model: &Model, rule: BoardRule, findings: &mut Findings) -> Result<()> {
    let mut database = stack.read_models().await?;
    compare("workouts", &model.workouts, &workouts(&mut database).await?, findings);
    compare("profiles", &model.profiles, &profiles(&mut database).await?, findings);
    compare("measurements", &model.measurements, &measurements(&mut database).await?, findings);
    compare("privacy_zones", &model.privacy_zones, &privacy_zones(&mut database).await?, findings);
    compare("totals", &model.totals(), &totals(&mut database, findings).await?, findings);
    let boards = flat(model.boards(rule));
    compare("leaderboards", &boards, &leaderboards(&mut database, rule, findings).await?, findings);
    Ok(())
}

fn compare<K, V>(what: &str, expected: &BTreeMap<K, V>, found: &BTreeMap<K, V>, findings: &mut Findings)
where
    K: Ord + std::fmt::Debug,
    V: PartialEq + std::fmt::Debug,
{
    for (key, value) in expected {
        match found.get(key) {
            None => findings.broken("I6", format!("{what} lacks {key:?}: {value:?}")),
            Some(other) if other != value => {
                findings.broken("I6", format!("{what} of {key:?}: {other:?} instead of {value:?}"));
            }
            Some(_) => {}
        }
    }
    for (key, value) in found.iter().filter(|(key, _)| !expected.contains_key(key)) {
        findings.broken("I6", format!("{what} has {key:?} too many: {value:?}"));
    }
}

#[derive(FromRow)]
struct WorkoutRow {
    workout_id: Uuid,
    athlete_id: Uuid,
    version: i64,
    sport: String,
    started_at: chrono::DateTime<chrono::Utc>,
    time_zone: String,
    local_date: NaiveDate,
    duration_ms: i64,
    moving_ms: Option<i64>,
    distance_mm: Option<i64>,
    elevation_gain_mm: Option<i64>,
    energy_kcal: Option<i32>,
    average_heart_rate_bpm: Option<i32>,
    max_heart_rate_bpm: Option<i32>,
    average_power_w: Option<i32>,
    perceived_exertion: Option<i32>,
    title: Option<String>,
    notes: Option<String>,
    visibility: String,
    #[sqlx(json(nullable))]
    recording: Option<serde_json::Value>,
}

async fn workouts(database: &mut PgConnection) -> Result<BTreeMap<Uuid, Workout>> {
    let rows: Vec<WorkoutRow> = sqlx::query_as("SELECT * FROM workouts").fetch_all(database).await?;
    Ok(rows.into_iter().map(|row| (row.workout_id, Workout::from(row))).collect())
}

impl From<WorkoutRow> for Workout {
    fn from(row: WorkoutRow) -> Self {
        Self {
            id: row.workout_id,
            athlete_id: row.athlete_id,
            version: row.version,
            sport: row.sport,
            started_at: row.started_at,
            time_zone: row.time_zone,
            local_date: row.local_date,
            duration_ms: row.duration_ms,
            moving_ms: row.moving_ms,
            distance_mm: row.distance_mm,
            elevation_gain_mm: row.elevation_gain_mm,
            energy_kcal: row.energy_kcal.map(i64::from),
            average_heart_rate_bpm: row.average_heart_rate_bpm.map(i64::from),
            max_heart_rate_bpm: row.max_heart_rate_bpm.map(i64::from),
            average_power_w: row.average_power_w.map(i64::from),
            perceived_exertion: row.perceived_exertion.map(i64::from),
            title: row.title,
            notes: row.notes,
            visibility: row.visibility,
            recording: row.recording,
        }
    }
}

#[derive(FromRow)]
struct ProfileRow {
    athlete_id: Uuid,
    version: i64,
    display_name: String,
    bio: Option<String>,
    birth_year: Option<i32>,
    sex: String,
    height_cm: Option<i32>,
    time_zone: String,
    units: String,
    default_visibility: String,
}

async fn profiles(database: &mut PgConnection) -> Result<BTreeMap<Uuid, Profile>> {
    let rows: Vec<ProfileRow> = sqlx::query_as("SELECT * FROM profiles").fetch_all(database).await?;
    let profile = |row: ProfileRow| Profile {
        athlete_id: row.athlete_id,
        version: row.version,
        display_name: row.display_name,
        bio: row.bio,
        birth_year: row.birth_year.map(i64::from),
        sex: row.sex,
        height_cm: row.height_cm.map(i64::from),
        time_zone: row.time_zone,
        units: row.units,
        default_visibility: row.default_visibility,
    };
    Ok(rows.into_iter().map(|row| (row.athlete_id, profile(row))).collect())
}

async fn measurements(database: &mut PgConnection) -> Result<BTreeMap<Measured, Measurement>> {
    let all = "SELECT athlete_id, measured_on::text, kind, version, value_thousandths FROM measurements";
    let rows: Vec<(Uuid, String, String, i64, i64)> = sqlx::query_as(all).fetch_all(database).await?;
    let measurement = |(athlete_id, measured_on, kind, version, thousandths)| {
        let measured = Measured { athlete_id, measured_on, kind };
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let value = thousandths as f64 / 1000.0;
        (measured, Measurement { version, value })
    };
    Ok(rows.into_iter().map(measurement).collect())
}

async fn privacy_zones(database: &mut PgConnection) -> Result<BTreeMap<Uuid, PrivacyZones>> {
    let all = "SELECT athlete_id, version, zones FROM privacy_zones";
    let rows: Vec<(Uuid, i64, serde_json::Value)> = sqlx::query_as(all).fetch_all(database).await?;
    Ok(rows.into_iter().map(|(athlete_id, version, zones)| (athlete_id, PrivacyZones { version, zones })).collect())
}

#[derive(FromRow)]
struct TotalsRow {
    athlete_id: Uuid,
    local_date: NaiveDate,
    sport: String,
    workouts: i64,
    distance_mm: i64,
    duration_ms: i64,
    moving_ms: i64,
    elevation_gain_mm: i64,
    energy_kcal: i64,
}

/// The days of the read model; one whose workouts are all gone again may stay behind, if it says nothing.
async fn totals(database: &mut PgConnection, findings: &mut Findings) -> Result<BTreeMap<Day, Sums>> {
    let rows: Vec<TotalsRow> = sqlx::query_as("SELECT * FROM totals").fetch_all(database).await?;
    let mut days = BTreeMap::new();
    for row in rows {
        let day = Day { athlete_id: row.athlete_id, local_date: row.local_date, sport: row.sport };
        let sums = Sums {
            workouts: row.workouts,
            distance_mm: row.distance_mm,
            duration_ms: row.duration_ms,
            moving_ms: row.moving_ms,
            elevation_gain_mm: row.elevation_gain_mm,
            energy_kcal: row.energy_kcal,
        };
        if sums.workouts > 0 {
            days.insert(day, sums);
        } else if sums != Sums::default() {
            findings.broken("I6", format!("totals of {day:?}: {sums:?} of no workout"));
        }
    }
    Ok(days)
}

#[derive(FromRow)]
struct ScoreRow {
    period: String,
    starts_on: NaiveDate,
    sport: String,
    athlete_id: Uuid,
    distance_mm: i64,
    duration_ms: i64,
    moving_ms: Option<i64>,
    elevation_gain_mm: i64,
    workouts: i64,
}

async fn leaderboards(
    database: &mut PgConnection,
    rule: BoardRule,
    findings: &mut Findings,
) -> Result<BTreeMap<(Board, Uuid), Score>> {
    let rows: Vec<ScoreRow> = sqlx::query_as(scores_of(rule)).fetch_all(database).await?;
    let mut scores = BTreeMap::new();
    for row in rows {
        let Some(period) = board_periods().into_iter().find(|period| *period == row.period) else {
            findings.broken("I6", format!("there is a board for each {}", row.period));
            continue;
        };
        let board = Board { period, starts_on: row.starts_on, sport: row.sport };
        let score = Score {
            distance_mm: row.distance_mm,
            duration_ms: row.duration_ms,
            moving_ms: row.moving_ms,
            elevation_gain_mm: row.elevation_gain_mm,
            workouts: row.workouts,
        };
        let nothing = Score { moving_ms: score.moving_ms.map(|_| 0), ..Score::default() };
        if score.workouts > 0 {
            scores.insert((board, row.athlete_id), score);
        } else if score != nothing {
            findings.broken("I6", format!("board {board:?}: {} has {score:?} of no workout", row.athlete_id));
        }
    }
    Ok(scores)
}

/// The rows of a version, with nothing in the columns it does not have.
fn scores_of(rule: BoardRule) -> &'static str {
    match rule {
        BoardRule::EveryWorkout => "SELECT *, NULL::bigint AS moving_ms FROM leaderboards",
        BoardRule::AMinuteOrMore => "SELECT * FROM leaderboards",
    }
}

fn flat(boards: BTreeMap<Board, BTreeMap<Uuid, Score>>) -> BTreeMap<(Board, Uuid), Score> {
    let rows = boards
        .into_iter()
        .flat_map(|(board, scores)| scores.into_iter().map(move |(athlete, score)| ((board.clone(), athlete), score)));
    rows.collect()
}
