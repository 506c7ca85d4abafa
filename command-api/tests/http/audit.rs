//! The audit log: what is in it after each event, and that nobody changes it.
use fittrack_runtime::edge::EdgeSettings;
use serde_json::json;
use sqlx::{Connection as _, Executor as _, Row as _};

use crate::support::{PASSWORD, World, eventually, run};

#[tokio::test]
async fn an_entry_says_who_what_where_when_and_in_which_trace() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let credentials = json!({"email": "ann@example.org", "password": PASSWORD});
    let signing_in = world.anonymous();
    let sending = signing_in
        .post("/v1/account/sessions")
        .header("user-agent", "Watch\t1")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    assert_eq!(sending.json(&credentials).await.status, 201);
    let row = sqlx::query(
        "SELECT event, actor, athlete_id, session_id IS NOT NULL AS has_session, user_agent, trace_id,
                recorded_at > clock_timestamp() - interval '1 hour' AS is_recent
         FROM audit_log ORDER BY entry_id DESC LIMIT 1",
    )
    .fetch_one(&world.identity)
    .await
    .unwrap();
    assert_eq!(row.get::<&str, _>("event"), "authn_login_success");
    assert_eq!(row.get::<String, _>("actor"), ann.athlete_id.to_string());
    assert_eq!(row.get::<uuid::Uuid, _>("athlete_id"), ann.athlete_id);
    assert_eq!(row.get::<&str, _>("user_agent"), "Watch\\u{9}1");
    assert_eq!(row.get::<&str, _>("trace_id"), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(row.get::<bool, _>("has_session") && row.get::<bool, _>("is_recent"));
}

#[tokio::test]
async fn neither_address_nor_password_is_in_the_audit_log() {
    let world = World::new().await;
    world.athlete("ann").await;
    for (email, password) in [("ann@example.org", "not the password"), ("nobody@example.org", PASSWORD)] {
        let credentials = json!({"email": email, "password": password});
        world.anonymous().post("/v1/account/sessions").json(&credentials).await.assert_problem(401, "unauthenticated");
    }
    assert_eq!(world.audited("authn_login_fail").await, 2);
    let said: String = sqlx::query_scalar("SELECT string_agg(audit_log::text, ' ') FROM audit_log")
        .fetch_one(&world.identity)
        .await
        .unwrap();
    for hidden in ["example.org", PASSWORD, "not the password"] {
        assert!(!said.contains(hidden), "{said}");
    }
}

/// What is in the log of this event about this, as soon as there is something.
async fn noted(world: &World, event: &str, what: &str) -> Vec<(String, Option<String>)> {
    const NOTED: &str = "SELECT actor, trace_id FROM audit_log WHERE event = $1 AND details->>'what' = $2";
    let mut found: Vec<(String, Option<String>)> = vec![];
    eventually(what, async || {
        found = sqlx::query_as(NOTED).bind(event).bind(what).fetch_all(&world.identity).await.unwrap();
        !found.is_empty()
    })
    .await;
    found
}

#[tokio::test]
async fn asking_for_another_s_things_or_with_a_token_too_narrow_is_noted_once_a_minute() {
    let world = World::new().await;
    let (ann, bob) = (world.athlete("ann").await, world.athlete("bob").await);
    let workout = ann.logs_a_run().await;
    let session = ann.get("/v1/account/sessions").answer().await.body["items"][0]["id"].as_str().unwrap().to_owned();
    let key = ann.post("/v1/account/api-keys").json(&json!({"name": "x", "scopes": ["read"]})).await;
    let export = ann.post("/v1/account/export").answer().await.body["id"].as_str().unwrap().to_owned();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for _ in 0..5 {
        for (method, path) in [
            ("DELETE", format!("/v1/workouts/{workout}")),
            ("DELETE", format!("/v1/account/sessions/{session}")),
            ("DELETE", format!("/v1/account/api-keys/{}", key.id())),
            ("GET", format!("/v1/account/exports/{export}")),
        ] {
            let sending = bob.send(method, &path).header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"));
            sending.answer().await.assert_problem(404, "not-found");
        }
        // What is nobody's is no attempt at somebody's.
        bob.delete(&format!("/v1/workouts/{}", uuid::Uuid::now_v7())).answer().await.assert_problem(404, "not-found");
    }
    let bobs = vec![(bob.athlete_id.to_string(), Some(trace.to_owned()))];
    for what in ["workout", "session", "api_key", "export"] {
        assert_eq!(noted(&world, "authz_fail", what).await, bobs, "{what}");
    }
    let exchange = json!({"api_key": key.body["key"]});
    let program = world.anonymous().post("/v1/account/api-keys/token").json(&exchange).await;
    let program = ann.with_token(program.body["access_token"].as_str().unwrap());
    for _ in 0..3 {
        program.post("/v1/workouts").json(&run()).await.assert_problem(403, "forbidden");
    }
    let scope = noted(&world, "authz_fail", "scope").await;
    assert_eq!((scope.len(), &scope[0].0), (1, &ann.athlete_id.to_string()));
    assert_eq!(noted(&world, "sensitive_read", "export_requested").await.len(), 1);
    assert_eq!(world.audited("authz_fail").await, 5);
}

#[tokio::test]
async fn a_flood_of_requests_is_noted_once_a_minute() {
    let settings = EdgeSettings { rate_limits: "write=2/1h".parse().unwrap(), ..EdgeSettings::default() };
    let world = World::behind(settings).await;
    let ann = world.athlete("ann").await;
    let mut refused = 0;
    for _ in 0..20 {
        refused += usize::from(ann.post("/v1/workouts").json(&run()).await.status == 429);
    }
    assert!(refused > 1, "{refused}");
    let noted = noted(&world, "excess_rate_limit_exceeded", "requests").await;
    assert_eq!((noted.len(), &noted[0].0), (1, &ann.athlete_id.to_string()));
}

#[tokio::test]
async fn nobody_changes_or_shortens_it() {
    let world = World::new().await;
    world.athlete("ann").await;
    let mut service = sqlx::PgConnection::connect_with(&world.identity.connect_options()).await.unwrap();
    service.execute("SET ROLE fittrack_command").await.unwrap();
    for change in ["UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"] {
        for refused in [service.execute(change).await, world.identity.execute(change).await] {
            let error = refused.unwrap_err();
            assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("42501"), "{change}: {error}");
        }
    }
    assert!(world.audited("authn_login_success").await > 0);
}
