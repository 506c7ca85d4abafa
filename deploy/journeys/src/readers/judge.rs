//! What one answer about the crowd's board may say: every row of it by the same version, nobody missing, nobody too many,
//! and no rank that its own rows contradict.

use serde_json::Value;
use uuid::Uuid;

use super::crowd::{Crowd, SPORT, Score};
use crate::client::Answer;
use crate::model::BoardRule;

/// Which part of the board an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it, best first.
    Whole,
    /// A page somewhere in it.
    Page,
    /// This caller's place, and everybody around.
    Place(Uuid),
}

/// A row of an answer.
struct Row {
    athlete_id: Uuid,
    rank: i64,
    score: Score,
}

/// The rule an answer follows as a whole; nothing where it does not say.
///
/// # Errors
/// Saying what does not fit, where no one rule makes all of it.
pub fn judge(answer: &Answer, metric: &str, part: Part, crowd: &Crowd) -> Result<Option<BoardRule>, String> {
    let body = answer.json();
    let rows = rows(&body, part).ok_or("a row is missing, or something in it")?;
    let mut followed = None;
    for row in &rows {
        match (rule_of(row, metric, crowd)?, followed) {
            (Some(rule), Some(before)) if rule != before => return Err("its rows are of two versions".to_owned()),
            (rule, before) => followed = before.or(rule),
        }
    }
    match part {
        Part::Page => return Ok(followed),
        // Whoever has no place sees nobody around, and by one rule only.
        Part::Place(_) if rows.is_empty() => followed = Some(BoardRule::AMinuteOrMore),
        Part::Whole | Part::Place(_) => {}
    }
    let rule = followed.ok_or("nobody on it says by which rule")?;
    let ranked = match part {
        Part::Place(_) => body["ranked"].as_u64().and_then(|ranked| usize::try_from(ranked).ok()),
        _ => Some(rows.len()),
    };
    if ranked != Some(crowd.ranked(rule)) || !(rows.is_empty() || rows.len() == crowd.ranked(rule)) {
        return Err(format!("{ranked:?} are ranked, {} shown, by the rule {rule:?}", rows.len()));
    }
    if let Part::Place(caller) = part {
        place(&body, &rows, caller)?;
    }
    ranks(&rows)?;
    Ok(followed)
}

/// What an answer says of one athlete.
pub fn score_of(answer: &Answer, part: Part, athlete_id: Uuid) -> Option<Score> {
    rows(&answer.json(), part)?.into_iter().find(|row| row.athlete_id == athlete_id).map(|row| row.score)
}

fn rows(body: &Value, part: Part) -> Option<Vec<Row>> {
    let name = if matches!(part, Part::Place(_)) { "neighbours" } else { "items" };
    let row = |row: &Value| {
        Some(Row {
            athlete_id: row["athlete_id"].as_str()?.parse().ok()?,
            rank: row["rank"].as_i64()?,
            score: Score { value: whole(&row["value"])?, workouts: row["workouts"].as_i64()? },
        })
    };
    body[name].as_array()?.iter().map(row).collect()
}

/// A number that has nothing behind its point.
#[expect(clippy::cast_possible_truncation, reason = "sums of a test are far below the limits of i64")]
fn whole(value: &Value) -> Option<i64> {
    let value = value.as_f64()?;
    (value.fract().abs() < 1e-9).then(|| value.round() as i64)
}

/// The rule by which a row was made; nothing where it does not say.
fn rule_of(row: &Row, metric: &str, crowd: &Crowd) -> Result<Option<BoardRule>, String> {
    let Row { athlete_id, score, .. } = row;
    let torn = || format!("no version makes {score:?} of {athlete_id}");
    if let Some(done) = crowd.marked(*athlete_id) {
        let mut rules = [BoardRule::EveryWorkout, BoardRule::AMinuteOrMore].into_iter();
        return rules.find(|rule| done.score(metric, *rule) == Some(*score)).map(Some).ok_or_else(torn);
    }
    if !crowd.witnesses.iter().any(|witness| witness.id == *athlete_id) {
        return Err(format!("{athlete_id} is on it, who has never done {SPORT}"));
    }
    match metric {
        // A count does not say what was counted.
        "workouts" if score.value == score.workouts => Ok(None),
        "workouts" => Err(torn()),
        _ => score.rule().map(Some).ok_or_else(torn),
    }
}

/// The caller's own values, twice in one answer.
fn place(body: &Value, rows: &[Row], caller: Uuid) -> Result<(), String> {
    let said = (body["rank"].as_i64(), whole(&body["value"]));
    let mine = rows.iter().find(|row| row.athlete_id == caller);
    let shown = mine.map_or((None, None), |row| (Some(row.rank), Some(row.score.value)));
    if said == shown { Ok(()) } else { Err(format!("it says {said:?} of the caller, whose row says {shown:?}")) }
}

/// 1 2 2 4, where all rows are there.
fn ranks(rows: &[Row]) -> Result<(), String> {
    for row in rows {
        let better = rows.iter().filter(|other| other.score.value > row.score.value).map(|_| 1_i64).sum::<i64>();
        if row.rank != better + 1 {
            return Err(format!("{} has rank {} and {better} are better", row.athlete_id, row.rank));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::{Api, Athlete};
    use crate::readers::crowd::Done;

    /// Somebody with (2, 1), somebody with (0, 1), and a witness.
    fn crowd() -> Crowd {
        let api = Api::new(vec![], vec![]).unwrap();
        let athlete = |id: u128| Athlete::new(api.clone(), Uuid::from_u128(id), "", "", "", String::new());
        Crowd {
            markers: vec![(athlete(1), Done { long: 2, short: 1 }), (athlete(2), Done { long: 0, short: 1 })],
            witnesses: vec![athlete(3)],
        }
    }

    fn row(rank: i64, id: u128, value: f64, workouts: i64) -> Value {
        json!({"rank": rank, "athlete_id": Uuid::from_u128(id), "value": value, "workouts": workouts})
    }

    fn of(body: &Value, metric: &str, part: Part) -> Result<Option<BoardRule>, String> {
        let (headers, body) = (reqwest::header::HeaderMap::new(), body.to_string().into());
        judge(&Answer { call: String::new(), status: 200, headers, body }, metric, part, &crowd())
    }

    #[test]
    fn an_answer_of_one_version_is_recognised() {
        let whole = |rows: &[Value]| of(&json!({"items": rows}), "duration_s", Part::Whole);
        let old = [row(1, 3, 3_002.0, 5), row(2, 1, 2_001.0, 3), row(3, 2, 1.0, 1)];
        let new = [row(1, 3, 3_000.0, 3), row(2, 1, 2_000.0, 2)];
        assert_eq!((whole(&old), whole(&new)), (Ok(Some(BoardRule::EveryWorkout)), Ok(Some(BoardRule::AMinuteOrMore))));
        let counted = json!({"items": [row(1, 1, 2.0, 2), row(1, 3, 2.0, 2)]});
        assert_eq!(of(&counted, "workouts", Part::Whole), Ok(Some(BoardRule::AMinuteOrMore)));
        let nowhere = json!({"rank": null, "value": null, "ranked": 2, "neighbours": []});
        assert_eq!(of(&nowhere, "workouts", Part::Place(Uuid::from_u128(2))), Ok(Some(BoardRule::AMinuteOrMore)));
    }

    #[test]
    fn what_no_one_version_shows_is_found() {
        let wrong = |rows: &[Value]| of(&json!({"items": rows}), "duration_s", Part::Whole).unwrap_err();
        let (old, new) = (row(1, 3, 3_002.0, 5), row(2, 1, 2_000.0, 2));
        assert!(wrong(&[old.clone(), new.clone()]).contains("two versions"));
        assert!(wrong(&[row(1, 3, 3_000.0, 5), new.clone()]).contains("no version makes"), "a torn row");
        assert!(wrong(std::slice::from_ref(&new)).contains("ranked"), "somebody is missing");
        assert!(wrong(&[row(1, 3, 3_000.0, 3), new.clone(), row(3, 2, 1.0, 1)]).contains("two versions"));
        assert!(wrong(&[row(1, 3, 3_000.0, 3), row(1, 1, 2_000.0, 2)]).contains("has rank"));
        assert!(wrong(&[row(1, 4, 3_000.0, 3)]).contains("never done"));
        let ranked_by_the_other = json!({"rank": null, "value": null, "ranked": 3, "neighbours": []});
        of(&ranked_by_the_other, "workouts", Part::Place(Uuid::from_u128(2))).unwrap_err();
    }
}
