//! The shapes of the read models, version by version: the SQL of their tables, and how a version is meant to differ from older ones.
//! A version is never edited once it was built anywhere: a change of columns or of the fold is a new version.

/// The columns of one version of a read model. `{schema}` stands for the schema of the build.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The read model's one name, and its table's.
    pub read_model: &'static str,
    /// 1, 2, 3 ...
    pub version: i32,
    /// Makes the table; without keys and indexes, so that rows can be loaded fast.
    pub table: &'static str,
    /// Makes the primary key and the indexes.
    pub indexes: &'static str,
    /// What may differ from older versions in the columns both have; anything else is a fault of the fold.
    pub differences: &'static [Difference],
}

/// An intended difference between the rows of two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// The newest version that is without the change.
    pub from_version: i32,
    /// What changed, for people.
    pub what: &'static str,
    /// Where it shows.
    pub shows_in: ShowsIn,
}

/// Where an intended difference shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShowsIn {
    /// A column that only one of the versions has.
    Column(&'static str),
    /// Pairs of rows for which this SQL over `old` and `new` is true; either may be all null, where the row is not there.
    Rows(&'static str),
}

/// Every version this program can build, the versions of a read model in ascending order.
pub const SHAPES: &[Shape] = &[
    Shape {
        read_model: "workouts",
        version: 1,
        table: include_str!("../../read-models/shapes/workouts_v1.table.sql"),
        indexes: include_str!("../../read-models/shapes/workouts_v1.indexes.sql"),
        differences: &[],
    },
    Shape {
        read_model: "profiles",
        version: 1,
        table: include_str!("../../read-models/shapes/profiles_v1.table.sql"),
        indexes: include_str!("../../read-models/shapes/profiles_v1.indexes.sql"),
        differences: &[],
    },
    Shape {
        read_model: "totals",
        version: 1,
        table: include_str!("../../read-models/shapes/totals_v1.table.sql"),
        indexes: include_str!("../../read-models/shapes/totals_v1.indexes.sql"),
        differences: &[],
    },
    Shape {
        read_model: "leaderboards",
        version: 1,
        table: include_str!("../../read-models/shapes/leaderboards_v1.table.sql"),
        indexes: include_str!("../../read-models/shapes/leaderboards_v1.indexes.sql"),
        differences: &[],
    },
    Shape {
        read_model: "leaderboards",
        version: 2,
        table: include_str!("../../read-models/shapes/leaderboards_v2.table.sql"),
        indexes: include_str!("../../read-models/shapes/leaderboards_v2.indexes.sql"),
        differences: &[MOVING_TIME, A_MINUTE_AT_LEAST],
    },
    Shape {
        read_model: "measurements",
        version: 1,
        table: include_str!("../../read-models/shapes/measurements_v1.table.sql"),
        indexes: include_str!("../../read-models/shapes/measurements_v1.indexes.sql"),
        differences: &[],
    },
    Shape {
        read_model: "privacy_zones",
        version: 1,
        table: include_str!("../../read-models/shapes/privacy_zones_v1.table.sql"),
        indexes: include_str!("../../read-models/shapes/privacy_zones_v1.indexes.sql"),
        differences: &[],
    },
];

const MOVING_TIME: Difference =
    Difference { from_version: 1, what: "moving time is summed too", shows_in: ShowsIn::Column("moving_ms") };

/// What leaves a board under the rule took less than a minute a workout; a score that stays may have become what it is earlier.
const A_MINUTE_AT_LEAST: Difference = Difference {
    from_version: 1,
    what: "workouts of less than a minute do not count",
    shows_in: ShowsIn::Rows(
        "
        CASE old.workouts - coalesce(new.workouts, 0)
        WHEN 0 THEN (old.duration_ms, old.distance_mm, old.elevation_gain_mm)
                  = (new.duration_ms, new.distance_mm, new.elevation_gain_mm)
        ELSE old.workouts > coalesce(new.workouts, 0)
             AND old.duration_ms - coalesce(new.duration_ms, 0) BETWEEN 0
                 AND 60000 * (old.workouts - coalesce(new.workouts, 0)) - 1
             AND old.distance_mm >= coalesce(new.distance_mm, 0)
             AND old.elevation_gain_mm >= coalesce(new.elevation_gain_mm, 0)
        END",
    ),
};

impl Shape {
    /// The shape of a version.
    pub fn of(read_model: &str, version: i32) -> Option<&'static Self> {
        SHAPES.iter().find(|shape| shape.read_model == read_model && shape.version == version)
    }

    /// Whether no newer version of the read model is known.
    pub fn is_newest(&self) -> bool {
        SHAPES.iter().all(|other| other.read_model != self.read_model || other.version <= self.version)
    }

    /// What its rows may have that those of `older` do not.
    pub fn differences_from(&self, older: i32) -> impl Iterator<Item = &'static Difference> {
        self.differences.iter().filter(move |difference| difference.from_version >= older)
    }
}
