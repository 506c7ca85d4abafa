//! How much one athlete may ask.
use std::net::SocketAddr;

use fittrack_runtime::{
    edge::EdgeSettings,
    server::{ServerLimits, bind, serve},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use crate::support::{Client, World, run};

#[tokio::test]
async fn a_command_too_many_is_refused_and_not_done() {
    let rate_limits = "write=2/1h".parse().unwrap();
    let world = World::behind(EdgeSettings { rate_limits, ..EdgeSettings::default() }).await;
    let (ann, ben) = (world.athlete("ann").await, world.athlete("ben").await);
    // The first makes the token known; before that there is no address either to count for, without a socket.
    for _ in 0..3 {
        ann.logs_a_run().await;
    }
    let refused = ann.post("/v1/workouts").header("idempotency-key", "k").json(&run()).await;
    refused.assert_problem(429, "quota-exceeded");
    assert_eq!(refused.body["violated-policies"], json!(["write"]));
    assert_eq!(refused.header("ratelimit-policy"), Some("\"write\";q=2;w=3600"));
    assert_eq!(refused.header("retry-after"), Some("1800"));
    assert_eq!(world.workouts().await, 3);
    for _ in 0..3 {
        ben.logs_a_run().await;
    }
}

#[tokio::test]
async fn a_program_that_may_only_write_is_counted_for_its_athlete() {
    let rate_limits = "write=2/1h".parse().unwrap();
    let world = World::behind(EdgeSettings { rate_limits, ..EdgeSettings::default() }).await;
    let ann = world.athlete("ann").await;
    let made = ann.post("/v1/account/api-keys").json(&json!({"name": "watch", "scopes": ["write"]})).await;
    let key = json!({"api_key": made.body["key"].as_str().unwrap()});
    let exchanged = ann.post("/v1/account/api-keys/token").json(&key).await;
    let program = ann.with_token(exchanged.body["access_token"].as_str().unwrap());
    // The first makes the program's token known, as making the key did the athlete's.
    for _ in 0..3 {
        program.logs_a_run().await;
    }
    program.post("/v1/workouts").json(&run()).await.assert_problem(429, "quota-exceeded");
    ann.post("/v1/workouts").json(&run()).await.assert_problem(429, "quota-exceeded");
    assert_eq!(world.workouts().await, 3);
}

/// The status of an answer that came by a socket: only so there is an address to count for.
async fn sends(server: SocketAddr, method: &str, path: &str, athlete: &Client, body: &str) -> u16 {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let (token, length) = (athlete.token(), body.len());
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_tokens_of_many_accounts_do_not_help_to_guess_from_one_address() {
    let rate_limits = "auth=4/1h,write=100/1h".parse().unwrap();
    let world = World::behind(EdgeSettings { rate_limits, ..EdgeSettings::default() }).await;
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (server, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let serving = tokio::spawn(serve(listener, world.router(), ServerLimits::default(), stop.clone()));
    let (ann, ben) = (world.athlete("ann").await, world.athlete("ben").await);
    for athlete in [&ann, &ben] {
        athlete.logs_a_run().await;
    }
    // What signs in ignores the token, and what asks for the password beside it is guessed at.
    let sign_in = json!({"email": "cid@example.org", "password": "not the password"}).to_string();
    let change = json!({"current_password": "not the password", "new_password": "another horse battery"}).to_string();
    let mut statuses = Vec::new();
    for (athlete, method, path, body) in [
        (&ann, "POST", "/v1/account/sessions", &sign_in),
        (&ben, "POST", "/v1/account/sessions", &sign_in),
        (&ann, "PUT", "/v1/account/password", &change),
        (&ben, "PUT", "/v1/account/password", &change),
        (&ann, "POST", "/v1/account/sessions", &sign_in),
        (&ben, "PUT", "/v1/account/password", &change),
    ] {
        statuses.push(sends(server, method, path, athlete, body).await);
    }
    assert!(statuses[..4].iter().all(|status| *status != 429), "{statuses:?}");
    assert_eq!(statuses[4..], [429, 429]);
    assert_eq!(
        sends(server, "POST", "/v1/workouts", &ann, &run().to_string()).await,
        202,
        "what she does as herself is hers"
    );
    stop.cancel();
    serving.await.unwrap().unwrap();
}
