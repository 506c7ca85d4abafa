//! The audit log: what is in it after each event, and that nobody changes it.
use serde_json::json;
use sqlx::{Connection as _, Executor as _, Row as _};

use crate::support::{PASSWORD, World};

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
