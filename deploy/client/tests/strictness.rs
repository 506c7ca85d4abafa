//! The client is as strict as its documents: what they do not say is an error, whoever answers it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it should be"
)]
#![expect(clippy::default_trait_access, reason = "the operation's name says whose options are meant")]

use fittrack_client::{Failure, command_api, query_api};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A service that answers one request with this, and gives the request back.
async fn service(status: &str, media_type: &str, body: &str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\n");
    let answer = format!("{head}connection: close\r\n\r\n{body}");
    let answering = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 16 * 1024];
        let mut read = 0;
        // Head and body of these requests are small; the body comes with the head or right behind it.
        while !is_whole(&request[..read]) {
            read += socket.read(&mut request[read..]).await.unwrap();
        }
        socket.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    (address, answering)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

const ATHLETE: &str = r#"{"id":"0198c0de-0001-7000-8000-000000000001","version":3,"display_name":"Anna",
    "registered_at":"2026-10-31T07:00:00Z"}"#;

async fn athlete(status: &str, media_type: &str, body: &str) -> Result<String, String> {
    let (address, _answering) = service(status, media_type, body).await;
    let client = query_api::Client::new(&address).unwrap();
    let answer = client.get_athlete("0198c0de-0001-7000-8000-000000000001".parse().unwrap(), &Default::default()).await;
    answer.map(|answer| answer.value.display_name).map_err(|failure| failure.to_string())
}

#[tokio::test]
async fn what_the_document_says_is_read() {
    assert_eq!(athlete("200 OK", "application/json", ATHLETE).await.as_deref(), Ok("Anna"));
}

#[tokio::test]
async fn a_status_a_form_or_a_field_the_document_does_not_have_is_an_error() {
    let more = ATHLETE.replace("\"version\"", "\"shoe_size\":41,\"version\"");
    let less = ATHLETE.replace("\"version\":3,", "");
    let other = ATHLETE.replace("\"version\":3", "\"version\":\"3\"");
    for (status, media_type, body, why) in [
        ("201 Created", "application/json", ATHLETE, "its status"),
        ("418 I'm a teapot", "application/problem+json", "{}", "its status"),
        ("200 OK", "text/html", ATHLETE, "its form is text/html"),
        ("404 Not Found", "application/json", "{}", "a problem that is application/json"),
        ("404 Not Found", "application/problem+json", "{}", "missing field"),
        ("200 OK", "application/json", &more, "unknown field `shoe_size`"),
        ("200 OK", "application/json", &less, "missing field `version`"),
        ("200 OK", "application/json", &other, "invalid type"),
    ] {
        let error = athlete(status, media_type, body).await.unwrap_err();
        assert!(error.contains("get_athlete answered otherwise") && error.contains(why), "{why}: {error}");
    }
}

#[tokio::test]
async fn a_merge_patch_says_null_for_what_it_clears_and_nothing_for_what_stays() {
    let answer = r#"{"id":"0198c0de-0001-7000-8000-000000000001","version":2,"consistency_token":"t"}"#;
    let (address, answering) = service("202 Accepted", "application/json", answer).await;
    let client = command_api::Client::new(&address).unwrap().with_token("secret");
    let body = command_api::types::EditWorkoutBody::builder().distance_m(Some(5.5)).try_into().unwrap();
    let cleared = [command_api::types::EditWorkoutBodyField::Notes];
    let id = "0198c0de-0001-7000-8000-000000000002".parse().unwrap();
    client.edit_workout(id, "\"v1\"", &body, &cleared, &Default::default()).await.unwrap();
    let request = answering.await.unwrap();
    assert!(request.starts_with("PATCH /v1/workouts/0198c0de-0001-7000-8000-000000000002 HTTP/1.1"), "{request}");
    assert!(request.ends_with(r#"{"distance_m":5.5,"notes":null}"#), "{request}");
    for header in ["if-match: \"v1\"", "authorization: bearer secret", "content-type: application/merge-patch+json"] {
        assert!(request.to_lowercase().contains(header), "{header} is not in {request}");
    }
}

#[tokio::test]
async fn where_nothing_answers_there_is_no_answer() {
    let client = command_api::Client::new("http://127.0.0.1:1").unwrap();
    assert!(matches!(client.list_keys().await, Err(Failure::Http(_))));
}
