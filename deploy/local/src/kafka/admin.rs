//! A connection of the administrator to the stack's own broker: it logs in, and asks one question after the other.
//! The services' client cannot set users and access lists, and Kafka's own tools take a second of Java for each question.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    MetadataRequest, RequestHeader, ResponseHeader, SaslAuthenticateRequest, SaslHandshakeRequest,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::{Error, Result, WhileDoing};

/// How long one question may take; the broker waits for its controller in some of them.
const ANSWER: Duration = Duration::from_secs(10);
/// No answer to our questions is longer.
const LONGEST_ANSWER: usize = 1 << 20;
/// The user that may do everything; the broker itself goes by it too.
pub const ADMINISTRATOR: &str = "admin";

/// A connection that is logged in.
pub struct Admin {
    stream: TcpStream,
    asked: i32,
}

impl Admin {
    /// Connects and logs in.
    ///
    /// # Errors
    /// When nobody listens, or the password is another.
    pub async fn connect(address: &str, password: &str) -> Result<Self> {
        let stream = tokio::time::timeout(ANSWER, TcpStream::connect(address)).await;
        let stream = stream.while_doing(|| "connect to Kafka")?.while_doing(|| "connect to Kafka")?;
        let mut admin = Self { stream, asked: 0 };
        let plain = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("PLAIN"));
        refused(admin.ask(&plain, 1).await?.error_code, "begin to log into Kafka", None)?;
        let login = Bytes::from(format!("\0{ADMINISTRATOR}\0{password}"));
        let answer = admin.ask(&SaslAuthenticateRequest::default().with_auth_bytes(login), 2).await?;
        refused(answer.error_code, "log into Kafka", answer.error_message.as_deref())?;
        Ok(admin)
    }

    /// How many brokers there are; none while the only one is still starting.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn count_brokers(&mut self) -> Result<usize> {
        let no_topics = MetadataRequest::default().with_topics(Some(vec![])).with_allow_auto_topic_creation(false);
        Ok(self.ask(&no_topics, 12).await?.brokers.len())
    }

    /// Asks one question in this version of the protocol.
    ///
    /// # Errors
    /// When there is no answer, or none that can be understood.
    pub async fn ask<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response> {
        let answer = tokio::time::timeout(ANSWER, self.exchange(request, version)).await;
        answer.while_doing(|| "ask Kafka something")?
    }

    async fn exchange<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response> {
        self.asked += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.asked)
            .with_client_id(Some(StrBytes::from_static_str("fittrack-local")));
        let mut question = BytesMut::new();
        header.encode(&mut question, R::header_version(version)).while_doing(|| "write to Kafka")?;
        request.encode(&mut question, version).while_doing(|| "write to Kafka")?;
        let length = u32::try_from(question.len()).while_doing(|| "write to Kafka")?;
        self.stream.write_u32(length).await.while_doing(|| "write to Kafka")?;
        self.stream.write_all(&question).await.while_doing(|| "write to Kafka")?;

        let length = self.stream.read_u32().await.while_doing(|| "read from Kafka")?;
        let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST_ANSWER);
        let length = length.ok_or_else(|| Error::failed("what answers is no Kafka"))?;
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await.while_doing(|| "read from Kafka")?;
        let mut answer = Bytes::from(answer);
        let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version))
            .while_doing(|| "understand Kafka")?;
        if header.correlation_id != self.asked {
            return Err(Error::failed("Kafka answered another question"));
        }
        R::Response::decode(&mut answer, version).while_doing(|| "understand Kafka")
    }
}

/// Turns one of the protocol's error codes into a failure.
///
/// # Errors
/// Unless it is 0.
pub fn refused(code: i16, doing: &str, message: Option<&str>) -> Result<()> {
    match kafka_protocol::ResponseError::try_from_code(code) {
        None => Ok(()),
        Some(error) => {
            let message = message.map(|message| format!(" ({message})")).unwrap_or_default();
            Err(Error::failed(format!("cannot {doing}: {error:?}{message}")))
        }
    }
}
