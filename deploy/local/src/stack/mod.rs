//! One stack: a Postgres, a Kafka and the three services, known by their folder.
//! `up` starts what is missing, `down` stops it, and tests kill, pause and restart single processes through it.

mod control;
mod launch;
mod options;
mod ready;
mod start;
mod status;
mod stop;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::account::{self, Account};
use crate::databases;
use crate::error::{Error, Result, WhileDoing};
use crate::kafka;
use crate::ports::{DEFAULT_BASE, PortBlock, Ports};
use crate::postgres;
use crate::secrets::Secrets;
use crate::services::{Service, Surroundings, listen};
use crate::state::{Lock, State};

pub use options::{Parts, StackOptions};
pub use status::{ProcessStatus, Status};

/// The name of the Postgres process.
pub const POSTGRES: &str = "postgres";
/// The name of the Kafka process.
pub const KAFKA: &str = "kafka";

/// A handle on one stack; everything it knows lies in the stack's folder, so several handles may exist at once.
#[derive(Debug)]
pub struct Stack {
    dir: PathBuf,
    secrets: Secrets,
    account: Option<Account>,
    http: reqwest::Client,
    /// A test's own stack: killed and removed when the handle is dropped.
    temporary: AtomicBool,
    /// Kept only so that no other test takes the same ports.
    port_block: Option<PortBlock>,
}

impl Stack {
    /// Starts whatever of a stack does not run yet, and answers when all of it is ready.
    ///
    /// # Errors
    /// When something cannot be started; what this call had started is stopped again.
    pub async fn start(options: StackOptions) -> Result<Self> {
        let parts = options.parts;
        let stack = Self::prepare(options)?;
        stack.ensure_up(parts).await?;
        Ok(stack)
    }

    /// A stack for one test: in a folder of its own, on free ports, killed and removed when the handle is dropped.
    /// The services come from `binaries` (see [`StackOptions::built_beside_this_test`] for where cargo puts them).
    ///
    /// # Errors
    /// When something cannot be started.
    pub async fn temporary(parts: Parts, binaries: PathBuf) -> Result<Self> {
        let block = PortBlock::find()?;
        let dir = std::env::temp_dir().join(format!("fittrack-{:016x}", rand::random::<u64>()));
        let mut stack = Self::prepare(StackOptions::new(dir, binaries).on_ports_from(block.base))?;
        stack.port_block = Some(block);
        stack.temporary = AtomicBool::new(true);
        stack.ensure_up(parts).await?;
        Ok(stack)
    }

    /// Makes the stack's folder and its account of itself, without starting anything.
    ///
    /// # Errors
    /// When the folder cannot be made, or the stack runs already with other ports.
    pub fn prepare(options: StackOptions) -> Result<Self> {
        // Entering (not reading) is left to all where Postgres runs as somebody else.
        let mode = if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 };
        if !options.dir.is_dir() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(mode)
                .create(&options.dir)
                .while_doing(|| format!("create {}", options.dir.display()))?;
        }
        let dir = options.dir.canonicalize().while_doing(|| format!("find {}", options.dir.display()))?;
        fs::create_dir_all(dir.join("logs")).while_doing(|| format!("create {}/logs", dir.display()))?;
        let _turn = Lock::take(&dir)?;
        let account = if options.external_postgres.is_some() { None } else { account::for_postgres()? };
        let state = match State::load(&dir)? {
            Some(state) => renewed(state, &options)?,
            None => State {
                ports: Ports::from_base(options.port_base.unwrap_or(DEFAULT_BASE))?,
                binaries: options.binaries,
                postgres_folder: match options.external_postgres {
                    Some(_) => None,
                    None => Some(postgres::choose_folder(&dir, account.as_ref())?),
                },
                external_postgres: options.external_postgres,
                external_kafka: options.external_kafka,
                external_kafka_settings: options.external_kafka_settings,
                processes: std::collections::BTreeMap::new(),
            },
        };
        state.save(&dir)?;
        Self::handle(dir, account)
    }

    /// The stack in a folder, running or not; nothing when there never was one.
    ///
    /// # Errors
    /// When its account of itself cannot be read.
    pub fn open(dir: &Path) -> Result<Option<Self>> {
        let Ok(dir) = dir.canonicalize() else { return Ok(None) };
        let Some(state) = State::load(&dir)? else { return Ok(None) };
        let account = if state.external_postgres.is_some() { None } else { account::for_postgres()? };
        Self::handle(dir, account).map(Some)
    }

    fn handle(dir: PathBuf, account: Option<Account>) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build().while_doing(|| "make an HTTP client")?;
        let secrets = Secrets::load_or_make(&dir)?;
        Ok(Self { dir, secrets, account, http, temporary: AtomicBool::new(false), port_block: None })
    }

    /// The folder that holds all data, settings and logs.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Keeps a temporary stack's folder and processes when the handle is dropped, to look into a failure.
    pub fn keep(&self) {
        self.temporary.store(false, Ordering::Relaxed);
    }

    /// The ports of this stack.
    ///
    /// # Errors
    /// When the account of the stack cannot be read.
    pub fn ports(&self) -> Result<Ports> {
        Ok(self.state()?.ports)
    }

    /// The administrator's URL of one database; [`crate::databases`] names the four.
    ///
    /// # Errors
    /// When the account of the stack cannot be read.
    pub fn database_url(&self, database: &str) -> Result<String> {
        databases::administrator_url(&self.administrator_url(&self.state()?), database)
    }

    /// The URL under which a role logs into one database.
    ///
    /// # Errors
    /// When the account of the stack cannot be read.
    pub fn role_url(&self, database: &str, role: databases::Role) -> Result<String> {
        databases::role_url(&self.administrator_url(&self.state()?), database, role, &self.secrets)
    }

    /// How a service reaches Kafka, as the settings it is given.
    ///
    /// # Errors
    /// When the account of the stack cannot be read.
    pub fn kafka_settings_of(&self, service: Service) -> Result<Vec<(String, String)>> {
        Ok(self.kafka_settings(&self.state()?, Some(service)))
    }

    /// How Kafka's administrator reaches it, as the settings of a service; to a Kafka that is not ours, as everybody does.
    ///
    /// # Errors
    /// When the account of the stack cannot be read.
    pub fn kafka_settings_of_administrator(&self) -> Result<Vec<(String, String)>> {
        Ok(self.kafka_settings(&self.state()?, None))
    }

    /// Kafka's brokers, `host:port,...`.
    ///
    /// # Errors
    /// When the account of the stack cannot be read.
    pub fn kafka_brokers(&self) -> Result<String> {
        Ok(brokers(&self.state()?))
    }

    /// Where a process answers its callers (`http://127.0.0.1:PORT`); projectors only have a private port.
    ///
    /// # Errors
    /// When no process of that name can exist.
    pub fn url(&self, process: &str) -> Result<String> {
        let listen = listen(self.ports()?, process).ok_or_else(|| unknown(process))?;
        Ok(format!("http://127.0.0.1:{}", listen.public.unwrap_or(listen.private)))
    }

    /// Where a service answers `/livez`, `/readyz` and `/metrics`.
    ///
    /// # Errors
    /// When no process of that name can exist.
    pub fn private_url(&self, process: &str) -> Result<String> {
        let listen = listen(self.ports()?, process).ok_or_else(|| unknown(process))?;
        Ok(format!("http://127.0.0.1:{}", listen.private))
    }

    /// The settings a service of this stack is started with, as `(KEY, VALUE)`.
    ///
    /// # Errors
    /// When no process of that name can exist.
    pub fn settings(&self, process: &str) -> Result<Vec<(String, String)>> {
        let state = self.state()?;
        let service = Service::of_process(process).ok_or_else(|| unknown(process))?;
        let listen = listen(state.ports, process).ok_or_else(|| unknown(process))?;
        let administrator = self.administrator_url(&state);
        self.surroundings(&state, &administrator, service).settings(service, listen)
    }

    /// The file that holds a process's output.
    pub fn log_path(&self, process: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{process}.log"))
    }

    /// Where the services' executables lie.
    ///
    /// # Errors
    /// When the account of the stack cannot be read.
    pub fn binaries(&self) -> Result<PathBuf> {
        Ok(self.state()?.binaries)
    }

    pub(crate) fn state(&self) -> Result<State> {
        State::load(&self.dir)?
            .ok_or_else(|| Error::failed(format!("the stack in {} was wiped meanwhile", self.dir.display())))
    }

    /// Reads the account of the stack, changes it and writes it, while nobody else does.
    fn change(&self, change: impl FnOnce(&mut State)) -> Result<()> {
        let _turn = Lock::for_state(&self.dir)?;
        let mut state = self.state()?;
        change(&mut state);
        state.save(&self.dir)
    }

    fn administrator_url(&self, state: &State) -> String {
        state.external_postgres.clone().unwrap_or_else(|| {
            format!("postgres://postgres:{}@127.0.0.1:{}/postgres", self.secrets.administrator, state.ports.postgres())
        })
    }

    fn surroundings<'a>(&'a self, state: &State, administrator_url: &'a str, service: Service) -> Surroundings<'a> {
        let kafka = self.kafka_settings(state, Some(service));
        Surroundings { folder: &self.dir, ports: state.ports, administrator_url, kafka, secrets: &self.secrets }
    }

    /// The administrator's where no service is named.
    fn kafka_settings(&self, state: &State, service: Option<Service>) -> Vec<(String, String)> {
        let brokers = [("FITTRACK_KAFKA_BROKERS".to_owned(), brokers(state))];
        if state.external_kafka.is_some() {
            return brokers.into_iter().chain(state.external_kafka_settings.clone()).collect();
        }
        let (mechanism, user, password) = match service {
            Some(service) => ("SCRAM-SHA-512", service.name(), service.kafka_password(&self.secrets)),
            None => ("PLAIN", kafka::ADMINISTRATOR, self.secrets.kafka_administrator.as_str()),
        };
        let login = [
            ("FITTRACK_KAFKA_SECURITY", "sasl_plaintext"),
            ("FITTRACK_KAFKA_SASL_MECHANISM", mechanism),
            ("FITTRACK_KAFKA_USER", user),
            ("FITTRACK_KAFKA_PASSWORD", password),
        ];
        brokers.into_iter().chain(login.map(|(key, value)| (key.to_owned(), value.to_owned()))).collect()
    }
}

/// What an existing stack is told anew by `up`: ports only while nothing of it runs.
fn renewed(mut state: State, options: &StackOptions) -> Result<State> {
    let runs = state.processes.values().any(crate::process::ProcessId::is_alive);
    if let Some(base) = options.port_base.filter(|base| *base != state.ports.base()) {
        if runs {
            return Err(Error::wrong_use(format!("this stack runs on ports from {} on", state.ports.base()))
                .advise("stop it first (down), or use another --dir for a second stack"));
        }
        state.ports = Ports::from_base(base)?;
    }
    if state.external_postgres.is_some() != options.external_postgres.is_some() {
        return Err(Error::wrong_use("this stack keeps its data in another Postgres than the one asked for")
            .advise("set or unset FITTRACK_POSTGRES_URL as before, or use another --dir"));
    }
    state.external_postgres.clone_from(&options.external_postgres);
    state.external_kafka.clone_from(&options.external_kafka);
    state.external_kafka_settings.clone_from(&options.external_kafka_settings);
    state.binaries.clone_from(&options.binaries);
    Ok(state)
}

fn brokers(state: &State) -> String {
    state.external_kafka.clone().unwrap_or_else(|| format!("127.0.0.1:{}", state.ports.kafka()))
}

fn unknown(process: &str) -> Error {
    Error::wrong_use(format!("a stack has no process named {process}"))
        .advise("the names are postgres, kafka, command-api, projectors, query-api, and -2 or -3 behind the last three")
}
