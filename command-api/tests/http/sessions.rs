//! Sessions: refreshed by tokens that are good once, listed, ended here and refused everywhere, and what is never written down.
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use base64::Engine as _;
use fittrack_runtime::{
    auth::{AuthError, JwksSource, Verifier},
    private::Readiness,
    server::{self, ServerLimits},
};
use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, Client, PASSWORD, World, count, eventually, served};

/// Makes every spent token so old that it must not come again.
const AFTER_THE_GRACE: &str = "UPDATE refresh_tokens SET rotated_at = rotated_at - interval '11 seconds'";

async fn change(world: &World, sql: &'static str) {
    sqlx::query(sql).execute(&world.identity).await.unwrap();
}

async fn is_signed_in(client: &Client) -> bool {
    let answer = client.get("/v1/account/sessions").answer().await;
    assert!(matches!(answer.status.as_u16(), 200 | 401), "{}", answer.body);
    answer.status == 200
}

fn refresh_token(answer: &Answer) -> &str {
    answer.body["refresh_token"].as_str().unwrap_or_else(|| panic!("{}: {}", answer.status, answer.body))
}

#[tokio::test]
async fn a_refresh_gives_the_next_pair_of_the_same_session() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    assert!(ann.refresh_token.len() >= 43);
    let answer = ann.refreshes().await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!((&answer.body["token_type"], &answer.body["expires_in"]), (&json!("Bearer"), &json!(600)));
    let next = ann.of(ann.athlete_id, &answer);
    assert_ne!(next.refresh_token, ann.refresh_token);
    let (before, after) = (world.app.verifier.verify(ann.token()).await, world.app.verifier.verify(next.token()).await);
    assert_eq!(before.unwrap().session_id, after.unwrap().session_id);
    assert_eq!(next.refreshes().await.status, 200);
    for bad in ["", "x", PASSWORD, ann.token(), &next.refresh_token[1..]] {
        let body = json!({"refresh_token": bad});
        world.anonymous().post("/v1/account/sessions/refresh").json(&body).await.assert_problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn fifty_refreshes_at_once_have_one_successor() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let answers = join_all((0..50).map(|_| ann.refreshes())).await;
    let successors: BTreeSet<&str> = answers.iter().map(refresh_token).collect();
    assert_eq!(successors.len(), 1);
    assert_eq!(count(&world.identity, "SELECT count(*) FROM refresh_tokens").await, 2);
    assert_eq!(count(&world.identity, "SELECT count(*) FROM refresh_tokens WHERE rotated_at IS NULL").await, 1);
    assert!(is_signed_in(&ann.of(ann.athlete_id, &answers[7])).await);
}

#[tokio::test]
async fn a_lost_answer_is_given_again_until_its_token_is_used() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let lost = ann.refreshes().await;
    let again = ann.refreshes().await;
    assert_eq!(refresh_token(&lost), refresh_token(&again));
    let next = ann.of(ann.athlete_id, &again);
    assert_eq!(next.refreshes().await.status, 200);
    // It got through, so whoever still asks with the first token is told no, and nobody loses the session.
    ann.refreshes().await.assert_problem(401, "unauthenticated");
    assert!(is_signed_in(&next).await);
    assert_eq!(world.audited("authn_token_reuse").await, 0);
}

#[tokio::test]
async fn a_spent_token_that_comes_later_ends_its_session_and_no_other() {
    let world = World::new().await;
    let phone = world.athlete("ann").await;
    let watch = world.signed_in_again("ann", &phone).await;
    let thief = phone.of(phone.athlete_id, &phone.refreshes().await);
    change(&world, AFTER_THE_GRACE).await;
    phone.refreshes().await.assert_problem(401, "unauthenticated");
    thief.refreshes().await.assert_problem(401, "unauthenticated");
    assert!(!is_signed_in(&thief).await && !is_signed_in(&phone).await);
    assert!(is_signed_in(&watch).await);
    assert_eq!(watch.refreshes().await.status, 200);
    assert_eq!(world.audited("authn_token_reuse").await, 1);
    phone.refreshes().await.assert_problem(401, "unauthenticated");
    assert_eq!(world.audited("authn_token_reuse").await, 1, "it has ended once");
}

#[tokio::test]
async fn a_session_is_over_when_its_time_is_and_when_nobody_used_it() {
    let world = World::new().await;
    for over in [
        "UPDATE sessions SET expires_at = clock_timestamp() - interval '1 second'",
        "UPDATE sessions SET last_used_at = clock_timestamp() - interval '14 days 1 second'",
        "UPDATE accounts SET status = 'disabled'",
    ] {
        let name = format!("ann-{}", Uuid::new_v4());
        let ann = world.athlete(&name).await;
        change(&world, over).await;
        ann.refreshes().await.assert_problem(401, "unauthenticated");
    }
    let bob = world.athlete("bob").await;
    change(&world, "UPDATE sessions SET last_used_at = clock_timestamp() - interval '13 days 23 hours'").await;
    assert_eq!(bob.refreshes().await.status, 200);
    let lasts = "SELECT count(*) FROM sessions WHERE expires_at - created_at BETWEEN interval '29 days' AND interval '30 days 1 second'
                 AND athlete_id = (SELECT athlete_id FROM accounts WHERE email LIKE 'bob@%')";
    assert_eq!(count(&world.identity, lasts).await, 1);
}

#[tokio::test]
async fn an_athlete_lists_and_ends_their_own_sessions_alone() {
    let world = World::new().await;
    let phone = world.athlete("ann").await;
    let credentials = json!({"email": "ann@example.org", "password": PASSWORD});
    let agent = "Watch ".repeat(50);
    let sending = world.anonymous().post("/v1/account/sessions").header("user-agent", &agent).json(&credentials).await;
    let watch = phone.of(phone.athlete_id, &sending);
    let bob = world.athlete("bob").await;

    let answer = phone.get("/v1/account/sessions").answer().await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, Some("no-store")));
    let items = answer.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0]["user_agent"].as_str().unwrap(), &agent[..200]);
    assert_eq!((&items[0]["current"], &items[1]["current"]), (&json!(false), &json!(true)));
    let path = format!("/v1/account/sessions/{}", items[0]["id"].as_str().unwrap());

    bob.delete(&path).answer().await.assert_problem(404, "not-found");
    world.anonymous().delete(&path).answer().await.assert_problem(401, "unauthenticated");
    assert!(is_signed_in(&watch).await);
    assert_eq!(phone.delete(&path).answer().await.status, 204);
    phone.delete(&path).answer().await.assert_problem(404, "not-found");
    assert!(!is_signed_in(&watch).await);
    watch.refreshes().await.assert_problem(401, "unauthenticated");
    assert_eq!(phone.delete("/v1/account/sessions/current").answer().await.status, 204);
    assert!(!is_signed_in(&phone).await);
    assert_eq!(world.audited("session_ended").await, 2);
    phone.delete("/v1/account/sessions/nothing").answer().await.assert_problem(401, "unauthenticated");
    bob.delete("/v1/account/sessions/nothing").answer().await.assert_problem(400, "bad-request");
}

#[tokio::test]
async fn too_many_sessions_end_the_one_not_used_for_longest() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    sqlx::query(
        "INSERT INTO sessions (session_id, athlete_id, last_used_at, expires_at)
         SELECT gen_random_uuid(), $1, clock_timestamp() + make_interval(secs => n), clock_timestamp() + interval '1 day'
         FROM generate_series(1, 99) AS n",
    )
    .bind(ann.athlete_id)
    .execute(&world.identity)
    .await
    .unwrap();
    assert!(is_signed_in(&ann).await);
    let newest = world.signed_in_again("ann", &ann).await;
    assert!(!is_signed_in(&ann).await && is_signed_in(&newest).await);
    assert_eq!(count(&world.identity, "SELECT count(*) FROM sessions WHERE ended_at IS NULL").await, 100);
}

#[tokio::test]
async fn another_password_needs_the_current_one_and_ends_the_other_sessions() {
    let world = World::new().await;
    let phone = world.athlete("ann").await;
    let watch = world.signed_in_again("ann", &phone).await;
    let body = |current: &str, new: &str| json!({"current_password": current, "new_password": new});
    let put = async |body: Value| phone.put("/v1/account/password").json(&body).await;
    let wrong = put(body("not the password", "a new password of mine")).await;
    assert_eq!(wrong.assert_problem(422, "invalid-body").pointers(), ["#/current_password"]);
    let short = put(body(PASSWORD, "short")).await;
    assert_eq!(short.assert_problem(422, "invalid-body").pointers(), ["#/new_password"]);
    assert!(is_signed_in(&watch).await);
    assert_eq!(put(body(PASSWORD, "a new password of mine")).await.status, 204);
    assert!(is_signed_in(&phone).await && !is_signed_in(&watch).await);
    assert_eq!(phone.refreshes().await.status, 200);
    watch.refreshes().await.assert_problem(401, "unauthenticated");
    let signs_in = async |password: &str| {
        let credentials = json!({"email": "ann@example.org", "password": password});
        world.anonymous().post("/v1/account/sessions").json(&credentials).await.status.as_u16()
    };
    assert_eq!((signs_in(PASSWORD).await, signs_in("a new password of mine").await), (401, 201));
    assert_eq!(world.audited("authn_password_change").await, 1);
    assert_eq!(world.audited("authn_password_change_fail").await, 1);
    let nobody = world.anonymous().put("/v1/account/password").json(&body(PASSWORD, "a new password of mine")).await;
    nobody.assert_problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_sign_in_with_a_password_that_is_changed_meanwhile_begins_no_session() {
    let world = World::new().await;
    world.athlete("ann").await;
    let email = command_api::identity::email::Email::parse("ann@example.org").unwrap();
    let seen = command_api::identity::accounts::by_email(&world.identity, &email).await.unwrap().unwrap();
    change(&world, "UPDATE accounts SET password_changes = password_changes + 1").await;
    let begun = world.app.sessions.begin(&seen, &command_api::identity::audit::Origin::default()).await.unwrap();
    assert!(begun.is_none());
    assert_eq!(count(&world.identity, "SELECT count(*) FROM sessions").await, 1);
}

/// S-18: from the call that ends it, wherever its token was known.
#[tokio::test]
async fn an_ended_session_is_refused_everywhere_within_five_seconds() {
    const WITHIN: Duration = Duration::from_secs(5);
    let world = World::new().await;
    let (other, life) = world.replica().await;
    let ann = world.athlete("ann").await;
    let listener = server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}/.well-known/jwks.json", listener.local_addr().unwrap());
    tokio::spawn(server::serve(listener, served(&other), ServerLimits::default(), life.clone()));
    // As the query API has it.
    let reader = Verifier::new(JwksSource::Url(url), "https://fittrack.local", "fittrack").unwrap();
    let check = Readiness::new().check("signing keys");
    tokio::spawn(reader.clone().keep_fresh(check.clone(), life.clone()));
    eventually("the reader knows keys and ended sessions", async || check.is_ready()).await;
    let mut took = Duration::MAX;
    // Once more where the machine had no time for it.
    for _ in 0..2 {
        let here = world.signed_in_again("ann", &ann).await;
        let there = here.at(&other);
        assert!(is_signed_in(&there).await);
        reader.verify(here.token()).await.unwrap();
        let begun = Instant::now();
        assert_eq!(here.delete("/v1/account/sessions/current").answer().await.status, 204);
        eventually("replica and reader refuse the token", async || {
            !is_signed_in(&there).await && reader.verify(here.token()).await == Err(AuthError::Ended)
        })
        .await;
        took = begun.elapsed();
        if took <= WITHIN {
            break;
        }
    }
    assert!(took <= WITHIN, "{took:?}");
    // The other sessions go on.
    assert!(is_signed_in(&ann.at(&other)).await);
}

#[tokio::test]
async fn who_signs_out_at_one_replica_is_signed_out_at_all_and_stays_so() {
    let world = World::new().await;
    let (other, life) = world.replica().await;
    let here = world.athlete("ann").await;
    let there = here.at(&other);
    let bob = world.athlete("bob").await;
    // Both replicas, and a service that only verifies, have the token in memory.
    let listener = server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}/.well-known/jwks.json", listener.local_addr().unwrap());
    let router = served(&other);
    tokio::spawn(server::serve(listener, router, ServerLimits::default(), life.clone()));
    let reader = async || {
        let source = JwksSource::Url(url.clone());
        let verifier = Verifier::new(source, "https://fittrack.local", "fittrack").unwrap();
        let check = Readiness::new().check("signing keys");
        tokio::spawn(verifier.clone().keep_fresh(check.clone(), life.clone()));
        eventually("the reader knows keys and ended sessions", async || check.is_ready()).await;
        verifier
    };
    let verifier = reader().await;
    assert!(is_signed_in(&there).await);
    verifier.verify(here.token()).await.unwrap();

    assert_eq!(here.delete("/v1/account/sessions/current").answer().await.status, 204);
    assert!(!is_signed_in(&here).await, "at once where it was asked");
    eventually("the other replica refuses the token", async || !is_signed_in(&there).await).await;
    eventually("the reader refuses the token", async || verifier.verify(here.token()).await == Err(AuthError::Ended))
        .await;
    // Whatever starts later knows it from the start.
    let (restarted, _) = world.replica().await;
    assert!(!is_signed_in(&here.at(&restarted)).await);
    assert_eq!(reader().await.verify(here.token()).await, Err(AuthError::Ended));
    assert!(is_signed_in(&bob.at(&restarted)).await);
    verifier.verify(bob.token()).await.unwrap();
}

#[tokio::test]
async fn the_list_of_ended_sessions_holds_ids_alone_and_has_a_tag() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let get = async |tag: &str| {
        world.anonymous().get("/.well-known/revoked-sessions").header("if-none-match", tag).answer().await
    };
    let empty = get("").await;
    assert_eq!((empty.status.as_u16(), &empty.body), (200, &json!({"sessions": []})));
    assert_eq!(empty.header("cache-control"), Some("no-cache"));
    let session_id = world.app.verifier.verify(ann.token()).await.unwrap().session_id;
    ann.delete("/v1/account/sessions/current").answer().await;
    world.app.ended.read().await.unwrap();
    let one = get(empty.header("etag").unwrap()).await;
    assert_eq!((one.status.as_u16(), &one.body), (200, &json!({"sessions": [session_id]})));
    let same = get(one.header("etag").unwrap()).await;
    assert_eq!((same.status.as_u16(), &same.body), (304, &Value::Null));
    // A session whose last token has expired needs no refusing.
    let bob = world.athlete("bob").await;
    bob.delete("/v1/account/sessions/current").answer().await;
    change(&world, "UPDATE sessions SET last_used_at = clock_timestamp() - interval '12 minutes'").await;
    let (restarted, _) = world.replica().await;
    let listed = bob.at(&restarted).get("/.well-known/revoked-sessions").answer().await;
    assert_eq!(listed.body, json!({"sessions": []}));
}

#[tokio::test]
async fn no_usable_token_is_in_the_identity_database() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let next = ann.of(ann.athlete_id, &ann.refreshes().await);
    let mut dump = String::new();
    for table in ["accounts", "sessions", "refresh_tokens", "audit_log"] {
        let rows = format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t");
        let rows: String = sqlx::query_scalar(&rows).fetch_one(&world.identity).await.unwrap();
        dump.push_str(&rows);
    }
    assert!(dump.contains("ann@example.org") && dump.contains("\\x"), "the dump is none: {dump}");
    for token in [ann.token(), next.token(), &ann.refresh_token, &next.refresh_token, PASSWORD] {
        assert!(!dump.contains(token));
        if let Ok(bytes) = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token) {
            assert!(!dump.contains(&hex::encode(bytes)), "its bytes are there");
        }
    }
}

#[tokio::test]
async fn what_is_long_over_is_swept_and_nothing_else() {
    let world = World::new().await;
    let (ann, bob) = (world.athlete("ann").await, world.athlete("bob").await);
    assert_eq!((ann.refreshes().await.status.as_u16(), bob.refreshes().await.status.as_u16()), (200, 200));
    let sweep = async || command_api::identity::sessions::sweep::sweep(&world.identity).await.unwrap();
    assert_eq!(sweep().await, 0);
    let salts = "SELECT count(*) FROM refresh_tokens WHERE successor_salt IS NOT NULL";
    assert_eq!(count(&world.identity, salts).await, 2);
    change(&world, "UPDATE refresh_tokens SET rotated_at = rotated_at - interval '1 minute'").await;
    assert_eq!((sweep().await, count(&world.identity, salts).await), (0, 0));
    sqlx::query("UPDATE sessions SET last_used_at = last_used_at - interval '16 days' WHERE athlete_id = $1")
        .bind(ann.athlete_id)
        .execute(&world.identity)
        .await
        .unwrap();
    assert_eq!(sweep().await, 1);
    assert_eq!(count(&world.identity, "SELECT count(*) FROM sessions").await, 1);
    assert_eq!(count(&world.identity, "SELECT count(*) FROM refresh_tokens").await, 2);
    change(&world, "UPDATE refresh_tokens SET rotated_at = rotated_at - interval '16 days'").await;
    assert_eq!(sweep().await, 1);
    assert!(is_signed_in(&bob).await);
}
