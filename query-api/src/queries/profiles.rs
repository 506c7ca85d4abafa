//! Profiles: what an athlete is to others, and to themself.
//! Everybody signed in may know the name and the words; the rest is its owner's.
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;
use uuid::Uuid;

/// An athlete as everybody signed in may see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct Athlete {
    /// Who.
    pub id: Uuid,
    /// The version of the profile: also its `ETag`, `"v<version>"`.
    #[schema(example = 3)]
    pub version: i64,
    /// What they are called.
    #[schema(example = "Anna")]
    pub display_name: String,
    /// In their own words.
    pub bio: Option<String>,
    /// Since when they are here.
    pub registered_at: DateTime<Utc>,
}

/// An athlete as they see themself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct Profile {
    /// Who.
    pub id: Uuid,
    /// The version of the profile: also its `ETag`, `"v<version>"`.
    #[schema(example = 3)]
    pub version: i64,
    /// What they are called.
    #[schema(example = "Anna")]
    pub display_name: String,
    /// In their own words.
    pub bio: Option<String>,
    /// The year of birth.
    #[schema(example = 1990)]
    pub birth_year: Option<i32>,
    /// `female`, `male` or `unspecified`.
    #[schema(example = "female")]
    pub sex: String,
    /// Height in centimetres.
    #[schema(example = 172)]
    pub height_cm: Option<i32>,
    /// The IANA time zone days are counted in.
    #[schema(example = "Europe/Berlin")]
    pub time_zone: String,
    /// `metric` or `imperial`, for showing.
    #[schema(example = "metric")]
    pub units: String,
    /// Who may see a new workout unless it says otherwise.
    #[schema(schema_with = crate::queries::units::visibility_schema)]
    pub default_visibility: String,
    /// Since when they are here.
    pub registered_at: DateTime<Utc>,
    /// When the profile was last changed.
    pub changed_at: DateTime<Utc>,
}

const OWN: &str = "
SELECT athlete_id AS id, version, display_name, bio, birth_year, sex, height_cm, time_zone, units, default_visibility,
       registered_at, changed_at
  FROM profiles
 WHERE athlete_id = $1";

/// The caller's own profile.
pub async fn own(pool: &PgPool, caller: Uuid) -> Result<Option<Profile>, sqlx::Error> {
    sqlx::query_as(OWN).bind(caller).fetch_optional(pool).await
}

const OF_ANYBODY: &str = "
SELECT athlete_id AS id, version, display_name, bio, registered_at
  FROM profiles
 WHERE athlete_id = $1";

/// An athlete as everybody may see them.
pub async fn of_anybody(pool: &PgPool, athlete: Uuid) -> Result<Option<Athlete>, sqlx::Error> {
    sqlx::query_as(OF_ANYBODY).bind(athlete).fetch_optional(pool).await
}
