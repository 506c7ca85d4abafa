//! Connections that take and give nothing back: too many from one address, and those who dribble.
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use futures::{StreamExt, stream};
use tokio::task::JoinSet;

use super::*;
use crate::json::Json;

/// Connections that dribble, half of them in the head and half in the body.
const SLOW: usize = 500;
/// Both ends of each are in this process.
const FILES_NEEDED: u64 = 2_500;

fn allow_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < FILES_NEEDED) {
        let wanted = maximum.map_or(FILES_NEEDED, |maximum| maximum.min(FILES_NEEDED));
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).unwrap();
    }
}

/// Asks on a connection of its own; what came before the server closed it.
async fn asks(server: &Running) -> String {
    let mut stream = server.connect().await;
    // Refused connections may be closed before this is sent.
    let _ = stream.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    read_to_end(&mut stream).await
}

/// Sends a byte now and then until the server has enough.
async fn dribbles(address: SocketAddr, beginning: &'static str) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut sent = stream.write_all(beginning.as_bytes()).await;
    let mut answer = [0; 1024];
    while sent.is_ok() {
        tokio::select! {
            // The server has said something (408, 400) or closed: an attacker would go on, and is closed for it.
            read = stream.read(&mut answer) => if matches!(read, Ok(0) | Err(_)) { return },
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
        sent = stream.write_all(b"x").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_who_dribble_are_closed_and_others_are_served_meanwhile() {
    allow_open_files();
    let short = Duration::from_millis(300);
    let limits = ServerLimits { header_read: short, max_connections_per_address: 2 * SLOW, ..ServerLimits::default() };
    let edge = Edge::unlimited(PublicLimits { body_read: short, linger: short, ..PublicLimits::default() });
    let taking = Router::new().route("/json", post(async |Json(_): Json<Value>| "done"));
    let server = Arc::new(Running::start(public_layers_behind(&edge, router().merge(taking)), limits).await);
    let mut slow = JoinSet::new();
    for number in 0..SLOW {
        let beginning = if number % 2 == 0 {
            "POST /json HTTP/1.1\r\nhost: x\r\nx-dribble: "
        } else {
            "POST /json HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n{\"a\": \""
        };
        slow.spawn(dribbles(server.address, beginning));
    }
    let all_closed = async move {
        while slow.join_next().await.is_some_and(|ended| ended.is_ok()) {}
        slow.is_empty()
    };
    let mut all_closed = std::pin::pin!(tokio::time::timeout(PATIENCE, all_closed));
    let client = reqwest::Client::new();
    let mut answers = 0;
    loop {
        tokio::select! {
            ended = all_closed.as_mut() => {
                assert!(ended.expect("the server lets them dribble on and on"), "one of them failed");
                break;
            }
            answer = client.get(server.url("/hello")).send() => {
                assert_eq!(answer.unwrap().text().await.unwrap(), "hello");
                answers += 1;
            }
        }
    }
    assert!(answers > 0);
    assert!(asks(&server).await.ends_with("hello"), "a new connection is served afterwards");
    Arc::into_inner(server).unwrap().stop().await;
}

/// The 99th percentile of so many requests, one after the other.
async fn p99(server: &Running, requests: usize) -> Duration {
    let client = reqwest::Client::new();
    let mut waits = Vec::new();
    for _ in 0..requests {
        let began = std::time::Instant::now();
        assert_eq!(client.get(server.url("/hello")).send().await.unwrap().text().await.unwrap(), "hello");
        waits.push(began.elapsed());
    }
    waits.sort_unstable();
    waits[requests * 99 / 100]
}

/// Told and not judged: here both ends of all connections share one process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_feel_of_five_hundred_who_dribble_and_come_again() {
    const REQUESTS: usize = 5_000;
    if std::env::var("FITTRACK_LONG").as_deref() != Ok("1") {
        eprintln!("SKIPPED: what others feel of those who dribble; FITTRACK_LONG=1 runs it");
        return;
    }
    allow_open_files();
    let limits = ServerLimits { max_connections_per_address: 2 * SLOW, ..ServerLimits::default() };
    let server = Running::start(public_layers(router()), limits).await;
    let alone = p99(&server, REQUESTS).await;
    let mut slow = JoinSet::new();
    for _ in 0..SLOW {
        let address = server.address;
        slow.spawn(async move {
            loop {
                dribbles(address, "GET /hello HTTP/1.1\r\nhost: x\r\nx-dribble: ").await;
            }
        });
    }
    let beside = p99(&server, REQUESTS).await;
    slow.shutdown().await;
    eprintln!("99th percentile of {REQUESTS}: {alone:?} alone, {beside:?} beside {SLOW} who dribble");
    server.stop().await;
}

#[tokio::test]
async fn an_address_with_too_many_connections_is_refused_more_until_it_closes_some() {
    let limits = ServerLimits { max_connections_per_address: 3, ..ServerLimits::default() };
    let server = Running::start(public_layers(router()), limits).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        open.push(stream);
    }
    assert_eq!(asks(&server).await, "", "the fourth is closed unheard");
    open.pop();
    // The server hears of the close in its own time.
    let again = async {
        while !asks(&server).await.ends_with("hello") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("a place that was given back is not given again");
    server.stop().await;
}

#[tokio::test]
async fn a_proxy_of_ours_may_open_as_many_as_it_needs() {
    let limits = ServerLimits {
        max_connections_per_address: 1,
        trusted_proxies: "127.0.0.0/8".parse().unwrap(),
        ..ServerLimits::default()
    };
    let server = Running::start(public_layers(router()), limits).await;
    let _first = server.connect().await;
    let _second = server.connect().await;
    assert!(asks(&server).await.ends_with("hello"));
    server.stop().await;
}

/// When this has come back, the server has looked at its connections for longer than it waits for a first byte.
async fn a_silent_one_is_closed(server: &Running) {
    assert_eq!(read_to_end(&mut server.connect().await).await, "");
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_before_one_that_has_been_used() {
    let limits = ServerLimits { first_byte: Duration::from_secs(1), ..ServerLimits::default() };
    let server = Running::start(public_layers(router()), limits).await;
    let mut used = server.connect().await;
    let ask = b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n";
    used.write_all(ask).await.unwrap();
    let mut first = [0; 12];
    used.read_exact(&mut first).await.unwrap();
    a_silent_one_is_closed(&server).await;
    used.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert_eq!(read_to_end(&mut used).await.matches("hello").count(), 2);
    server.stop().await;
}

#[tokio::test]
async fn who_asks_further_while_an_answer_is_on_its_way_is_not_slow() {
    let (send, pieces) = tokio::sync::mpsc::channel(1);
    let pieces = Arc::new(Mutex::new(Some(pieces)));
    let long = get(async move || {
        let mut pieces = pieces.lock().unwrap().take().unwrap();
        Body::from_stream(stream::poll_fn(move |cx| pieces.poll_recv(cx)).map(Ok::<&str, Infallible>))
    });
    let short = Duration::from_millis(500);
    let limits = ServerLimits { first_byte: 2 * short, header_read: short, ..ServerLimits::default() };
    let server = Running::start(public_layers(router().route("/long", long)), limits).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    send.send("first").await.unwrap();
    let mut beginning = [0; 12];
    stream.read_exact(&mut beginning).await.unwrap();
    stream.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    a_silent_one_is_closed(&server).await;
    stream.write_all(b"connection: close\r\n\r\n").await.unwrap();
    send.send("last").await.unwrap();
    drop(send);
    let answers = read_to_end(&mut stream).await;
    assert!(answers.contains("last") && answers.ends_with("hello"), "{answers}");
    server.stop().await;
}

#[tokio::test]
async fn who_does_not_read_an_answer_is_closed() {
    let (gone, is_gone) = tokio::sync::oneshot::channel::<()>();
    let gone = Arc::new(Mutex::new(Some(gone)));
    let endless = get(async move || {
        let gone = gone.lock().unwrap().take();
        Body::from_stream(stream::repeat_with(move || {
            assert!(gone.is_some());
            Ok::<_, Infallible>(vec![b'x'; 1 << 16])
        }))
    });
    let limits = ServerLimits { write_stall: Duration::from_millis(100), ..ServerLimits::default() };
    let server = Running::start(public_layers(Router::new().route("/endless", endless)), limits).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let closed = tokio::time::timeout(PATIENCE, is_gone).await;
    assert!(closed.expect("the server waits and waits").is_err());
    server.stop().await;
}
