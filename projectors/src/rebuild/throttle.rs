//! The pace of a rebuild, shared by its tasks: how much of the time they may work, how many of them, and how many events a second.
//! The governor turns it down and up; each task comes here after every page.
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};

/// Events of a page at full pace, and at the slowest.
const MOST_OF_A_PAGE: i64 = 5_000;
const LEAST_OF_A_PAGE: i64 = 250;
/// The share of the time is kept in thousandths.
const WHOLE: u32 = 1_000;
/// A rebuild never stands still for the governor's sake.
const LEAST: u32 = 50;
/// It is raised by so much at a time.
const STEP: u32 = 100;
/// Where somebody is to be disturbed it begins so carefully, and never takes more than this: what is left of a processor is the
/// users', who notice late what has come too far.
const CAREFUL: u32 = 100;
const MOST_BESIDE_USERS: u32 = 150;
/// How often a task that has to wait for its turn looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The pace; clones share it.
#[derive(Debug, Clone)]
pub struct Throttle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// How much of the time may be worked, in thousandths.
    share: AtomicU32,
    /// The most it may be raised to.
    most: AtomicU32,
    parallelism: usize,
    /// Tasks that work, and do not wait for their turn.
    working: AtomicUsize,
    /// Events a second, where they are limited.
    max_rate: Option<f64>,
    /// When the next page may begin under that limit.
    next: Mutex<Instant>,
    /// Events read so far.
    events: AtomicI64,
}

impl Throttle {
    /// Full pace for so many tasks, and at most so many events a second.
    pub fn new(parallelism: usize, max_rate: Option<f64>) -> Self {
        let inner = Inner {
            share: AtomicU32::new(WHOLE),
            most: AtomicU32::new(WHOLE),
            parallelism: parallelism.max(1),
            working: AtomicUsize::new(0),
            max_rate,
            next: Mutex::new(Instant::now()),
            events: AtomicI64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// How much of the time is worked, from 0 to 1.
    pub fn share(&self) -> f64 {
        f64::from(self.inner.share.load(Ordering::Relaxed)) / f64::from(WHOLE)
    }

    /// The share it comes to while nothing is wrong, from 0 to 1.
    pub fn usual_share(&self) -> f64 {
        f64::from(self.inner.most.load(Ordering::Relaxed)) / f64::from(WHOLE)
    }

    /// How many tasks there are at the whole pace.
    pub fn parallelism(&self) -> usize {
        self.inner.parallelism
    }

    /// There are users beside it: begins carefully, and goes up only so far, however quiet it is.
    pub fn beside_users(&self) {
        self.inner.most.store(MOST_BESIDE_USERS, Ordering::Relaxed);
        self.inner.share.store(CAREFUL, Ordering::Relaxed);
    }

    /// Whether there are.
    pub fn is_beside_users(&self) -> bool {
        self.inner.most.load(Ordering::Relaxed) < WHOLE
    }

    /// Halves the share, down to a twentieth.
    pub fn slower(&self) {
        let share = self.inner.share.load(Ordering::Relaxed);
        self.inner.share.store((share / 2).max(LEAST), Ordering::Relaxed);
    }

    /// Raises the share by a step, up to what it may be.
    pub fn faster(&self) {
        let (share, most) = (self.inner.share.load(Ordering::Relaxed), self.inner.most.load(Ordering::Relaxed));
        self.inner.share.store((share + STEP).min(most), Ordering::Relaxed);
    }

    /// How many tasks may work now; the others wait at their next page.
    pub fn tasks(&self) -> usize {
        self.tasks_at(&self.inner.share)
    }

    /// How much work is done in a second while nothing is wrong, where one task without a rest does 1.
    pub fn usual_pace(&self) -> f64 {
        self.tasks_at(&self.inner.most) as f64 * self.usual_share()
    }

    fn tasks_at(&self, share: &AtomicU32) -> usize {
        let share = usize::try_from(share.load(Ordering::Relaxed)).unwrap_or(1);
        (self.inner.parallelism * share).div_ceil(WHOLE as usize).max(1)
    }

    /// How many may help to sort for an index: what cannot be slowed down later takes one processor alone where there is
    /// anybody to give way to.
    pub fn helpers(&self) -> usize {
        if self.share() < 1.0 { 0 } else { self.inner.parallelism.div_ceil(2) - 1 }
    }

    /// How many events the next page has: the slower the pace, the shorter what others wait behind.
    pub fn page(&self) -> i64 {
        let (share, whole) = (i64::from(self.inner.share.load(Ordering::Relaxed)), i64::from(WHOLE));
        (MOST_OF_A_PAGE * share / whole * share / whole).max(LEAST_OF_A_PAGE)
    }

    /// Events read so far.
    pub fn events(&self) -> i64 {
        self.inner.events.load(Ordering::Relaxed)
    }

    /// So many events are not read after all: they will be read again, or are somebody else's.
    pub fn forget(&self, events: i64) {
        self.inner.events.fetch_sub(events, Ordering::Relaxed);
    }

    /// A task begins to work, until the guard is dropped.
    pub fn join(&self) -> Working {
        self.inner.working.fetch_add(1, Ordering::Relaxed);
        Working(self.clone())
    }

    /// Counts a page that took so long, and waits until its task may go on. One of the tasks always may.
    pub async fn after(&self, events: i64, took: Duration) {
        self.inner.events.fetch_add(events, Ordering::Relaxed);
        self.rest(took).await;
        if let Some(turn) = self.turn(events) {
            sleep_until(turn).await;
        }
        if self.step_aside() {
            while !self.step_in() {
                sleep(LOOK_AGAIN).await;
            }
        }
    }

    /// Stops working where more work than may; whether it did.
    fn step_aside(&self) -> bool {
        let fewer = |working: usize| (working > self.tasks()).then(|| working - 1);
        self.inner.working.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok()
    }

    /// Works again where fewer work than may; whether it does.
    fn step_in(&self) -> bool {
        let more = |working: usize| (working < self.tasks()).then_some(working + 1);
        self.inner.working.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Rests after having worked for so long, as the share wants it.
    pub async fn rest(&self, worked: Duration) {
        let share = self.share();
        if share < 1.0 {
            sleep(worked.mul_f64((1.0 - share) / share)).await;
        }
    }

    /// When a page of so many events may be followed by the next one.
    fn turn(&self, events: i64) -> Option<Instant> {
        let rate = self.inner.max_rate?;
        let mut next = self.inner.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = (*next).max(Instant::now()) + Duration::from_secs_f64(events as f64 / rate);
        Some(*next)
    }
}

/// A task at work.
#[derive(Debug)]
pub struct Working(Throttle);

impl Drop for Working {
    fn drop(&mut self) {
        // One that ends while it waits for its turn was not counted.
        let fewer = |working: usize| working.checked_sub(1);
        let _ = self.0.inner.working.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_halves_the_pace_and_quiet_raises_it_by_tenths() {
        let throttle = Throttle::new(4, None);
        assert_eq!((throttle.tasks(), throttle.page()), (4, 5_000));
        throttle.slower();
        throttle.slower();
        assert_eq!((throttle.tasks(), throttle.page()), (1, 312));
        throttle.faster();
        assert!((throttle.share() - 0.35).abs() < 1e-9 && throttle.tasks() == 2);
        for _ in 0..20 {
            throttle.slower();
        }
        assert_eq!((throttle.tasks(), throttle.page()), (1, 250));
        for _ in 0..20 {
            throttle.faster();
        }
        assert_eq!(throttle.tasks(), 4);
    }

    #[test]
    fn beside_users_it_begins_carefully_and_never_takes_the_whole_machine() {
        let throttle = Throttle::new(4, None);
        assert_eq!(throttle.helpers(), 1);
        throttle.beside_users();
        assert!(throttle.is_beside_users() && throttle.share() < 0.2);
        for _ in 0..20 {
            throttle.faster();
        }
        assert!((throttle.share() - throttle.usual_share()).abs() < 1e-9 && throttle.usual_share() < 0.5);
        assert_eq!((throttle.tasks(), throttle.helpers()), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limited_rate_is_kept_over_all_tasks() {
        let throttle = Throttle::new(2, Some(1_000.0));
        let began = Instant::now();
        tokio::join!(throttle.after(500, Duration::ZERO), throttle.after(500, Duration::ZERO),);
        assert_eq!(began.elapsed().as_millis(), 1_000);
        assert_eq!(throttle.events(), 1_000);
    }

    #[tokio::test(start_paused = true)]
    async fn at_half_the_pace_a_task_rests_as_long_as_it_worked() {
        let throttle = Throttle::new(1, None);
        throttle.slower();
        let began = Instant::now();
        throttle.after(10, Duration::from_millis(40)).await;
        assert_eq!(began.elapsed().as_millis(), 40);
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_tasks_one_waits_for_its_turn_and_goes_on_when_the_other_ends() {
        let throttle = Throttle::new(2, None);
        let (one, other) = (throttle.join(), throttle.join());
        throttle.slower();
        let waits = throttle.after(1, Duration::ZERO);
        let mut waits = std::pin::pin!(waits);
        assert!(tokio::time::timeout(Duration::from_secs(60), &mut waits).await.is_err(), "two at half the pace");
        // Whoever is left may always go on, however slow it is to be.
        drop(one);
        waits.await;
        throttle.after(1, Duration::ZERO).await;
        drop(other);
    }
}
