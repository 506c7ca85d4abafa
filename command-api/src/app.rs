//! The parts of a running command API, put together once and handed to every route.
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use axum::extract::FromRef;
use fittrack_domain::{aggregate::Context, athlete::Athlete, ids::AthleteId};
use fittrack_runtime::{
    auth::{JwksError, JwksSource, Revocations, Verifier},
    clock,
    keys::SigningKeys,
    problem::Problem,
    shutdown::Tasks,
};
use fittrack_schemas::consistency::TokenKey;
use sqlx::PgPool;

use crate::{
    dispatch::Dispatcher,
    exports::Exports,
    identity::{
        AccountError, api_keys::ApiKeys, ended::EndedSessions, notes::Notes, passwords::Passwords,
        registration::Registration, sessions::Sessions, sign_in::SignIn, throttle::Throttle, tokens::Tokens,
    },
    imports::{Importer, turns::FileTurns, zip::ZipImports},
    routes::{
        idempotency::Running,
        problems::{self, RETRY_AFTER},
    },
};

/// What the routes need. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts by name.
pub struct Parts {
    /// Takes commands to the event store.
    pub dispatcher: Dispatcher,
    /// Makes accounts.
    pub registration: Registration,
    /// Hashes and checks passwords.
    pub passwords: Passwords,
    /// Issues access tokens.
    pub tokens: Tokens,
    /// Lets in who knows the password.
    pub sign_in: SignIn,
    /// Slows down guessing.
    pub throttle: Throttle,
    /// Begins and ends sessions.
    pub sessions: Sessions,
    /// Keys for programs.
    pub api_keys: ApiKeys,
    /// Notes for the audit log, of what may come in floods.
    pub notes: Notes,
    /// Which sessions and keys have ended lately.
    pub ended: EndedSessions,
    /// Checks access tokens.
    pub verifier: Verifier,
    /// Takes in recordings.
    pub importer: Importer,
    /// Takes in zips.
    pub zip_imports: ZipImports,
    /// Makes exports of everything.
    pub exports: Exports,
    /// The commands under way here.
    pub running: Running,
    /// Turns for uploaded files.
    pub file_turns: FileTurns,
    /// Runs what must not stop when its client does.
    pub tasks: Tasks,
    /// Closed until the event store is known to be the one we think it is, and the tokens' key is known.
    pub gate: Gate,
}

/// What an [`App`] is made of.
pub struct Foundations {
    /// Takes commands to the event store.
    pub dispatcher: Dispatcher,
    /// The event store's database, as the role `fittrack_command`.
    pub event_store: PgPool,
    /// The identity database.
    pub identity: PgPool,
    /// The recordings' database.
    pub recordings: PgPool,
    /// Issues access tokens.
    pub tokens: Tokens,
    /// Whom tokens are by and for.
    pub issuer_and_audience: (String, String),
    /// Runs what must not stop when its client does.
    pub tasks: Tasks,
    /// Closed until the event store was checked and the tokens' key was read.
    pub gate: Gate,
}

/// Why an [`App`] cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Our own key set is not one.
    #[error("access tokens cannot be checked: {0}")]
    Keys(#[from] JwksError),
    /// Passwords cannot be hashed.
    #[error("passwords cannot be hashed: {0}")]
    Passwords(#[from] AccountError),
}

impl App {
    /// Puts the parts together.
    pub fn new(foundations: Foundations) -> Result<Self, AppError> {
        let Foundations { dispatcher, event_store, identity, recordings, tokens, issuer_and_audience, tasks, gate } =
            foundations;
        let (issuer, audience) = issuer_and_audience;
        let passwords = Passwords::for_this_machine()?;
        let revocations = Revocations::unknown();
        let ended = EndedSessions::new(identity.clone(), revocations.clone());
        let keys = JwksSource::Keys(tokens.jwk_set());
        let sessions = Sessions::new(identity.clone(), tokens.clone(), ended.clone());
        let throttle = Throttle::new(identity.clone());
        let importer = Importer::new(event_store.clone(), recordings.clone(), dispatcher.clone());
        Ok(Self(Arc::new(Parts {
            sign_in: SignIn::new(identity.clone(), passwords.clone(), throttle.clone(), sessions.clone()),
            api_keys: ApiKeys::new(identity.clone(), tokens.clone(), ended.clone()),
            sessions,
            ended,
            notes: Notes::new(identity.clone()),
            exports: Exports::new(dispatcher.store().clone(), event_store, identity.clone(), recordings.clone()),
            registration: Registration::new(identity, dispatcher.clone(), passwords.clone(), throttle.clone()),
            zip_imports: ZipImports::new(importer.clone(), dispatcher.clone(), recordings),
            importer,
            verifier: Verifier::new(keys, &issuer, &audience)?.with_revocations(revocations),
            dispatcher,
            passwords,
            tokens,
            running: Running::default(),
            file_turns: FileTurns::default(),
            tasks,
            gate,
            throttle,
        })))
    }

    /// Signs with the first of these keys from now on, and trusts all of them and no others.
    pub fn adopt_keys(&self, keys: SigningKeys) {
        // Trusted first: no token is out before it is good here.
        self.verifier.trust(&keys.jwk_set());
        self.tokens.replace_keys(keys);
    }

    /// What a decision for this athlete may know: the instant, and the athlete's own defaults.
    pub async fn context(&self, athlete_id: AthleteId) -> Result<Context, Problem> {
        let (athlete, _) = self.dispatcher.load::<Athlete>(athlete_id.0).await.map_err(problems::of_load)?;
        let profile = athlete.profile.ok_or_else(|| Problem::invalid_token("the athlete of this token is gone"))?;
        Ok(Context {
            now: clock::now(),
            actor: athlete_id,
            time_zone: profile.time_zone,
            default_visibility: profile.default_visibility,
        })
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Self {
        app.verifier.clone()
    }
}

/// Keeps commands out until the event store was checked and what consistency tokens are signed with was read: a command that is
/// stored is answered with a token. Then open for good. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Locks>);

#[derive(Debug, Default)]
struct Locks {
    store_is_checked: AtomicBool,
    token_key: OnceLock<TokenKey>,
}

impl Gate {
    /// The event store is the one we think it is.
    pub fn found_store(&self) {
        self.0.store_is_checked.store(true, Ordering::Release);
    }

    /// What tokens are signed with; the first one stays.
    pub fn found_token_key(&self, key: TokenKey) {
        self.0.token_key.get_or_init(|| key);
    }

    /// What the command's token is to be signed with; 503 while closed.
    pub fn pass(&self) -> Result<&TokenKey, Problem> {
        let closed = |missing: &str| Problem::unavailable(format!("{missing} not been reached yet"), RETRY_AFTER);
        if !self.0.store_is_checked.load(Ordering::Acquire) {
            return Err(closed("the event store has"));
        }
        self.0
            .token_key
            .get()
            .ok_or_else(|| closed("the recordings' database, where the key of consistency tokens is, has"))
    }
}
