//! Guessing passwords is slowed down, on all replicas alike, and nobody who is signed in is affected.
use command_api::identity::{
    audit::Origin,
    throttle::{Subject, Throttle, TooManyTries},
};
use serde_json::{Value, json};

use crate::support::{Answer, Client, PASSWORD, World, count};

async fn tries(client: &Client, email: &str, password: &str) -> Answer {
    client.post("/v1/account/sessions").json(&json!({"email": email, "password": password})).await
}

/// As if everything had been tried so much earlier.
async fn pass(world: &World, seconds: u32) {
    let earlier = "UPDATE throttles SET blocked_until = blocked_until - make_interval(secs => $1),
                                        last_try_at = last_try_at - make_interval(secs => $1)";
    sqlx::query(earlier).bind(f64::from(seconds)).execute(&world.identity).await.unwrap();
}

#[tokio::test]
async fn guesses_at_two_replicas_are_counted_together_whether_or_not_there_is_an_account() {
    let world = World::new().await;
    let (other, _) = world.replica().await;
    let ann = world.athlete("ann").await;
    let (here, there) = (world.anonymous(), world.anonymous().at(&other));
    let mut last = Vec::new();
    for email in ["ann@example.org", "nobody@example.org"] {
        let mut statuses = Vec::new();
        for guess in 0..20 {
            let client = if guess % 2 == 0 { &here } else { &there };
            // The case of letters makes no other account.
            let email = if guess % 3 == 0 { email.to_uppercase() } else { email.to_owned() };
            statuses.push(tries(client, &email, "wrong password").await.status.as_u16());
        }
        assert_eq!(statuses[..6], [401; 6], "the sixth costs a wait");
        assert!(statuses[6..].contains(&429), "{statuses:?}");
        // What the wait is after many more.
        let many = "UPDATE throttles SET tries = 30, blocked_until = clock_timestamp() + interval '900 seconds' WHERE tries > 5";
        sqlx::query(many).execute(&world.identity).await.unwrap();
        for client in [&here, &there] {
            let answer = tries(client, email, PASSWORD).await;
            answer.assert_problem(429, "too-many-requests");
            let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((890..=900).contains(&wait), "{wait}");
            let mut body = answer.body.clone();
            body["trace_id"] = Value::Null;
            last.push(body);
        }
    }
    assert!(last.iter().all(|body| *body == last[0]), "{last:?}");
    // Who is signed in does not notice.
    let next = ann.refreshes().await;
    assert_eq!(next.status, 200);
    ann.logs_a_run().await;
    assert!(world.audited("authn_login_lock").await >= 2);

    // It ends by itself.
    pass(&world, 901).await;
    assert_eq!(tries(&there, "ann@example.org", PASSWORD).await.status, 201);
    assert_eq!(tries(&here, "ann@example.org", "wrong password").await.status, 401, "earlier tries are forgotten");
}

#[tokio::test]
async fn each_wait_is_twice_the_one_before_and_an_hour_makes_all_good() {
    let world = World::new().await;
    let throttle = Throttle::new(world.identity.clone());
    let origin = Origin::default();
    let subject = || Subject::sign_in("ann@example.org", &Origin::default());
    for _ in 0..5 {
        assert!(!throttle.begin(subject(), &origin).await.unwrap().unwrap().locks());
    }
    let waits = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900];
    for expected in waits {
        assert!(throttle.begin(subject(), &origin).await.unwrap().unwrap().locks());
        let exact = "SELECT max(round(extract(epoch FROM blocked_until - last_try_at)))::bigint FROM throttles";
        assert_eq!(count(&world.identity, exact).await, i64::from(expected));
        pass(&world, expected).await;
    }
    pass(&world, 3600).await;
    assert!(!throttle.begin(subject(), &origin).await.unwrap().unwrap().locks());
    pass(&world, 3601).await;
    assert_eq!(throttle.sweep().await.unwrap(), 2, "from one network, and from everywhere");
}

#[tokio::test]
async fn of_many_guesses_at_once_no_more_are_judged_than_one_after_the_other() {
    let world = World::new().await;
    let throttle = Throttle::new(world.identity.clone());
    let origin = Origin::default();
    let begun =
        futures::future::join_all((0..40).map(|_| throttle.begin(Subject::sign_in("ann@x.org", &origin), &origin)))
            .await;
    let through = begun.into_iter().filter(|begun| begun.as_ref().unwrap().is_ok()).count();
    // Five are free, the sixth begins a wait of a second; on a slow machine that and the next may pass meanwhile.
    assert!((6..=12).contains(&through), "{through}");
}

#[tokio::test]
async fn a_client_s_network_that_fails_too_often_waits_for_the_next_minute() {
    let world = World::new().await;
    let throttle = Throttle::new(world.identity.clone());
    let from = |address: &str| Origin { address: Some(address.parse().unwrap()), user_agent: None };
    // All within one of the database's minutes.
    let begun = "SELECT floor(extract(epoch FROM clock_timestamp()) / 60)::bigint";
    loop {
        let minute = count(&world.identity, begun).await;
        for number in 0..60 {
            let origin = from("2001:db8::1");
            let subject = Subject::sign_in(&format!("{minute}-{number}@x.org"), &origin);
            let tried = throttle.begin(subject, &origin).await.unwrap();
            throttle.failed(tried.unwrap(), &origin).await.unwrap();
        }
        let tries = async |origin: Origin| {
            throttle.begin(Subject::sign_in(&format!("{minute}@x.org"), &origin), &origin).await.unwrap()
        };
        let (neighbour, stranger) = (tries(from("2001:db8::ffff")).await, tries(from("2001:db8:0:1::1")).await);
        if count(&world.identity, begun).await == minute {
            let TooManyTries(wait) = neighbour.unwrap_err();
            assert!(wait.as_secs() < 60, "{wait:?}");
            assert!(stranger.is_ok(), "another network");
            return;
        }
    }
}

#[tokio::test]
async fn guessing_the_current_password_is_slowed_down_too() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let guess = json!({"current_password": "not the password", "new_password": "a new password of mine"});
    for _ in 0..6 {
        ann.put("/v1/account/password").json(&guess).await.assert_problem(422, "invalid-body");
    }
    let waits = "UPDATE throttles SET blocked_until = clock_timestamp() + interval '1 minute'";
    sqlx::query(waits).execute(&world.identity).await.unwrap();
    ann.put("/v1/account/password").json(&guess).await.assert_problem(429, "too-many-requests");
    // The door is another thing.
    assert_eq!(tries(&world.anonymous(), "ann@example.org", PASSWORD).await.status, 201);
}

#[tokio::test]
async fn a_try_that_nobody_could_judge_is_none() {
    let world = World::new().await;
    world.athlete("ann").await;
    let turns = world.app.passwords.exhausted().await;
    for _ in 0..8 {
        tries(&world.anonymous(), "ann@example.org", PASSWORD).await.assert_problem(503, "temporary-reduced-capacity");
    }
    drop(turns);
    assert_eq!(tries(&world.anonymous(), "ann@example.org", PASSWORD).await.status, 201);
    // One that was counted and is given back leaves no row.
    let throttle = Throttle::new(world.identity.clone());
    let origin = Origin { address: Some("192.0.2.7".parse().unwrap()), user_agent: None };
    let tried = throttle.begin(Subject::sign_in("bob@example.org", &origin), &origin).await.unwrap().unwrap();
    let rows = async || count(&world.identity, "SELECT count(*) FROM throttles").await;
    let before = rows().await;
    throttle.give_back(tried).await.unwrap();
    assert_eq!(before - rows().await, 2);
    let _: command_api::identity::throttle::Try =
        throttle.begin(Subject::sign_in("bob@example.org", &origin), &origin).await.unwrap().unwrap();
    let second = throttle.begin(Subject::sign_in("bob@example.org", &origin), &origin).await.unwrap().unwrap();
    throttle.give_back(second).await.unwrap();
    assert_eq!((rows().await, count(&world.identity, "SELECT max(tries)::bigint FROM throttles").await), (before, 1));
}

#[tokio::test]
async fn whoever_signed_in_from_a_network_is_not_held_out_by_others() {
    let world = World::new().await;
    let throttle = Throttle::new(world.identity.clone());
    let from = |address: &str| Origin { address: Some(address.parse().unwrap()), user_agent: None };
    let begins = async |address: &str| {
        let origin = from(address);
        throttle.begin(Subject::sign_in("Ann@example.org", &origin), &origin).await.unwrap()
    };
    let (home, elsewhere) = ("2001:db8:7:1::1", "192.0.2.7");
    throttle.succeeded(begins(home).await.unwrap()).await.unwrap();
    // A stranger in the same site, who has a network for each try, and then the world.
    let longer =
        "UPDATE throttles SET blocked_until = blocked_until + interval '1 hour' WHERE blocked_until > last_try_at";
    for network in 2..22 {
        let _: command_api::identity::throttle::Try = begins(&format!("2001:db8:7:{network}::1")).await.unwrap();
    }
    assert!(begins("2001:db8:7:ff::1").await.unwrap().locks(), "the twenty-first from a /48");
    sqlx::query(longer).execute(&world.identity).await.unwrap();
    assert!(begins("2001:db8:7:100::1").await.is_err(), "whatever its /64");
    let everywhere = "UPDATE throttles SET tries = 1000, blocked_until = clock_timestamp() + interval '1 hour'
                      WHERE subject = sha256(convert_to(E'sign-in\\nann@example.org', 'UTF8'))";
    assert_eq!(sqlx::query(everywhere).execute(&world.identity).await.unwrap().rows_affected(), 1);
    assert!(begins(elsewhere).await.is_err());
    let owner = begins(home).await.unwrap();
    assert!(!owner.locks());
    // Nor by failures of everybody, whose minute it is.
    let minute = "INSERT INTO throttles (subject, tries, blocked_until, last_try_at)
                  SELECT sha256(convert_to(E'everybody\\n' || (floor(extract(epoch FROM clock_timestamp()) / 60)::bigint + later)::text, 'UTF8')),
                         6000, clock_timestamp(), clock_timestamp() FROM generate_series(0, 5) AS later";
    sqlx::query(minute).execute(&world.identity).await.unwrap();
    let origin = from(elsewhere);
    assert!(throttle.begin(Subject::sign_in("bob@example.org", &origin), &origin).await.unwrap().is_err());
    throttle.succeeded(owner).await.unwrap();
    throttle.succeeded(begins(home).await.unwrap()).await.unwrap();
    // For thirty days.
    let days = "UPDATE known_networks SET signed_in_at = signed_in_at - interval '30 days'";
    assert_eq!(sqlx::query(days).execute(&world.identity).await.unwrap().rows_affected(), 1);
    assert!(begins(home).await.is_err());
    assert_eq!(throttle.sweep().await.unwrap(), 1);
}

#[tokio::test]
async fn an_account_is_known_to_the_last_twenty_networks() {
    let world = World::new().await;
    let throttle = Throttle::new(world.identity.clone());
    for network in 1..=25 {
        let origin = Origin { address: Some(format!("192.0.2.{network}").parse().unwrap()), user_agent: None };
        let tried = throttle.begin(Subject::sign_in("ann@example.org", &origin), &origin).await.unwrap();
        throttle.succeeded(tried.unwrap()).await.unwrap();
    }
    assert_eq!(count(&world.identity, "SELECT count(*) FROM known_networks").await, 20);
    assert_eq!(count(&world.identity, "SELECT count(*) FROM throttles").await, 0);
}

#[tokio::test]
async fn a_sweep_goes_on_while_there_is_more() {
    let world = World::new().await;
    let old = "INSERT INTO throttles (subject, tries, blocked_until, last_try_at)
               SELECT sha256(n::text::bytea), 1, clock_timestamp(), clock_timestamp() - interval '2 hours'
               FROM generate_series(1, 12000) AS n";
    sqlx::query(old).execute(&world.identity).await.unwrap();
    assert_eq!(Throttle::new(world.identity.clone()).sweep().await.unwrap(), 12_000);
}

#[tokio::test]
async fn a_stranger_s_network_waits_long_before_the_owner_does() {
    let world = World::new().await;
    let throttle = Throttle::new(world.identity.clone());
    let from = |network: u32| Origin { address: Some(format!("192.0.2.{network}").parse().unwrap()), user_agent: None };
    let begins = async |network: u32| {
        let origin = from(network);
        throttle.begin(Subject::sign_in("ann@example.org", &origin), &origin).await.unwrap()
    };
    // Nobody waits any more on its own, however slow the machine.
    let longer =
        "UPDATE throttles SET blocked_until = blocked_until + interval '1 hour' WHERE blocked_until > last_try_at";
    for _ in 0..6 {
        let _: command_api::identity::throttle::Try = begins(1).await.unwrap();
    }
    sqlx::query(longer).execute(&world.identity).await.unwrap();
    assert!(begins(1).await.is_err());
    let owner = begins(2).await.unwrap();
    assert!(!owner.locks());
    throttle.succeeded(owner).await.unwrap();
    assert!(begins(1).await.is_err(), "the owner's success is not the stranger's");
    // From many networks together it is the account that waits.
    for network in 3..23 {
        for _ in 0..5 {
            let _: command_api::identity::throttle::Try = begins(network).await.unwrap();
        }
    }
    assert!(begins(23).await.unwrap().locks(), "the hundred and first");
    sqlx::query(longer).execute(&world.identity).await.unwrap();
    assert!(begins(24).await.is_err());
}

/// Notes, as each transaction ends, whether it waits for the disk; of a try also where it changes no row, for it locks one.
const WATCH: &str = "
    CREATE TABLE commits (of_table text NOT NULL, waits text NOT NULL);
    GRANT INSERT ON commits TO fittrack_command;
    CREATE FUNCTION note_commit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO commits VALUES (TG_TABLE_NAME, current_setting('synchronous_commit'));
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON throttles
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_commit();
    CREATE TRIGGER noted_at_all AFTER INSERT ON throttles FOR EACH STATEMENT EXECUTE FUNCTION note_commit();
    CREATE CONSTRAINT TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON known_networks
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_commit();
    CREATE CONSTRAINT TRIGGER noted AFTER INSERT ON sessions
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_commit()";

#[tokio::test]
async fn counting_tries_waits_for_no_disk_and_beginning_a_session_does() {
    let world = World::new().await;
    world.athlete("ann").await;
    let origin = Origin { address: Some([192, 0, 2, 7].into()), ..Origin::default() };
    sqlx::raw_sql(WATCH).execute(&world.identity).await.unwrap();

    let throttle = Throttle::new(world.identity.clone());
    let begun = async || throttle.begin(Subject::sign_in("bob@example.org", &origin), &origin).await.unwrap().unwrap();
    let first = begun().await;
    throttle.give_back(first).await.unwrap(); // removes the counts of a first try
    let (one, other) = (begun().await, begun().await);
    throttle.give_back(other).await.unwrap(); // lowers those of a second
    throttle.failed(one, &origin).await.unwrap();
    throttle.succeeded(begun().await).await.unwrap();
    for network in 0..21 {
        let origin = Origin { address: Some([192, 0, 3, network].into()), ..Origin::default() };
        let tried = throttle.begin(Subject::sign_in("bob@example.org", &origin), &origin).await.unwrap().unwrap();
        throttle.succeeded(tried).await.unwrap(); // the last two forget the first network of all
    }
    let stranger = Subject::registration("carl@example.org");
    while throttle.begin(stranger.clone(), &origin).await.unwrap().is_ok() {} // until one has to wait
    assert_eq!(tries(&world.anonymous(), "ann@example.org", PASSWORD).await.status, 201);

    let kinds = "SELECT count(DISTINCT of_table || waits) FROM commits";
    let durable = "SELECT count(*) FROM commits WHERE of_table = 'sessions' AND waits = 'on'";
    let lazy = "SELECT count(*) FROM commits WHERE of_table <> 'sessions' AND waits = 'off'";
    assert_eq!((count(&world.identity, kinds).await, count(&world.identity, durable).await), (3, 1));
    assert!(count(&world.identity, lazy).await > 100);
}
