//! The baseline of every HTTP figure: a server that answers a fixed response on a bare socket, and a client that asks on
//! kept-alive connections and parses no more than it must. Both sides of a comparison are asked by this client, and answer
//! the same bytes.
use std::{
    io::{Read, stdin},
    sync::Arc,
    time::Duration,
};

use memchr::memmem;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use crate::Failure;

/// Serves what it is given on its standard input, on a free port, printed on the first line, until killed.
pub async fn serve() -> Result<(), Failure> {
    let mut response = Vec::new();
    stdin().read_to_end(&mut response)?;
    let response: Arc<[u8]> = response.into();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (mut socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let response = Arc::clone(&response);
        tokio::spawn(async move {
            let mut buffer = vec![0; 8192];
            let mut filled = 0;
            while let Ok(read) = socket.read(&mut buffer[filled..]).await {
                filled += read;
                if read == 0 || filled == buffer.len() {
                    return;
                }
                if buffer[..filled].ends_with(b"\r\n\r\n") {
                    filled = 0;
                    if socket.write_all(&response).await.is_err() {
                        return;
                    }
                }
            }
        });
    }
}

/// One kept-alive connection.
pub struct Client {
    socket: BufReader<TcpStream>,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects to `127.0.0.1:port`.
    pub async fn connect(address: &str) -> Result<Self, Failure> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self { socket: BufReader::with_capacity(16 * 1024, socket), buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends one request and reads its whole response; answers the status.
    pub async fn ask(&mut self, request: &[u8]) -> Result<u16, Failure> {
        self.fetch(request).await.map(status)
    }

    /// The same; answers the response as it came.
    pub async fn fetch(&mut self, request: &[u8]) -> Result<&[u8], Failure> {
        self.socket.get_mut().write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed the connection".into());
            }
            if let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
        };
        let length = content_length(&self.buffer[..head]).ok_or("a response does not say how long it is")?;
        while self.buffer.len() < head + length {
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed the connection within a body".into());
            }
        }
        Ok(&self.buffer)
    }
}

/// The status of a response; 0 where it has none.
pub fn status(response: &[u8]) -> u16 {
    let digits = response.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// As hyper writes it: in lower case, and digits alone.
fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"\r\ncontent-length: ";
    let value = head.get(memmem::find(head, NAME)? + NAME.len()..)?;
    let end = value.iter().position(|byte| *byte == b'\r')?;
    std::str::from_utf8(value.get(..end)?).ok()?.parse().ok()
}

/// Asks from as many connections as there are requests, each the same one again and again, for `span`; requests a second.
///
/// Every answer must have the status `expected`.
pub async fn rate(address: &str, requests: &[Vec<u8>], expected: u16, span: Duration) -> Result<f64, Failure> {
    let tasks: Vec<_> = requests
        .iter()
        .cloned()
        .map(|request| {
            let address = address.to_owned();
            tokio::spawn(async move {
                let mut client = Client::connect(&address).await?;
                let (until, mut done) = (Instant::now() + span, 0_u64);
                while Instant::now() < until {
                    let status = client.ask(&request).await?;
                    if status != expected {
                        return Err::<u64, Failure>(format!("answered {status} where {expected} was expected").into());
                    }
                    done += 1;
                }
                Ok(done)
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    Ok(done as f64 / span.as_secs_f64())
}
