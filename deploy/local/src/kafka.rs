//! A private Kafka: one process that is broker and controller, its settings, and what it is given when it has started.
//! The stack starts it beside Postgres; what the services publish waits in the store whenever it is down. It lets nobody in without a
//! password: services log in with SCRAM, the administrator (and the broker at its own controller) with one of the settings file.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::net::TcpStream;

use crate::artifacts::{self, jdk_tool};
use crate::error::{Error, Result, WhileDoing};
use crate::ports::Ports;
use crate::process::{Launch, ProcessId, find_program, spawn};
use crate::secrets::{Secrets, write_private};
use crate::services::Service;

mod admin;
pub mod list;
mod provision;

pub use admin::ADMINISTRATOR;

/// How long one look at whether the broker is ready may take.
const LOOK: Duration = Duration::from_secs(1);

const LOGGING: &str = "\
# Warnings and errors to standard output, which the stack keeps in logs/kafka.log.
status = warn
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %m (%c{1})%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
# It warns about each settings key it does not know, which is noise here.
logger.config.name = org.apache.kafka.common.config.AbstractConfig
logger.config.level = error
";

const SCRAM: &str = "org.apache.kafka.common.security.scram.ScramLoginModule required";
const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule required";

/// Everything needed to start the Kafka of one stack.
pub struct Kafka<'a> {
    /// Holds `server.properties`, `log4j2.properties` and `data/`.
    pub folder: &'a Path,
    pub ports: Ports,
    pub log: &'a Path,
    /// Of the administrator.
    pub password: &'a str,
}

impl Kafka<'_> {
    /// Formats the data folder where it is new, writes the settings and starts the broker; does not wait for it.
    ///
    /// # Errors
    /// When Kafka cannot be fetched, formatted or started.
    pub fn start(&self) -> Result<ProcessId> {
        let jars = artifacts::kafka()?;
        let data = self.folder.join("data");
        fs::create_dir_all(self.folder).while_doing(|| format!("create {}", self.folder.display()))?;
        let settings = self.folder.join("server.properties");
        write_private(&settings, &self.settings(&data)?)?;
        let logging = self.folder.join("log4j2.properties");
        fs::write(&logging, LOGGING).while_doing(|| format!("write {}", logging.display()))?;

        let class_path = format!("{}/*", jars.display());
        let settings = settings.display().to_string();
        let java = jdk_tool("java");
        let java = if java.is_absolute() { Some(java) } else { find_program("java") };
        let java = java.ok_or_else(|| {
            Error::failed("Java is not installed").advise("install a JDK, 17 or newer, or set FITTRACK_KAFKA_BROKERS")
        })?;
        if !data.join("meta.properties").exists() {
            let mut format = Command::new(&java);
            format.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
            format.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &class_path, "kafka.tools.StorageTool"]);
            format.args(["format", "--ignore-formatted", "-t", &cluster_id(), "-c", &settings]);
            artifacts::run(&mut format, "format Kafka's data folder")?;
        }
        spawn(Launch {
            program: &java,
            arguments: vec![
                "-Xmx512m".into(),
                "-XX:+UseSerialGC".into(),
                "-XX:TieredStopAtLevel=1".into(),
                format!("-Dlog4j2.configurationFile={}", logging.display()),
                "-cp".into(),
                class_path,
                "kafka.Kafka".into(),
                settings,
            ],
            environment: Vec::new(),
            log: self.log,
            account: None,
        })
    }

    /// The whole of `server.properties`.
    fn settings(&self, data: &Path) -> Result<String> {
        let data = data.display().to_string();
        if data.contains([',', '\\']) {
            return Err(Error::wrong_use(format!("Kafka cannot keep its data in {data}"))
                .advise("choose a --dir without comma and backslash"));
        }
        let (broker, controller) = (self.ports.kafka(), self.ports.kafka_controller());
        let password = self.password;
        // Its own login, and the one user who may log in so.
        let login =
            format!("{PLAIN} username=\"{ADMINISTRATOR}\" password=\"{password}\" user_{ADMINISTRATOR}=\"{password}\"");
        Ok(format!(
            "# Written at each start of the local stack.\n\
             process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=CLIENT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=CLIENT://127.0.0.1:{broker}\n\
             inter.broker.listener.name=CLIENT\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT\n\
             sasl.mechanism.inter.broker.protocol=PLAIN\n\
             sasl.mechanism.controller.protocol=PLAIN\n\
             listener.name.client.sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN\n\
             listener.name.client.scram-sha-512.sasl.jaas.config={SCRAM};\n\
             listener.name.client.plain.sasl.jaas.config={login};\n\
             listener.name.controller.sasl.enabled.mechanisms=PLAIN\n\
             listener.name.controller.plain.sasl.jaas.config={login};\n\
             authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
             allow.everyone.if.no.acl.found=false\n\
             super.users=User:{ADMINISTRATOR}\n\
             log.dirs={data}\n\
             log.retention.hours=168\n\
             auto.create.topics.enable=false\n\
             num.partitions=1\n\
             default.replication.factor=1\n\
             offsets.topic.num.partitions=4\n\
             offsets.topic.replication.factor=1\n\
             transaction.state.log.num.partitions=4\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             share.coordinator.state.topic.num.partitions=4\n\
             share.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n"
        ))
    }
}

/// A random cluster id in Kafka's own form; a leading dash would read as an option.
fn cluster_id() -> String {
    let id = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>());
    match id.strip_prefix('-') {
        Some(rest) => format!("A{rest}"),
        None => id,
    }
}

/// Whether the stack's own broker lets its administrator in and knows of itself, within a second.
pub async fn is_ready(address: &str, password: &str) -> bool {
    let asked =
        tokio::time::timeout(LOOK, async { admin::Admin::connect(address, password).await?.count_brokers().await });
    matches!(asked.await, Ok(Ok(brokers)) if brokers > 0)
}

/// Whether anybody listens at the address of a broker that is not ours: how to talk to it, its services know.
pub async fn listens(address: &str) -> bool {
    matches!(tokio::time::timeout(LOOK, TcpStream::connect(address)).await, Ok(Ok(_)))
}

/// Gives the stack's own broker its users, the committed access list and the topics; it goes by them when this answers.
///
/// # Errors
/// When the broker refuses.
pub async fn provision(address: &str, secrets: &Secrets) -> Result<()> {
    let mut admin = admin::Admin::connect(address, &secrets.kafka_administrator).await?;
    let users = Service::ALL.map(|service| (service.name(), service.kafka_password(secrets)));
    provision::provision(&mut admin, &users, &list::AccessList::committed()?).await
}

/// Whether the broker of this folder was last started by a version of ours that let everybody in.
pub fn was_open_to_all(folder: &Path) -> bool {
    fs::read_to_string(folder.join("server.properties")).is_ok_and(|settings| !settings.contains("SASL_PLAINTEXT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_id_is_22_characters_and_never_an_option() {
        for _ in 0..500 {
            let id = cluster_id();
            assert!(id.len() == 22 && !id.starts_with('-'), "{id}");
        }
    }

    #[test]
    fn a_data_folder_kafka_would_split_is_refused() {
        let ports = Ports::from_base(9000).unwrap();
        let kafka = Kafka { folder: Path::new("/a"), ports, log: Path::new("/a/log"), password: "pw" };
        assert_eq!(kafka.settings(Path::new("/a,b")).unwrap_err().exit_code(), 2);
        let settings = kafka.settings(Path::new("/a/data")).unwrap();
        assert!(settings.contains("listeners=CLIENT://127.0.0.1:9006,CONTROLLER://127.0.0.1:9007\n"));
        assert!(!settings.contains(":PLAINTEXT"), "a listener asks for no password:\n{settings}");
    }

    #[tokio::test]
    async fn nobody_listening_is_not_ready() {
        assert!(!is_ready("127.0.0.1:1", "pw").await && !listens("127.0.0.1:1").await);
    }
}
