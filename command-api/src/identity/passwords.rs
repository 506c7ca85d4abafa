//! Passwords: argon2id at 19 MiB, off the async threads and only a few at a time, so that a flood of sign-ins costs
//! neither memory nor anybody else's latency. Registration and sign-in come here; the hash goes to the identity database.
use std::{sync::Arc, time::Duration};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use fittrack_domain::values::ValueError;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout},
};

use super::AccountError;

mod common;

/// How long an idle thread is kept.
const KEPT: Duration = Duration::from_secs(3600);
/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_millis(500);
/// How many may wait for each turn: more than are served in that time on the fastest machine. Of a flood, the others are told at
/// once what they would hear after waiting, all of them in the same moment.
const LINE: usize = 32;
/// After its work a thread rests as long as that took, but no longer than this: in a flood of sign-ins hashing takes half a
/// core where it could have a whole one, and what else the machine does keeps its pace. Whoever comes alone waits for no rest.
const MAX_REST: Duration = Duration::from_millis(100);
const MIN_CHARACTERS: usize = 8;
const MAX_BYTES: usize = 1024;

/// No turn came within half a second, or too many waited for one already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked at this moment")]
pub struct NoCapacity;

/// A password that may become one: 8 characters or more (15 are recommended), 1,024 bytes or fewer, none that guessers try first;
/// kept exactly as typed.
#[derive(Clone)]
pub struct NewPassword(String);

impl NewPassword {
    /// Checks the length and that it is none of the most common ones; nothing is trimmed or folded.
    pub fn parse(text: impl Into<String>) -> Result<Self, ValueError> {
        let text = text.into();
        if text.chars().count() < MIN_CHARACTERS || text.len() > MAX_BYTES {
            return Err(ValueError(format!(
                "must have at least {MIN_CHARACTERS} characters and at most {MAX_BYTES} bytes"
            )));
        }
        if common::is_common(&text) {
            return Err(ValueError("is one of the most common passwords, which are guessed first".to_owned()));
        }
        Ok(Self(text))
    }

    /// Refuses one that follows from whose it is: their address, their name, ours.
    pub fn unlike(self, texts: &[&str]) -> Result<Self, ValueError> {
        if common::follows_from(&self.0, texts) {
            return Err(ValueError("is too like the e-mail address, the name or the product's name".to_owned()));
        }
        Ok(self)
    }

    /// The password itself, for the one who checks it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewPassword(***)")
    }
}

/// What became of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is the password.
    Right {
        /// The password hashed again, where its stored hash was made with weaker parameters than today's.
        rehashed: Option<String>,
    },
    /// It is not, or there is no account.
    Wrong,
}

/// Hashes and checks passwords.
#[derive(Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    line: Arc<Semaphore>,
    at_once: u32,
    threads: Arc<Threads>,
    /// A hash of nobody's password, so that an unknown address costs what a wrong password costs.
    nobody: Arc<str>,
}

/// The threads passwords are hashed on, as many as may be hashed at once and always the same: what a thread has freed stays its own
/// for a while, and 19 MiB on each of the hundreds that tokio may use for blocking work would be gigabytes.
struct Threads(Option<Runtime>);

impl Threads {
    fn new(at_once: usize) -> Result<Self, AccountError> {
        let mut threads = Builder::new_current_thread();
        threads.max_blocking_threads(at_once).thread_keep_alive(KEPT).thread_name("passwords");
        let unmade = |error| AccountError::Internal(format!("there are no threads to hash on: {error}"));
        threads.build().map(|runtime| Self(Some(runtime))).map_err(unmade)
    }

    fn handle(&self) -> Option<&Handle> {
        self.0.as_ref().map(Runtime::handle)
    }
}

/// A runtime may not be waited for within another.
impl Drop for Threads {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

/// The right to hash one password after the other; while it is held, one fewer others may.
pub struct Turn {
    permit: Arc<OwnedSemaphorePermit>,
    threads: Arc<Threads>,
    nobody: Arc<str>,
}

impl Passwords {
    /// At most `at_once` (at least one) are hashed at the same time.
    pub fn new(at_once: u32) -> Result<Self, AccountError> {
        let nobody = hash(uuid::Uuid::new_v4().as_bytes())?.into();
        let at_once = at_once.max(1);
        let turns = usize::try_from(at_once).unwrap_or(1);
        let line = Arc::new(Semaphore::new(turns.saturating_mul(LINE)));
        Ok(Self {
            turns: Arc::new(Semaphore::new(turns)),
            line,
            at_once,
            threads: Arc::new(Threads::new(turns)?),
            nobody,
        })
    }

    /// One fewer at once than there are cores.
    pub fn for_this_machine() -> Result<Self, AccountError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::new(u32::try_from(cores - 1).unwrap_or(u32::MAX))
    }

    /// A turn, within half a second: what is asked for in numbers takes it before it costs anything else.
    pub async fn turn(&self) -> Result<Turn, NoCapacity> {
        let _place = self.line.try_acquire().map_err(|_| NoCapacity)?;
        match timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn {
                permit: Arc::new(permit),
                threads: Arc::clone(&self.threads),
                nobody: Arc::clone(&self.nobody),
            }),
            Ok(Err(_)) | Err(_) => Err(NoCapacity),
        }
    }

    /// [`Turn::hash`] at the next turn.
    pub async fn hash(&self, password: NewPassword) -> Result<String, AccountError> {
        self.turn().await?.hash(password).await
    }

    /// [`Turn::verify`] at the next turn.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<Verdict, AccountError> {
        self.turn().await?.verify(password, stored).await
    }

    /// All turns taken, for tests of what happens then.
    #[doc(hidden)]
    pub async fn exhausted(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turns).acquire_many_owned(self.at_once).await.ok()
    }
}

impl Turn {
    /// The password's hash as a PHC string.
    pub async fn hash(&self, password: NewPassword) -> Result<String, AccountError> {
        self.off_the_async_threads(move || hash(password.0.as_bytes())).await
    }

    /// Checks a password against the stored hash; without one it does the same work and says no.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<Verdict, AccountError> {
        let nobody = Arc::clone(&self.nobody);
        self.off_the_async_threads(move || verify(password.as_bytes(), stored.as_deref(), &nobody)).await
    }

    /// The turn ends no earlier than the work, also where the client has gone, and usually a rest later.
    async fn off_the_async_threads<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, AccountError> + Send + 'static,
    ) -> Result<T, AccountError> {
        let (working, resting) = (Arc::clone(&self.permit), Arc::clone(&self.permit));
        let ended = || AccountError::Internal("passwords are not hashed any more".to_owned());
        let hashing = self.threads.handle().ok_or_else(ended)?.spawn_blocking(move || {
            let started = Instant::now();
            let outcome = work();
            drop(working);
            (outcome, started.elapsed())
        });
        let abnormal = |error| AccountError::Internal(format!("hashing a password ended abnormally: {error}"));
        let (outcome, took) = hashing.await.map_err(abnormal)?;
        tokio::spawn(async move {
            sleep(took.min(MAX_REST)).await;
            drop(resting);
        });
        outcome
    }
}

fn hash(password: &[u8]) -> Result<String, AccountError> {
    let hashed = Argon2::default().hash_password(password);
    hashed.map(|hash: PasswordHash| hash.to_string()).map_err(|error| AccountError::Internal(error.to_string()))
}

fn verify(password: &[u8], stored: Option<&str>, nobody: &str) -> Result<Verdict, AccountError> {
    let parsed = PasswordHash::new(stored.unwrap_or(nobody))
        .map_err(|error| AccountError::Internal(format!("a stored password hash does not parse: {error}")))?;
    let is_right = Argon2::default().verify_password(password, &parsed).is_ok();
    if !is_right || stored.is_none() {
        return Ok(Verdict::Wrong);
    }
    let rehashed = if is_weaker_than_today(&parsed) { Some(hash(password)?) } else { None };
    Ok(Verdict::Right { rehashed })
}

fn is_weaker_than_today(stored: &PasswordHash) -> bool {
    let today = argon2::Params::default();
    match argon2::Params::try_from(stored) {
        Ok(params) => {
            stored.algorithm.as_str() != "argon2id"
                || params.m_cost() < today.m_cost()
                || (params.m_cost() == today.m_cost() && params.t_cost() < today.t_cost())
        }
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_hash_is_argon2id_and_verifies_its_password_alone() {
        let passwords = Passwords::new(2).unwrap();
        for password in ["correct horse battery staple", "  blanks count  ", "🏃🏃🏃🏃🏃🏃🏃🏃", &"x".repeat(1024)]
        {
            let hash = passwords.hash(NewPassword::parse(password).unwrap()).await.unwrap();
            assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
            let right = passwords.verify(password.to_owned(), Some(hash.clone())).await.unwrap();
            assert_eq!(right, Verdict::Right { rehashed: None });
            let wrong = passwords.verify(format!("{password} "), Some(hash)).await.unwrap();
            assert_eq!(wrong, Verdict::Wrong);
        }
        assert_eq!(passwords.verify("whatever".to_owned(), None).await.unwrap(), Verdict::Wrong);
    }

    #[tokio::test]
    async fn all_are_hashed_on_the_same_few_threads() {
        let passwords = Passwords::new(2).unwrap();
        let hashed_on = async || {
            let turn = passwords.turn().await.unwrap();
            turn.off_the_async_threads(|| Ok(std::thread::current().id())).await.unwrap()
        };
        let mut threads = std::collections::HashSet::new();
        // As many as may wait, twice.
        for _ in 0..2 {
            threads.extend(futures::future::join_all((0..2 * LINE).map(|_| hashed_on())).await);
        }
        assert!((1..=2).contains(&threads.len()), "{threads:?}");
        assert!(!threads.contains(&std::thread::current().id()));
    }

    #[tokio::test]
    async fn the_next_turn_comes_after_a_rest() {
        let passwords = Passwords::new(1).unwrap();
        assert_eq!(passwords.verify("whatever".to_owned(), None).await.unwrap(), Verdict::Wrong);
        // On this one thread nothing else can have run since the answer.
        assert_eq!(passwords.turns.available_permits(), 0);
        assert!(passwords.turn().await.is_ok(), "the rest ends by itself");
    }

    #[tokio::test]
    async fn a_weaker_hash_is_renewed() {
        let params = argon2::Params::new(7168, 1, 1, None).unwrap();
        let weak = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let hashed: PasswordHash = weak.hash_password(b"password of old").unwrap();
        let passwords = Passwords::new(1).unwrap();
        let verdict = passwords.verify("password of old".to_owned(), Some(hashed.to_string())).await.unwrap();
        let Verdict::Right { rehashed: Some(renewed) } = verdict else { panic!("{verdict:?}") };
        assert!(renewed.contains("m=19456,t=2,p=1"));
    }

    #[tokio::test]
    async fn when_all_turns_are_taken_one_is_told_so() {
        let passwords = Passwords::new(1).unwrap();
        let taken = passwords.exhausted().await;
        let refused = passwords.verify("whatever".to_owned(), None).await.unwrap_err();
        assert!(matches!(refused, AccountError::Capacity(NoCapacity)));
        drop(taken);
        assert!(passwords.verify("whatever".to_owned(), None).await.is_ok());
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_not_joined() {
        let passwords = Passwords::new(1).unwrap();
        let taken = passwords.exhausted().await;
        let mut line = futures::future::join_all((0..LINE).map(|_| passwords.turn()));
        assert!(futures::poll!(&mut line).is_pending());
        // On this one thread no time has passed that would have let one of them go.
        let Some(refused) = passwords.turn().now_or_never() else { panic!("it waits") };
        assert!(refused.is_err());
        drop((line, taken));
        assert!(passwords.turn().await.is_ok());
    }

    #[test]
    fn length_is_asked_of_a_password_and_that_it_is_not_what_everybody_takes() {
        for bad in ["", "1234567", "password1", "PassWord1", "12345678", &"x".repeat(1025)] {
            assert!(NewPassword::parse(bad).is_err(), "{bad}");
        }
        // No rule of composition, no trimming: blanks make another password.
        for good in ["onlyletters of mine", " password1", "pass word1", &"é".repeat(512), &"x".repeat(64)] {
            assert!(NewPassword::parse(good).is_ok(), "{good}");
        }
        assert!(NewPassword::parse("ann@example.org").unwrap().unlike(&["ann@example.org"]).is_err());
        assert!(!format!("{:?}", NewPassword::parse("hunter of 22").unwrap()).contains("hunter"));
    }
}
