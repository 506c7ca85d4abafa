//! The athletes whose board the readers watch: each row says by itself by which version it was made.
//! A long workout takes 1,000 s over 1,000 m, a short one a second over a metre. Whoever has done both scores whole
//! thousands where short workouts do not count, and something above them where they do.

use serde_json::json;
use uuid::Uuid;

use crate::bodies;
use crate::client::{Answer, Api, Athlete};
use crate::failure::Result;
use crate::model::BoardRule;

/// The day of all their workouts, long before anybody else's.
pub const DAY: &str = "2019-06-05";
/// What only they do.
pub const SPORT: &str = "yoga";
/// What they are compared by; the last is no sum of a workout's own values.
pub const METRICS: [&str; 3] = ["duration_s", "distance_m", "workouts"];

/// How many workouts of each kind somebody has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    pub long: u32,
    /// Fewer than a thousand.
    pub short: u32,
}

/// What a row of the board says of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score {
    /// Seconds, metres or workouts: always whole.
    pub value: i64,
    pub workouts: i64,
}

impl Done {
    /// The score by a rule; nothing where nothing counts.
    pub fn score(self, metric: &str, rule: BoardRule) -> Option<Score> {
        let short = if rule == BoardRule::EveryWorkout { self.short } else { 0 };
        let workouts = self.long + short;
        let value = if metric == "workouts" { workouts } else { self.long * 1_000 + short };
        (workouts > 0).then(|| Score { value: value.into(), workouts: workouts.into() })
    }
}

impl Score {
    /// The rule that makes such a score of somebody who has done both; nothing where none does.
    pub fn rule(self) -> Option<BoardRule> {
        let (thousands, above) = (self.value.div_euclid(1_000), self.value.rem_euclid(1_000));
        if thousands + above != self.workouts {
            return None;
        }
        Some(if above == 0 { BoardRule::AMinuteOrMore } else { BoardRule::EveryWorkout })
    }
}

/// Everybody on the board.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// Those who never do anything again.
    pub markers: Vec<(Athlete, Done)>,
    /// Those who go on, and have begun with one workout of each kind.
    pub witnesses: Vec<Athlete>,
}

impl Crowd {
    /// Registers everybody and logs what they begin with.
    ///
    /// # Errors
    /// When a command is refused.
    pub async fn gather(api: &Api, witnesses: usize) -> Result<Self> {
        let mut crowd = Self { markers: Vec::new(), witnesses: Vec::new() };
        // The last one has done nothing that takes a minute: by the newer rule there is no place for him.
        for (long, short) in [(1, 1), (2, 1), (3, 2), (0, 1)] {
            let marker = begin(api, &format!("Marker {long} {short}"), Done { long, short }).await?;
            crowd.markers.push((marker, Done { long, short }));
        }
        for number in 0..witnesses {
            crowd.witnesses.push(begin(api, &format!("Witness {number}"), Self::BEGINS_WITH).await?);
        }
        Ok(crowd)
    }

    /// What a witness has done at first.
    pub const BEGINS_WITH: Done = Done { long: 1, short: 1 };

    /// How many have a place by a rule.
    pub fn ranked(&self, rule: BoardRule) -> usize {
        self.witnesses.len() + self.markers.iter().filter(|(_, done)| done.score("workouts", rule).is_some()).count()
    }

    /// What somebody who never does anything again has done.
    pub fn marked(&self, id: Uuid) -> Option<Done> {
        self.markers.iter().find(|(marker, _)| marker.id == id).map(|(_, done)| *done)
    }

    /// Everybody.
    pub fn everybody(&self) -> impl Iterator<Item = &Athlete> {
        self.markers.iter().map(|(marker, _)| marker).chain(&self.witnesses)
    }
}

async fn begin(api: &Api, name: &str, done: Done) -> Result<Athlete> {
    let athlete = api.register(name).await?;
    for nth in 0..done.long + done.short {
        log(&athlete, nth < done.long).await?;
    }
    Ok(athlete)
}

/// Logs a long workout or a short one.
///
/// # Errors
/// When it is not stored.
pub async fn log(athlete: &Athlete, long: bool) -> Result<Answer> {
    let units = if long { 1_000.0 } else { 1.0 };
    let changes = json!({"sport": SPORT, "duration_s": units, "distance_m": units});
    athlete.log(&bodies::with(bodies::run(&format!("{DAY}T06:00:00Z")), changes)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_says_by_which_rule_it_was_made() {
        for done in [Done { long: 1, short: 1 }, Done { long: 12, short: 7 }] {
            for rule in [BoardRule::EveryWorkout, BoardRule::AMinuteOrMore] {
                assert_eq!(done.score("distance_m", rule).and_then(Score::rule), Some(rule), "{done:?}");
            }
        }
        assert_eq!(Done { long: 0, short: 1 }.score("distance_m", BoardRule::AMinuteOrMore), None);
        let mixed = [Score { value: 2_001, workouts: 2 }, Score { value: 2_000, workouts: 3 }];
        assert!(mixed.into_iter().all(|score| score.rule().is_none()), "the sum of one rule, the count of the other");
    }
}
