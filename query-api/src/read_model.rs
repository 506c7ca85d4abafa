//! The read models this service reads, by the one name each has everywhere.
//! Routes say which they use; cache, token waits and freshness follow from that.

/// A read model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadModel {
    /// One row a workout.
    Workouts,
    /// One row an athlete.
    Profiles,
    /// Sums per athlete, day and sport.
    Totals,
    /// Scores per board and athlete.
    Leaderboards,
    /// One row a measurement.
    Measurements,
    /// One row an athlete who has set any.
    PrivacyZones,
}

impl ReadModel {
    /// Every read model; its place here is its [`ReadModel::index`].
    pub const ALL: [Self; Self::COUNT] =
        [Self::Workouts, Self::Profiles, Self::Totals, Self::Leaderboards, Self::Measurements, Self::PrivacyZones];
    /// How many there are.
    pub const COUNT: usize = Self::PrivacyZones as usize + 1;

    /// The name in notices, checkpoints and table `read_models`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Workouts => "workouts",
            Self::Profiles => "profiles",
            Self::Totals => "totals",
            Self::Leaderboards => "leaderboards",
            Self::Measurements => "measurements",
            Self::PrivacyZones => "privacy_zones",
        }
    }

    /// The read model of this name; none where this service does not know it (a newer projector may have more).
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.name() == name)
    }

    /// Its place in arrays of one element a read model.
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_places_lead_back_to_the_read_model() {
        for model in ReadModel::ALL {
            assert_eq!(ReadModel::named(model.name()), Some(model));
            assert_eq!(ReadModel::ALL[model.index()], model);
        }
        assert_eq!(ReadModel::named("feed"), None);
    }
}
