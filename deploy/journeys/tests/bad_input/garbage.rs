//! Random garbage in bodies, headers, paths and on the bare socket: never a 500, and both services stay up.

use std::io::{Read, Write};
use std::time::Duration;

use bytes::Bytes;
use fittrack_journeys::{Call, TestStack, bodies, problem};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::Method;

const REQUESTS: usize = 1_500;

const PATHS: [&str; 16] = [
    "/v1/account",
    "/v1/account/sessions",
    "/v1/me/profile",
    "/v1/workouts",
    "/v1/workouts/imports",
    "/v1/workouts/01980000-0000-7000-8000-000000000000",
    "/v1/workouts/01980000-0000-7000-8000-000000000000/recording",
    "/v1/me",
    "/v1/me/analytics/totals?by=week",
    "/v1/leaderboards/distance_m",
    "/v1/leaderboards/distance_m/me",
    "/v1/athletes/01980000-0000-7000-8000-000000000000",
    "/.well-known/jwks.json",
    "/v1/openapi.yaml",
    "/",
    "/v2/workouts",
];
const CONTENT_TYPES: [&str; 9] = [
    "application/json",
    "application/merge-patch+json",
    "application/vnd.ant.fit",
    "application/gpx+xml",
    "application/vnd.garmin.tcx+xml",
    "application/octet-stream",
    "multipart/form-data; boundary=x",
    "text/plain; charset=\"",
    ";;;",
];
const HEADERS: [&str; 9] = [
    "idempotency-key",
    "if-match",
    "if-none-match",
    "consistency-token",
    "accept",
    "accept-encoding",
    "traceparent",
    "x-forwarded-for",
    "content-encoding",
];
const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PATCH, Method::DELETE, Method::PUT, Method::HEAD, Method::OPTIONS];

fn seed() -> u64 {
    let seed = std::env::var("FITTRACK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    eprintln!("seed {seed}; FITTRACK_SEED={seed} makes the same requests again");
    seed
}

fn bytes(random: &mut StdRng, most: usize) -> Vec<u8> {
    let length = random.random_range(0..=most);
    (0..length).map(|_| random.random()).collect()
}

/// Visible characters, which a client may put into a header.
fn visible(random: &mut StdRng, most: usize) -> String {
    let length = random.random_range(0..=most);
    (0..length).map(|_| char::from(random.random_range(b' '..=b'~'))).collect()
}

/// A good body with some bytes changed, or bytes alone.
fn body(random: &mut StdRng) -> Bytes {
    let mut body = match random.random_range(0..4) {
        0 => bytes(random, 3_000),
        1 => b"<gpx><trk><trkseg><trkpt lat='1' lon='2'><time>2025-01-01T00:00:00Z</time></trkpt></trkseg></trk></gpx>"
            .to_vec(),
        2 => format!("{{\"a\":{}}}", "[".repeat(random.random_range(0..5_000))).into_bytes(),
        _ => bodies::run("2025-01-01T00:00:00Z").to_string().into_bytes(),
    };
    for _ in 0..random.random_range(0..6) {
        if !body.is_empty() {
            let at = random.random_range(0..body.len());
            body[at] = random.random();
        }
    }
    Bytes::from(body)
}

fn call(random: &mut StdRng) -> Call {
    let mut path = PATHS[random.random_range(0..PATHS.len())].to_owned();
    if random.random_range(0..3) == 0 {
        let join = if path.contains('?') { '&' } else { '?' };
        let noise: String = bytes(random, 30).iter().fold(String::new(), |text, byte| format!("{text}%{byte:02x}"));
        let name = ["from", "cursor", "limit", "text", "consistency_token", "date"][random.random_range(0..6)];
        path = format!("{path}{join}{name}={noise}");
    }
    if random.random_range(0..8) == 0 {
        path =
            format!("{}/{}", path.split('?').next().unwrap_or("/"), "%2e%2e%2f%00".repeat(random.random_range(1..4)));
    }
    let mut call = Call::new(METHODS[random.random_range(0..METHODS.len())].clone(), path);
    for _ in 0..random.random_range(0..4) {
        call = call.header(HEADERS[random.random_range(0..HEADERS.len())], visible(random, 400));
    }
    if random.random_bool(0.7) {
        let body = body(random);
        call = call.file(CONTENT_TYPES[random.random_range(0..CONTENT_TYPES.len())], body);
    }
    call
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_refused_in_good_form_and_both_services_stay_up() {
    let stack = TestStack::shared().await.unwrap();
    let api = stack.api().unwrap();
    let athlete = api.register("Noise").await.unwrap();
    let pids = [stack.pid("command-api").unwrap(), stack.pid("query-api").unwrap()];
    let mut random = StdRng::seed_from_u64(seed());
    let mut wrong = Vec::new();
    for nth in 0..REQUESTS {
        let call = call(&mut random);
        let token = athlete.renewed().await.unwrap();
        let answer = api.send_as(&call, random.random_bool(0.8).then_some(&token)).await;
        match answer {
            Err(error) => wrong.push(format!("request {nth}, {call:?}: no answer: {error}")),
            Ok(answer) if answer.status == 500 => wrong.push(format!("request {nth}, {call:?}: {answer}")),
            Ok(answer) if answer.status >= 400 && call.method != Method::HEAD => {
                let complaints = problem::complaints(&answer);
                if !complaints.is_empty() {
                    wrong.push(format!("request {nth}, {call:?}: {complaints:?}: {answer}"));
                }
            }
            Ok(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{} of {REQUESTS}:\n{}", wrong.len(), wrong[..wrong.len().min(5)].join("\n"));
    assert_eq!(pids, [stack.pid("command-api").unwrap(), stack.pid("query-api").unwrap()]);
    let logged = athlete.log(&bodies::run("2025-01-05T06:00:00Z")).await.unwrap();
    athlete.get_seeing(&format!("/v1/workouts/{}", logged.id().unwrap()), &logged.token()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_bare_socket_harms_nobody() {
    let stack = TestStack::shared().await.unwrap();
    let athlete = stack.api().unwrap().register("Socket").await.unwrap();
    let mut random = StdRng::seed_from_u64(seed());
    for nth in 0..200 {
        let service = ["command-api", "query-api"][nth % 2];
        let address = stack.url(service).unwrap().trim_start_matches("http://").to_owned();
        let mut text = match nth % 4 {
            0 => bytes(&mut random, 2_000),
            1 => format!("GET /v1/me HTTP/1.1\r\nhost: x\r\n{}", "a: b\r\n".repeat(random.random_range(0..3_000)))
                .into_bytes(),
            2 => b"POST /v1/workouts HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n".to_vec(),
            _ => b"POST /v1/workouts HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_vec(),
        };
        text.extend(bytes(&mut random, 50));
        let answer = tokio::task::spawn_blocking(move || {
            let mut socket = std::net::TcpStream::connect(address).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            // The service may have closed before everything was sent, and need not answer at all.
            let _ = socket.write_all(&text);
            let mut answer = vec![0; 4_096];
            let length = socket.read(&mut answer).unwrap_or(0);
            String::from_utf8_lossy(&answer[..length]).into_owned()
        })
        .await
        .unwrap();
        assert!(!answer.starts_with("HTTP/1.1 500"), "{answer}");
    }
    let logged = athlete.log(&bodies::run("2025-01-05T06:00:00Z")).await.unwrap();
    athlete.get_seeing(&format!("/v1/workouts/{}", logged.id().unwrap()), &logged.token()).await.unwrap();
}
