//! The three services of FitTrack as a stack runs them: names, ports, and the settings file each one reads.
//! The settings lie in `DIR/settings/NAME.env`, so an operator can read exactly what a process was told.

use std::fs;
use std::path::Path;

use crate::databases::{EVENT_STORE, IDENTITY, READ_MODELS, RECORDINGS, Role, role_url};
use crate::error::{Result, WhileDoing};
use crate::ports::Ports;
use crate::secrets::{Secrets, write_private};

/// Demos, journeys and benches are one address and few athletes who ask as much as a town: counted as in production, and never
/// too much.
const ONE_CLIENT: [(&str, &str); 2] = [
    ("FITTRACK_RATE_LIMITS", "auth=1000000/1s,write=1000000/1s,read=1000000/1s,export=1000000/1s"),
    ("FITTRACK_CONNECTIONS_PER_ADDRESS", "10000"),
];

/// One of the three programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    CommandApi,
    Projectors,
    QueryApi,
}

impl Service {
    pub const ALL: [Self; 3] = [Self::CommandApi, Self::Projectors, Self::QueryApi];

    /// The name of the program and of its first process.
    pub fn name(self) -> &'static str {
        match self {
            Self::CommandApi => "command-api",
            Self::Projectors => "projectors",
            Self::QueryApi => "query-api",
        }
    }

    /// The service of a process: `command-api`, or `command-api-2` for a replica.
    pub fn of_process(process: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|service| process.strip_prefix(service.name()).is_some_and(|rest| replica_number(rest).is_some()))
    }

    /// The password of its user of Kafka, which has the service's name.
    pub fn kafka_password(self, secrets: &Secrets) -> &str {
        match self {
            Self::CommandApi => &secrets.kafka_command_api,
            Self::Projectors => &secrets.kafka_projectors,
            Self::QueryApi => &secrets.kafka_query_api,
        }
    }

    /// What it is started with.
    pub fn arguments(self) -> Vec<String> {
        match self {
            Self::CommandApi | Self::QueryApi => vec!["serve".into()],
            Self::Projectors => vec!["run".into()],
        }
    }
}

/// 1 for the process named after its service, n for `-n`.
fn replica_number(rest: &str) -> Option<u16> {
    if rest.is_empty() {
        return Some(1);
    }
    rest.strip_prefix('-')?.parse().ok().filter(|number| *number >= 2)
}

/// Where one process of a service listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    pub public: Option<u16>,
    pub private: u16,
}

/// The ports of a process by its name; replica n of any service takes the (n - 1)th pair behind the stack's own eight.
pub fn listen(ports: Ports, process: &str) -> Option<Listen> {
    let service = Service::of_process(process)?;
    let number = replica_number(process.strip_prefix(service.name())?)?;
    if number >= 2 {
        let slot = match service {
            Service::CommandApi => 0,
            Service::Projectors => 1,
            Service::QueryApi => 2,
        };
        // Two replicas of each service fit into the block of twenty.
        let private = ports.base() + 8 + (number - 2) * 6 + slot * 2;
        let public = (service != Service::Projectors).then_some(private + 1);
        return (number <= 3).then_some(Listen { public, private });
    }
    Some(match service {
        Service::CommandApi => Listen { public: Some(ports.command_api()), private: ports.command_api_private() },
        Service::QueryApi => Listen { public: Some(ports.query_api()), private: ports.query_api_private() },
        Service::Projectors => Listen { public: None, private: ports.projectors_private() },
    })
}

/// What a service has to be told about the stack around it.
pub struct Surroundings<'a> {
    pub folder: &'a Path,
    pub ports: Ports,
    pub administrator_url: &'a str,
    /// How to reach Kafka, as settings.
    pub kafka: Vec<(String, String)>,
    pub secrets: &'a Secrets,
}

impl Surroundings<'_> {
    /// The settings of one process of a service.
    ///
    /// # Errors
    /// When the administrator's URL is none.
    pub fn settings(&self, service: Service, listen: Listen) -> Result<Vec<(String, String)>> {
        let url = |database, role| role_url(self.administrator_url, database, role, self.secrets);
        let mut settings = vec![
            ("FITTRACK_PRIVATE_LISTEN", format!("127.0.0.1:{}", listen.private)),
            ("FITTRACK_LOG_FORMAT", "text".to_owned()),
        ];
        if let Some(public) = listen.public {
            settings.push(("FITTRACK_LISTEN", format!("127.0.0.1:{public}")));
            settings.extend(ONE_CLIENT.map(|(name, value)| (name, value.to_owned())));
        }
        match service {
            Service::CommandApi => settings.extend([
                ("FITTRACK_EVENT_STORE_URL", url(EVENT_STORE, Role::Command)?),
                ("FITTRACK_RELAY_URL", url(EVENT_STORE, Role::Relay)?),
                ("FITTRACK_ERASER_LOG_URL", url(EVENT_STORE, Role::Eraser)?),
                ("FITTRACK_ERASER_READ_MODELS_URL", url(READ_MODELS, Role::Eraser)?),
                ("FITTRACK_IDENTITY_URL", url(IDENTITY, Role::Command)?),
                ("FITTRACK_RECORDINGS_URL", url(RECORDINGS, Role::Command)?),
                ("FITTRACK_SIGNING_KEY_FILE", self.folder.join("signing-key.pem").display().to_string()),
            ]),
            Service::Projectors => settings.extend([
                ("FITTRACK_EVENT_STORE_URL", url(EVENT_STORE, Role::Projector)?),
                ("FITTRACK_READ_MODELS_URL", url(READ_MODELS, Role::Projector)?),
            ]),
            Service::QueryApi => settings.extend([
                ("FITTRACK_READ_MODELS_URL", url(READ_MODELS, Role::Query)?),
                ("FITTRACK_RECORDINGS_URL", url(RECORDINGS, Role::Query)?),
                ("FITTRACK_JWKS_URL", format!("http://127.0.0.1:{}/.well-known/jwks.json", self.ports.command_api())),
            ]),
        }
        let settings = settings.into_iter().map(|(key, value)| (key.to_owned(), value));
        Ok(settings.chain(self.kafka.clone()).collect())
    }

    /// Writes the settings file of one process and answers the environment that names it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_settings(&self, process: &str, service: Service, listen: Listen) -> Result<Vec<(String, String)>> {
        use std::fmt::Write;
        let folder = self.folder.join("settings");
        fs::create_dir_all(&folder).while_doing(|| format!("create {}", folder.display()))?;
        let mut text = format!("# What {process} is told; written at each start of the local stack.\n");
        for (key, value) in self.settings(service, listen)? {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key}={value}");
        }
        let path = folder.join(format!("{process}.env"));
        write_private(&path, &text)?;
        Ok(vec![("FITTRACK_SETTINGS_FILE".to_owned(), path.display().to_string())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_a_service_or_a_numbered_replica_of_one() {
        assert_eq!(Service::of_process("query-api"), Some(Service::QueryApi));
        assert_eq!(Service::of_process("command-api-2"), Some(Service::CommandApi));
        for other in ["postgres", "command-api-", "command-api-1", "command-apis", "projectors-x"] {
            assert_eq!(Service::of_process(other), None, "{other}");
        }
    }

    #[test]
    fn no_two_processes_share_a_port() {
        let ports = Ports::from_base(9000).unwrap();
        let mut taken = vec![ports.postgres(), ports.kafka(), ports.kafka_controller()];
        for service in Service::ALL {
            for suffix in ["", "-2", "-3"] {
                let listen = listen(ports, &format!("{}{suffix}", service.name())).unwrap();
                taken.push(listen.private);
                taken.extend(listen.public);
            }
        }
        let count = taken.len();
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), count);
        assert!(taken.iter().all(|port| (9000..9020).contains(port)), "{taken:?}");
        assert_eq!(listen(ports, "command-api-4"), None);
    }
}
