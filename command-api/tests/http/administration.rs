//! Administrators are made at the command line alone, by a secret that is good once; a disabled account is signed in nowhere.
use command_api::identity::{
    administration::{Administered, Administration},
    email::Email,
};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;

use crate::support::{Answer, PASSWORD, World, count, eventually};

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

/// As the command line does it: with the service's role.
fn administration(world: &World) -> Administration {
    let options = (*world.identity.connect_options()).clone().options([("role", "fittrack_command")]);
    Administration::new(PgPoolOptions::new().max_connections(1).connect_lazy_with(options))
}

async fn signs_in(world: &World, email: &str, password: &str) -> u16 {
    let credentials = json!({"email": email, "password": password});
    world.anonymous().post("/v1/account/sessions").json(&credentials).await.status.as_u16()
}

async fn sets_first(world: &World, secret: &str, password: &str) -> Answer {
    let body: Value = json!({"email": "Ops@example.org", "one_time_secret": secret, "new_password": password});
    world.anonymous().post("/v1/account/password/first").json(&body).await
}

#[tokio::test]
async fn the_one_time_secret_signs_nobody_in_and_sets_one_password() {
    let world = World::new().await;
    let ops = email("ops@example.org");
    let create = async || administration(&world).create(&world.app.passwords, &ops).await.unwrap();
    let secret = create().await.unwrap();
    assert_eq!(create().await, None, "an address has one account");
    assert_eq!(count(&world.identity, "SELECT count(*) FROM accounts WHERE roles = '{admin}'").await, 1);
    assert_eq!(signs_in(&world, "ops@example.org", &secret).await, 401);
    sets_first(&world, "another secret", PASSWORD).await.assert_problem(401, "unauthenticated");
    sets_first(&world, &secret, "password1").await.assert_problem(422, "invalid-body");
    assert_eq!(sets_first(&world, &secret, PASSWORD).await.status, 204);
    assert_eq!(signs_in(&world, "ops@example.org", PASSWORD).await, 201);
    assert_eq!(signs_in(&world, "ops@example.org", &secret).await, 401);
    sets_first(&world, &secret, "one more password").await.assert_problem(401, "unauthenticated");
    // Nor does a password do that has been set by its owner.
    sets_first(&world, PASSWORD, "one more password").await.assert_problem(401, "unauthenticated");
    assert_eq!(world.audited("authz_admin").await, 1);
}

#[tokio::test]
async fn a_one_time_secret_is_good_for_a_day() {
    let world = World::new().await;
    let secret = administration(&world).create(&world.app.passwords, &email("ops@example.org")).await.unwrap().unwrap();
    let day = "UPDATE accounts SET one_time_until = one_time_until - interval '24 hours'";
    sqlx::query(day).execute(&world.identity).await.unwrap();
    sets_first(&world, &secret, PASSWORD).await.assert_problem(401, "unauthenticated");
    assert_eq!(signs_in(&world, "ops@example.org", &secret).await, 401);
}

#[tokio::test]
async fn a_disabled_account_is_signed_out_everywhere_and_stays_out() {
    let world = World::new().await;
    let (ann, bob) = (world.athlete("ann").await, world.athlete("bob").await);
    let key = ann.post("/v1/account/api-keys").json(&json!({"name": "x", "scopes": ["write"]})).await;
    let exchange = json!({"api_key": key.body["key"]});
    let program = world.anonymous().post("/v1/account/api-keys/token").json(&exchange).await;
    let program = ann.with_token(program.body["access_token"].as_str().unwrap());
    let operator = administration(&world);
    assert_eq!(operator.disable(&email("ANN@example.org")).await.unwrap(), Administered::Done(1));
    assert_eq!(operator.disable(&email("ann@example.org")).await.unwrap(), Administered::NotFound);
    for client in [&ann, &program] {
        eventually("the service refuses the token", async || {
            client.delete("/v1/workouts/0198c0de-0000-7000-8000-000000000000").answer().await.status == 401
        })
        .await;
    }
    ann.refreshes().await.assert_problem(401, "unauthenticated");
    assert_eq!(signs_in(&world, "ann@example.org", PASSWORD).await, 401);
    bob.logs_a_run().await;
    assert_eq!(operator.enable(&email("ann@example.org")).await.unwrap(), Administered::Done(0));
    ann.refreshes().await.assert_problem(401, "unauthenticated");
    assert_eq!(signs_in(&world, "ann@example.org", PASSWORD).await, 201);
    let key = world.signed_in_again("ann", &ann).await;
    let key = key.post("/v1/account/api-keys").json(&json!({"name": "x", "scopes": ["read"]})).await;
    assert_eq!(operator.end_sessions(&email("ann@example.org")).await.unwrap(), Administered::Done(2));
    let exchange = json!({"api_key": key.body["key"].as_str().unwrap()});
    let exchanged = world.anonymous().post("/v1/account/api-keys/token").json(&exchange).await;
    exchanged.assert_problem(401, "unauthenticated");
    assert_eq!(operator.end_sessions(&email("nobody@example.org")).await.unwrap(), Administered::NotFound);
}
