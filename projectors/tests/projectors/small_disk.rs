//! A disk that fills up in the middle of a rebuild: it stops cleanly, and goes on when there is room again.
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use fittrack_domain::sport::Sport;
use projectors::{
    projections::workouts::Workouts,
    rebuild::{Effort, RebuildError},
    source::store::StoreSource,
};
use uuid::Uuid;

use crate::{
    given::{History, athlete, run, workout},
    replay::{AT_ONCE, rebuild},
    support::{self, Databases},
};

/// A file system of its own in memory, as small as wanted.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one that belongs to whom the data directory belongs to; nothing where mounting is not allowed here.
    fn mount(data_directory: &Path, kilobytes: u32) -> Option<Self> {
        let owner = std::fs::metadata(data_directory).ok()?;
        let path = std::env::temp_dir().join(format!("fittrack-small-disk-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&path).ok()?;
        let options = format!("size={kilobytes}k,uid={},gid={},mode=700", owner.uid(), owner.gid());
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&path).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self { path });
        }
        let _ = std::fs::remove_dir(&path);
        None
    }

    fn grow(&self, kilobytes: u32) {
        let options = format!("remount,size={kilobytes}k");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.path).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
        let _ = std::fs::remove_dir(&self.path);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_disk_stops_a_rebuild_cleanly_and_room_lets_it_go_on() {
    let databases = Databases::new().await;
    let data_directory: String =
        sqlx::query_scalar("SHOW data_directory").fetch_one(&databases.read_models).await.unwrap();
    let Some(disk) = SmallDisk::mount(Path::new(&data_directory), 320) else {
        println!("SKIPPED: mounting a file system is not allowed here, so no disk can be made that fills up");
        return;
    };
    let mut history = History::default();
    for n in 0..1_600 {
        history.log(athlete(n % 8), workout(n), run(|details| details.sport = Sport::Ride));
    }
    databases.append(&history.events).await;
    let (parts, place) = (databases.parts(), databases.place());
    let running = support::run::<Workouts>(parts.clone(), StoreSource::new(parts.store.clone()));
    databases.eventually_at("workouts.v1", history.heads()).await;

    // What the owner makes from now on is on the small disk.
    let space = format!("small_{}", Uuid::now_v7().simple());
    let database: String =
        sqlx::query_scalar("SELECT current_database()").fetch_one(&databases.read_models).await.unwrap();
    databases.execute(&format!("CREATE TABLESPACE {space} LOCATION '{}'", disk.path.display())).await;
    databases.execute(&format!("ALTER DATABASE {database} SET default_tablespace = {space}")).await;

    let one_by_one = Effort { parallelism: 1, ..AT_ONCE };
    let full = rebuild(&place, "workouts", None, one_by_one).await.unwrap_err();
    assert!(matches!(&full, RebuildError::Fill(_)) && full.to_string().contains("No space left"), "{full}");
    let loaded = "SELECT count(*) FROM checkpoints WHERE worker = 'workouts.v1.g2' AND position > 0";
    let (done, partitions) = (databases.count(loaded).await, i64::try_from(history.heads().len()).unwrap());
    assert!(done > 0 && done < partitions, "{done} of {partitions} partitions were loaded when it filled up");
    let live = databases.rows("workouts").await;
    assert_eq!(live.len(), 1_600, "readers see what they saw");

    disk.grow(64 << 10);
    let gone_on = rebuild(&place, "workouts", None, one_by_one).await.unwrap();
    assert!(gone_on.events < 1_600, "what was loaded is not read again: {gone_on:?}");
    assert_eq!(databases.rows("workouts_v1_g2.workouts").await, live);
    running.stop().await.unwrap();

    databases.execute("DROP SCHEMA workouts_v1_g2 CASCADE").await;
    databases.execute(&format!("ALTER DATABASE {database} RESET default_tablespace")).await;
    databases.execute(&format!("DROP TABLESPACE {space}")).await;
}
