use sqlx::Executor;

use super::*;
use crate::test_database::TestDatabase;

const TTL: Duration = Duration::from_secs(10);
/// As the migrations of both databases make them.
const TABLES: &str = "
    CREATE TABLE checkpoints (
        worker text NOT NULL, partition integer NOT NULL, position bigint NOT NULL DEFAULT 0,
        epoch bigint NOT NULL DEFAULT 0, holder uuid, lease_expires_at timestamptz, heartbeat_at timestamptz,
        PRIMARY KEY (worker, partition)
    );
    CREATE TABLE lease_members (
        worker text NOT NULL, holder uuid NOT NULL, expires_at timestamptz NOT NULL, PRIMARY KEY (worker, holder)
    );";

struct Fixture {
    database: TestDatabase,
    pool: PgPool,
}

impl Fixture {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let pool = database.plain_pool();
        pool.execute(TABLES).await.unwrap();
        Self { database, pool }
    }

    /// Holders in order of their id, so that who carries the remainder is known.
    fn keeper(&self, id: u128, ttl: Duration) -> LeaseKeeper {
        LeaseKeeper::new(self.pool.clone(), "relay", 0..8, Uuid::from_u128(id), ttl)
    }

    /// Lets every lease and membership of a holder run out at once.
    async fn expire(&self, id: u128) {
        for statement in [
            "UPDATE checkpoints SET lease_expires_at = clock_timestamp() - interval '1 ms' WHERE holder = $1",
            "UPDATE lease_members SET expires_at = clock_timestamp() - interval '1 ms' WHERE holder = $1",
        ] {
            sqlx::query(statement).bind(Uuid::from_u128(id)).execute(&self.pool).await.unwrap();
        }
    }

    async fn done(self) {
        self.pool.close().await;
        self.database.drop().await;
    }
}

fn partitions(held: &[Held]) -> Vec<i32> {
    held.iter().map(|lease| lease.partition).collect()
}

#[tokio::test]
async fn a_lone_process_takes_everything_and_keeps_its_epochs() {
    let fixture = Fixture::new().await;
    let keeper = fixture.keeper(1, TTL);
    let first = keeper.tick().await.unwrap();
    assert_eq!(partitions(&first.held), (0..8).collect::<Vec<_>>());
    assert_eq!(first.gained, first.held);
    assert!(first.held.iter().all(|lease| lease.epoch == 1 && lease.position == 0));
    let second = keeper.tick().await.unwrap();
    assert_eq!(second, Leases { held: first.held, gained: vec![], lost: vec![] });
    assert!(keeper.still_held(7) && !keeper.still_held(8));
    fixture.done().await;
}

#[tokio::test]
async fn a_newcomer_gets_its_share_from_the_first_holders_surplus() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.keeper(1, TTL), fixture.keeper(2, TTL));
    one.tick().await.unwrap();
    assert_eq!(two.tick().await.unwrap().held, []);
    let given = one.tick().await.unwrap();
    assert_eq!(partitions(&given.held), [0, 1, 2, 3]);
    assert_eq!(given.lost, [4, 5, 6, 7]);
    assert!(!one.still_held(4));
    let taken = two.tick().await.unwrap();
    assert_eq!(partitions(&taken.gained), [4, 5, 6, 7]);
    assert!(taken.gained.iter().all(|lease| lease.epoch == 2));
    assert!(one.tick().await.unwrap().lost.is_empty());
    fixture.done().await;
}

#[tokio::test]
async fn what_a_leaving_process_held_is_free_at_once() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.keeper(1, TTL), fixture.keeper(2, TTL));
    one.tick().await.unwrap();
    one.release_all().await.unwrap();
    assert!(!one.still_held(0));
    assert_eq!(two.tick().await.unwrap().held.len(), 8);
    fixture.done().await;
}

#[tokio::test]
async fn a_process_that_slept_past_its_lease_has_lost_it_and_is_fenced() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.keeper(1, TTL), fixture.keeper(2, TTL));
    let stale = one.tick().await.unwrap().held[0];
    fixture.expire(1).await;
    let taken = two.tick().await.unwrap();
    assert_eq!(taken.held.len(), 8);
    // The sleeper wakes and writes before it looks.
    let fenced = "UPDATE checkpoints SET position = 99 WHERE worker = 'relay' AND partition = $1 AND epoch = $2";
    let written = sqlx::query(fenced).bind(stale.partition).bind(stale.epoch).execute(&fixture.pool).await.unwrap();
    assert_eq!(written.rows_affected(), 0);
    let woken = one.tick().await.unwrap();
    assert_eq!(woken.lost, (0..8).collect::<Vec<_>>());
    assert!(!one.still_held(0));
    fixture.done().await;
}

#[tokio::test]
async fn an_expired_lease_nobody_took_is_renewed_under_the_same_epoch() {
    let fixture = Fixture::new().await;
    let keeper = fixture.keeper(1, TTL);
    keeper.tick().await.unwrap();
    fixture.expire(1).await;
    let renewed = keeper.tick().await.unwrap();
    assert!(renewed.gained.is_empty() && renewed.lost.is_empty());
    assert!(renewed.held.iter().all(|lease| lease.epoch == 1));
    fixture.done().await;
}

#[tokio::test]
async fn a_lease_is_trusted_for_less_than_its_time() {
    let fixture = Fixture::new().await;
    // Nothing of it is left once the margin is taken and the database has answered.
    let keeper = fixture.keeper(1, Duration::from_micros(5));
    let asked_at = Instant::now();
    keeper.tick().await.unwrap();
    assert!(asked_at.elapsed() > Duration::from_micros(5));
    assert!(!keeper.still_held(0));
    fixture.done().await;
}

#[tokio::test]
async fn the_position_comes_with_the_lease() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.keeper(1, TTL), fixture.keeper(2, TTL));
    one.tick().await.unwrap();
    fixture.pool.execute("UPDATE checkpoints SET position = 41 WHERE partition = 3").await.unwrap();
    one.release(3).await.unwrap();
    two.tick().await.unwrap();
    let positions: Vec<i64> = one
        .tick()
        .await
        .unwrap()
        .held
        .iter()
        .chain(&two.tick().await.unwrap().held)
        .filter(|lease| lease.partition == 3)
        .map(|lease| lease.position)
        .collect();
    assert_eq!(positions, [41]);
    fixture.done().await;
}

#[tokio::test]
async fn many_processes_ticking_at_once_come_to_hold_each_partition_exactly_once() {
    let fixture = Fixture::new().await;
    let keepers: Vec<LeaseKeeper> = (1..=5).map(|id| fixture.keeper(id, TTL)).collect();
    let mut settled = Vec::new();
    for _ in 0..50 {
        let ticks = keepers.iter().map(LeaseKeeper::tick);
        let leases = futures::future::try_join_all(ticks).await.unwrap();
        settled = leases.iter().map(|lease| lease.held.len()).collect();
        let mut all: Vec<i32> = leases.iter().flat_map(|lease| partitions(&lease.held)).collect();
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "held twice: {all:?}");
        if settled == [2, 2, 2, 1, 1] {
            break;
        }
    }
    assert_eq!(settled, [2, 2, 2, 1, 1]);
    fixture.done().await;
}
