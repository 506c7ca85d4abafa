//! How each process of a stack is started, by its name; used by `up` for what is missing and by tests for what they killed.
//! A process is recorded in the stack's account the moment it exists, so a command that dies here loses none.

use std::fs;
use std::time::{Duration, Instant};

use super::{KAFKA, POSTGRES, Stack, unknown};
use crate::error::{Error, Result};
use crate::kafka::Kafka;
use crate::ports;
use crate::postgres::Postgres;
use crate::process::{Launch, ProcessId, spawn};
use crate::services::{Service, listen};
use crate::state::State;

/// A process that was started: who it is, and where in its log it begins.
pub(super) struct Started {
    pub process: ProcessId,
    pub log_offset: u64,
}

impl Stack {
    /// Starts one process without waiting until it is ready, and records it.
    pub(super) fn launch(&self, name: &str) -> Result<Started> {
        let state = self.state()?;
        let log = self.log_path(name);
        let log_offset = fs::metadata(&log).map_or(0, |metadata| metadata.len());
        Self::check_ports(name, &state)?;
        let process = match name {
            POSTGRES => self.launch_postgres(&state)?,
            KAFKA => {
                let (folder, password) = (self.dir.join("kafka"), self.secrets.kafka_administrator.as_str());
                Kafka { folder: &folder, ports: state.ports, log: &log, password }.start()?
            }
            service => self.launch_service(service, &state)?,
        };
        self.change(|state| {
            state.processes.insert(name.to_owned(), process.clone());
        })?;
        Ok(Started { process, log_offset })
    }

    fn launch_postgres(&self, state: &State) -> Result<ProcessId> {
        let folder = state.postgres_folder.as_deref();
        let folder = folder.ok_or_else(|| Error::failed("this stack uses somebody else's Postgres"))?;
        Postgres {
            folder,
            port: state.ports.postgres(),
            log: &self.log_path(POSTGRES),
            account: self.account.as_ref(),
            administrator_password: &self.secrets.administrator,
        }
        .start()
    }

    fn launch_service(&self, name: &str, state: &State) -> Result<ProcessId> {
        let service = Service::of_process(name).ok_or_else(|| unknown(name))?;
        let listen = listen(state.ports, name).ok_or_else(|| unknown(name))?;
        let administrator = self.administrator_url(state);
        let mut environment =
            self.surroundings(state, &administrator, service).write_settings(name, service, listen)?;
        environment.push(("NO_COLOR".into(), "1".into())); // it writes into a file
        spawn(Launch {
            program: &state.binaries.join(service.name()),
            arguments: service.arguments(),
            environment,
            log: &self.log_path(name),
            account: None,
        })
    }

    /// Refuses to start a process whose port somebody else holds; a port just left by a killed process gets a moment.
    fn check_ports(name: &str, state: &State) -> Result<()> {
        let wanted = match name {
            POSTGRES => vec![state.ports.postgres()],
            KAFKA => vec![state.ports.kafka(), state.ports.kafka_controller()],
            service => match listen(state.ports, service) {
                Some(listen) => [Some(listen.private), listen.public].into_iter().flatten().collect(),
                None => return Err(unknown(service)),
            },
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        for port in wanted {
            while !ports::is_free(port) {
                if Instant::now() >= deadline {
                    return Err(Error::failed(format!("{name} needs port {port}, which another program holds"))
                        .advise(format!(
                            "stop that program (ss -ltnp 'sport = :{port}' names it), \
                             or choose other ports with --port-base"
                        )));
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    /// What a process has written since its log had this many bytes.
    pub(super) fn logged_since(&self, name: &str, offset: u64) -> String {
        let log = fs::read(self.log_path(name)).unwrap_or_default();
        let offset = usize::try_from(offset).unwrap_or(0);
        String::from_utf8_lossy(log.get(offset..).unwrap_or_default()).into_owned()
    }
}
