//! 500 connections that never finish what they say, beside a client like any other.
use std::time::Duration;

use fittrack_local::Stack;
use futures::future;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Failure,
    figure::{Bound, Figure},
    measure::{median, percentile},
    requests::{at_rate, new_athlete},
};

/// How many dribble.
const SLOW: usize = 500;
/// How long each repeat lasts.
const WATCHED: Duration = Duration::from_secs(60);
/// Between two bytes of one of them.
const PAUSE: Duration = Duration::from_secs(1);
/// Requests a second of the client like any other.
const READS: u32 = 100;

const HEAD: &str = "GET /v1/me HTTP/1.1\r\nhost: slow\r\nx-slow: ";
const BODY: &str = "POST /v1/account/sessions HTTP/1.1\r\nhost: slow\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n{";

/// p99 of reads of the command API beside half of them in heads and half in bodies, and without.
pub async fn run(stack: &Stack, repeats: u32) -> Result<Vec<Figure>, Failure> {
    reads(stack, sleep(Duration::from_secs(5))).await?; // the first requests of a process are slower
    let (mut with, mut without, mut closed) = (vec![], vec![], vec![]);
    for _ in 0..repeats {
        without.push(reads(stack, sleep(WATCHED)).await?);
        let address = stack.url("command-api")?.trim_start_matches("http://").to_owned();
        let until = Instant::now() + WATCHED;
        let dribbling = async {
            let slow = (0..SLOW).map(|n| dribble(&address, if n % 2 == 0 { HEAD } else { BODY }, until));
            Ok::<f64, Failure>(future::join_all(slow).await.into_iter().sum())
        };
        let (p99, cut) = tokio::try_join!(reads(stack, tokio::time::sleep_until(until)), dribbling)?;
        with.push(p99);
        closed.push(cut);
    }
    let figure = |name: &str, value, unit, baseline, bound| Figure {
        name: name.to_owned(),
        value,
        unit,
        baseline,
        bound,
        cpu_us: None,
    };
    Ok(vec![
        figure(
            "p99 of reads beside 500 slow connections / without",
            median(&with),
            "ms",
            Some(median(&without)),
            Bound::RatioAtMost(2.0),
        ),
        figure("slow connections that were cut", median(&closed), "a repeat", None, Bound::AtLeast(SLOW as f64)),
    ])
}

/// Keeps a connection busy with one byte a second, and begins a new one where it was cut; how often it was.
async fn dribble(address: &str, beginning: &str, until: Instant) -> f64 {
    let mut cut = 0.0;
    while Instant::now() < until {
        let Ok(mut socket) = TcpStream::connect(address).await else {
            sleep(PAUSE).await;
            continue;
        };
        let mut said = socket.write_all(beginning.as_bytes()).await;
        while said.is_ok() && Instant::now() < until {
            sleep(PAUSE).await;
            said = socket.write_all(b"x").await;
        }
        if said.is_err() {
            cut += 1.0;
        }
    }
    cut
}

/// p99 of an athlete's reads at a steady rate, in milliseconds.
async fn reads(stack: &Stack, until: impl Future<Output = ()>) -> Result<f64, Failure> {
    let (over, http) = (CancellationToken::new(), reqwest::Client::new());
    let (url, token) = (format!("{}/v1/account/sessions", stack.url("command-api")?), new_athlete(stack).await?.token);
    let get = || http.get(&url).bearer_auth(&token).send();
    let ending = async {
        until.await;
        over.cancel();
        Ok(())
    };
    let ((), took) = tokio::try_join!(ending, at_rate(READS, &over, get))?;
    Ok(percentile(&took, 0.99))
}
