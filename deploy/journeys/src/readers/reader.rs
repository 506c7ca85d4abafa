//! One reader: asks for parts of the crowd's board, and judges each answer. A witness also writes, and reads with the token
//! of its own write, which the answer must hold.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand::Rng;
use rand::rngs::StdRng;
use tokio::sync::watch;

use super::crowd::{self, Crowd, DAY, Done, METRICS, SPORT};
use super::judge::{self, Part};
use super::{Plan, Seen, Tally};
use crate::client::{Answer, Athlete, Call};
use crate::model::BoardRule;

pub struct Reader {
    pub athlete: Athlete,
    pub crowd: Arc<Crowd>,
    pub plan: Plan,
    pub random: StdRng,
    pub seen: Seen,
    pub tally: Arc<Tally>,
}

impl Reader {
    /// Reads without tokens, as most do, until told to stop.
    pub async fn look(mut self, mut stopped: watch::Receiver<bool>) -> Seen {
        while !*stopped.borrow_and_update() {
            if self.random.random_range(0..3) == 0 {
                self.walk().await;
            } else {
                let part = self.part();
                self.ask(part, None).await;
            }
            tokio::time::sleep(self.plan.pause).await;
        }
        self.seen
    }

    /// Writes and reads what it wrote, until told to stop.
    pub async fn witness(mut self, mut stopped: watch::Receiver<bool>) -> Seen {
        let mut done = Crowd::BEGINS_WITH;
        while !*stopped.borrow_and_update() {
            let long = done.short >= 900 || self.random.random_bool(0.5);
            match crowd::log(&self.athlete, long).await {
                Ok(written) => {
                    *(if long { &mut done.long } else { &mut done.short }) += 1;
                    self.read_back(done, &written.token()).await;
                }
                Err(error) => self.seen.failed.push(error.to_string()),
            }
            tokio::time::sleep(self.plan.pause).await;
        }
        self.seen
    }

    async fn read_back(&mut self, done: Done, token: &str) {
        for part in [Part::Whole, Part::Place(self.athlete.id)] {
            let Some((metric, rule, answer)) = self.ask(part, Some(token)).await else { continue };
            let (found, written) = (judge::score_of(&answer, part, self.athlete.id), done.score(metric, rule));
            self.seen.with_token += 1;
            if found != written {
                self.seen.stale.push(format!("{written:?} was written ({rule:?}), then {found:?} in {answer}"));
            }
        }
    }

    fn part(&mut self) -> Part {
        if self.random.random_bool(0.5) { Part::Whole } else { Part::Place(self.athlete.id) }
    }

    /// Asks for all or for the reader's own place, by some metric; the rule the answer follows.
    async fn ask(&mut self, part: Part, token: Option<&str>) -> Option<(&'static str, BoardRule, Answer)> {
        let metric = METRICS[self.random.random_range(0..METRICS.len())];
        let path = match part {
            Part::Place(_) => format!("{}&around=50", board(&format!("{metric}/me"))),
            Part::Whole | Part::Page => format!("{}&limit=200", board(metric)),
        };
        let answer = self.get(&path, token).await?;
        let rule = self.judged(&answer, metric, part)?;
        Some((metric, rule, answer))
    }

    /// Goes through the board by its cursors, whatever happens between two pages.
    async fn walk(&mut self) {
        let metric = METRICS[self.random.random_range(0..METRICS.len())];
        let first = format!("{}&limit=3", board(metric));
        let mut path = first.clone();
        // Places change between two pages, so a walk may meet somebody twice; more pages than athletes there are never.
        for _ in 0..100 {
            let Some(answer) = self.get(&path, None).await else { return };
            self.judged(&answer, metric, Part::Page);
            let body = answer.json();
            let Some(next) = body["next"].as_str() else { return };
            path = format!("{first}&cursor={next}");
            self.seen.cursors += 1;
        }
        self.seen.failed.push(format!("{first} has no end"));
    }

    async fn get(&mut self, path: &str, token: Option<&str>) -> Option<Answer> {
        let call = Call::get(path);
        let call = token.map_or(call.clone(), |token| call.seeing(token));
        self.tally.asked.fetch_add(1, Ordering::Relaxed);
        match self.athlete.send(&call).await {
            Ok(answer) if answer.status == 200 => Some(answer),
            Ok(answer) => {
                self.seen.failed.push(answer.to_string());
                None
            }
            Err(error) => {
                self.seen.failed.push(format!("GET {path}: {error}"));
                None
            }
        }
    }

    fn judged(&mut self, answer: &Answer, metric: &str, part: Part) -> Option<BoardRule> {
        match judge::judge(answer, metric, part, &self.crowd) {
            Ok(rule) => {
                if let Some(rule) = rule {
                    self.tally.of(rule).fetch_add(1, Ordering::Relaxed);
                }
                rule
            }
            Err(why) => {
                self.seen.mixed.push(format!("{why}: {answer}"));
                None
            }
        }
    }
}

/// The path of the crowd's board of its week.
pub fn board(metric: &str) -> String {
    format!("/v1/leaderboards/{metric}?period=week&date={DAY}&sport={SPORT}")
}
