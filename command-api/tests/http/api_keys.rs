//! Keys for programs: shown once, exchanged for tokens that go as far as the key's scopes, ended by their athlete alone.
use command_api::identity::api_keys::ApiKeys;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, Client, World, count, eventually, run};

async fn makes_a_key(athlete: &Client, scopes: &[&str]) -> Answer {
    let answer = athlete.post("/v1/account/api-keys").json(&json!({"name": "export", "scopes": scopes})).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer
}

async fn exchanges(world: &World, key: &str) -> Answer {
    world.anonymous().post("/v1/account/api-keys/token").json(&json!({"api_key": key})).await
}

/// A program with a token for the key.
async fn program(world: &World, athlete: &Client, made: &Answer) -> Client {
    let answer = exchanges(world, made.body["key"].as_str().unwrap()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    athlete.with_token(answer.body["access_token"].as_str().unwrap())
}

#[tokio::test]
async fn a_key_is_shown_once_and_stored_as_a_hash() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let made = makes_a_key(&ann, &["write", "read", "read"][..2]).await;
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let key = made.body["key"].as_str().unwrap();
    assert!(key.starts_with("ftk_") && key.len() == 47, "{key}");
    assert_eq!(made.body["scopes"], json!(["read", "write"]));
    let listed = ann.get("/v1/account/api-keys").answer().await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed.body["items"][0]["id"], made.body["id"]);
    assert_eq!(listed.body["items"][0].get("key"), None);
    let stored: String = sqlx::query_scalar("SELECT string_agg(api_keys::text, ' ') FROM api_keys")
        .fetch_one(&world.identity)
        .await
        .unwrap();
    assert!(!stored.contains(&key[4..]));
    let exchanged = exchanges(&world, key).await;
    assert_eq!((&exchanged.body["scope"], &exchanged.body["expires_in"]), (&json!("read write"), &json!(600)));
    let used = ann.get("/v1/account/api-keys").answer().await;
    assert!(used.body["items"][0]["last_used_at"].is_string());
    assert_eq!(world.audited("authn_token_created").await, 1);
}

#[tokio::test]
async fn a_program_does_what_its_scopes_allow_and_nothing_with_the_account() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let writer = program(&world, &ann, &makes_a_key(&ann, &["write"]).await).await;
    let reader = program(&world, &ann, &makes_a_key(&ann, &["read"]).await).await;
    assert_eq!(writer.post("/v1/workouts").json(&run()).await.status, 202);
    let refused = reader.post("/v1/workouts").json(&run()).await;
    refused.assert_problem(403, "forbidden");
    assert!(refused.header("www-authenticate").unwrap().contains("insufficient_scope"));
    let both = program(&world, &ann, &makes_a_key(&ann, &["read", "write"]).await).await;
    for program in [&writer, &reader, &both] {
        for (method, path) in [
            ("GET", "/v1/account/sessions"),
            ("DELETE", "/v1/account/sessions/current"),
            ("PUT", "/v1/account/password"),
            ("GET", "/v1/account/api-keys"),
            ("POST", "/v1/account/api-keys"),
        ] {
            program.send(method, path).answer().await.assert_problem(403, "forbidden");
        }
    }
    // A token is no key, and a key no token.
    let key = makes_a_key(&ann, &["write"]).await;
    ann.with_token(key.body["key"].as_str().unwrap())
        .post("/v1/workouts")
        .json(&run())
        .await
        .assert_problem(401, "unauthenticated");
    for bad in ["", "ftk_", "x", ann.token(), &ann.refresh_token, &format!("ftk_{}", ann.refresh_token)] {
        exchanges(&world, bad).await.assert_problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn an_ended_key_gives_nothing_and_its_tokens_are_refused_everywhere() {
    let world = World::new().await;
    let (other, _) = world.replica().await;
    let (ann, bob) = (world.athlete("ann").await, world.athlete("bob").await);
    let made = makes_a_key(&ann, &["write"]).await;
    let program = program(&world, &ann, &made).await;
    let there = program.at(&other);
    assert_eq!(there.post("/v1/workouts").json(&run()).await.status, 202);
    let path = format!("/v1/account/api-keys/{}", made.id());
    bob.delete(&path).answer().await.assert_problem(404, "not-found");
    assert_eq!(ann.delete(&path).answer().await.status, 204);
    ann.delete(&path).answer().await.assert_problem(404, "not-found");
    program.post("/v1/workouts").json(&run()).await.assert_problem(401, "unauthenticated");
    eventually("the other replica refuses the token", async || {
        there.post("/v1/workouts").json(&run()).await.status == 401
    })
    .await;
    exchanges(&world, made.body["key"].as_str().unwrap()).await.assert_problem(401, "unauthenticated");
    assert_eq!(ann.get("/v1/account/api-keys").answer().await.body["items"], json!([]));
    assert_eq!(world.audited("authn_token_revoked").await, 1);
    ann.logs_a_run().await;
}

#[tokio::test]
async fn a_key_ends_by_itself_with_its_account_and_at_fifty() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let soon = fittrack_runtime::clock::now() + chrono::TimeDelta::seconds(300);
    let body = json!({"name": "soon", "scopes": ["read"], "expires_at": soon});
    let made = ann.post("/v1/account/api-keys").json(&body).await;
    let key = made.body["key"].as_str().unwrap();
    let exchanged = exchanges(&world, key).await;
    let expires_in = exchanged.body["expires_in"].as_i64().unwrap();
    assert!(expires_in <= 300, "{expires_in}");
    sqlx::query("UPDATE api_keys SET expires_at = clock_timestamp()").execute(&world.identity).await.unwrap();
    exchanges(&world, key).await.assert_problem(401, "unauthenticated");

    let made = makes_a_key(&ann, &["read"]).await;
    sqlx::query("UPDATE accounts SET status = 'disabled'").execute(&world.identity).await.unwrap();
    exchanges(&world, made.body["key"].as_str().unwrap()).await.assert_problem(401, "unauthenticated");

    let fill = "INSERT INTO api_keys (key_id, athlete_id, key_hash, name, scopes)
                SELECT gen_random_uuid(), $1, sha256(n::text::bytea), 'x', '{read}' FROM generate_series(1, 48) AS n";
    sqlx::query(fill).bind(ann.athlete_id).execute(&world.identity).await.unwrap();
    assert_eq!(count(&world.identity, "SELECT count(*) FROM api_keys").await, 50);
    // One of them has ended by itself, so that 49 are left.
    sqlx::query("UPDATE accounts SET status = 'active'").execute(&world.identity).await.unwrap();
    makes_a_key(&ann, &["read"]).await;
    let one_more = ann.post("/v1/account/api-keys").json(&json!({"name": "x", "scopes": ["read"]})).await;
    one_more.assert_problem(409, "conflict");
}

/// As when it happens at another replica: this one learns of it within a second, and not of the account at all.
#[tokio::test]
async fn no_key_is_made_once_account_or_session_has_ended() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let ends_elsewhere = "UPDATE sessions SET ended_at = clock_timestamp(), ended_by = 'logout'";
    let closes = "UPDATE accounts SET status = 'erasing'";
    for elsewhere in [closes, "DELETE FROM accounts", ends_elsewhere] {
        sqlx::query(elsewhere).execute(&world.identity).await.unwrap();
        makes(&ann).await.assert_problem(401, "unauthenticated");
    }
    let bob = world.athlete("bob").await;
    sqlx::query(ends_elsewhere).execute(&world.identity).await.unwrap();
    makes(&bob).await.assert_problem(401, "unauthenticated");
    assert_eq!(count(&world.identity, "SELECT count(*) FROM api_keys").await, 0);
}

#[tokio::test]
async fn keys_that_ended_by_themselves_are_no_longer_listed_and_a_day_later_gone() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    for _ in 0..2 {
        makes_a_key(&ann, &["read"]).await;
    }
    let ends = "UPDATE api_keys SET expires_at = clock_timestamp() - interval '25 hours'
                WHERE key_id = (SELECT min(key_id::text)::uuid FROM api_keys)";
    sqlx::query(ends).execute(&world.identity).await.unwrap();
    assert_eq!(ann.get("/v1/account/api-keys").answer().await.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(ApiKeys::sweep(&world.identity).await.unwrap(), 1);
    assert_eq!(count(&world.identity, "SELECT count(*) FROM api_keys").await, 1);
}

#[tokio::test]
async fn many_keys_made_at_once_are_fifty_all_the_same() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let made = futures::future::join_all((0..70).map(|_| makes(&ann))).await;
    let of = |status: u16| made.iter().filter(|answer| answer.status == status).count();
    assert_eq!((of(201), of(409)), (50, 20));
    assert_eq!(count(&world.identity, "SELECT count(*) FROM api_keys").await, 50);
}

async fn makes(athlete: &Client) -> Answer {
    athlete.post("/v1/account/api-keys").json(&json!({"name": "x", "scopes": ["read"]})).await
}

#[tokio::test]
async fn what_is_no_key_to_be_is_refused_with_the_reason() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let eleven_years = fittrack_runtime::clock::now() + chrono::TimeDelta::days(11 * 365);
    let cases: [(Value, &str); 9] = [
        (json!({"name": "", "scopes": ["read"]}), "#/name"),
        (json!({"name": "x\ny", "scopes": ["read"]}), "#/name"),
        (json!({"name": "x".repeat(81), "scopes": ["read"]}), "#/name"),
        (json!({"name": "x", "scopes": []}), "#/scopes"),
        (json!({"name": "x", "scopes": ["admin"]}), "#/scopes"),
        (json!({"name": "x", "scopes": ["read", "write", "read"]}), "#/scopes"),
        (json!({"name": "x", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}), "#/expires_at"),
        (json!({"name": "x", "scopes": ["read"], "expires_at": eleven_years}), "#/expires_at"),
        (json!({"name": "x", "scopes": ["read"], "expires_at": "+262142-01-01T00:00:00Z"}), "#/expires_at"),
    ];
    for (body, pointer) in cases {
        let answer = ann.post("/v1/account/api-keys").json(&body).await;
        assert_eq!(answer.assert_problem(422, "invalid-body").pointers(), [pointer], "{body}");
    }
    let path = format!("/v1/account/api-keys/{}", Uuid::new_v4());
    ann.delete(&path).answer().await.assert_problem(404, "not-found");
    world.anonymous().post("/v1/account/api-keys").json(&json!({})).await.assert_problem(401, "unauthenticated");
}
