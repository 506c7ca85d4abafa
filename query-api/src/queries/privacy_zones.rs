//! Privacy zones: the caller's own as they set them, and what of another's tracks they hide.
//! A zone's id is read to hide by and shown to nobody, its athlete included.
use chrono::{DateTime, Utc};
use fittrack_domain::privacy::PrivacyZone;
use serde::Serialize;
use sqlx::PgPool;
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

/// An athlete's zones.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ZonesRow {
    /// How often the list was set.
    pub version: i64,
    /// All of them.
    pub zones: Json<Vec<PrivacyZone>>,
    /// When they were last set.
    pub changed_at: DateTime<Utc>,
}

/// The zones as their athlete sees them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({
    "version": 2, "changed_at": "2026-11-02T18:21:09Z",
    "zones": [{"name": "Home", "latitude_deg": 52.0973, "longitude_deg": 6.6417, "radius_m": 400}]
}))]
pub struct PrivacyZones {
    /// The version of the list: also its `ETag`, `"v<version>"`. 0 where none was ever set.
    #[schema(example = 2)]
    pub version: i64,
    /// In the order they were set.
    pub zones: Vec<Zone>,
    /// When they were last set.
    pub changed_at: Option<DateTime<Utc>>,
}

/// A place near which the ends of tracks are not shown to others.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = PrivacyZone)]
pub struct Zone {
    /// What the athlete calls it.
    #[schema(example = "Home")]
    name: Option<String>,
    /// North is positive.
    #[schema(example = 52.0973)]
    latitude_deg: f64,
    /// East is positive.
    #[schema(example = 6.6417)]
    longitude_deg: f64,
    /// How far around the place, in metres.
    #[schema(example = 400)]
    radius_m: u32,
}

impl From<ZonesRow> for PrivacyZones {
    fn from(row: ZonesRow) -> Self {
        let ZonesRow { version, zones: Json(zones), changed_at } = row;
        Self { version, zones: zones.iter().map(Zone::from).collect(), changed_at: Some(changed_at) }
    }
}

impl From<&PrivacyZone> for Zone {
    fn from(zone: &PrivacyZone) -> Self {
        let (latitude_deg, longitude_deg) = zone.position();
        let name = zone.name.as_ref().map(|name| name.as_str().to_owned());
        Self { name, latitude_deg, longitude_deg, radius_m: zone.radius_m.metres() }
    }
}

const OWN: &str = "
SELECT version, zones, changed_at
  FROM privacy_zones
 WHERE athlete_id = $1";

/// The caller's own zones; none where they were never set.
pub async fn own(pool: &PgPool, caller: Uuid) -> Result<Option<ZonesRow>, sqlx::Error> {
    sqlx::query_as(OWN).bind(caller).fetch_optional(pool).await
}

/// An athlete's zones, and whether they are all there is to know of them.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct KnownZones {
    /// Null where none were ever set.
    pub zones: Option<Json<Vec<PrivacyZone>>>,
    /// Up to here everything is in the zones; null where the projection has yet to begin.
    pub zones_position: Option<i64>,
    /// Up to here everything is in the workouts.
    pub workouts_position: Option<i64>,
    /// Whether changes of theirs wait in the parked events.
    pub is_parked: bool,
}

const KNOWN: &str = "
WITH shown AS (
    SELECT read_models.name, read_models.worker, checkpoints.position
      FROM read_models
      JOIN checkpoints ON checkpoints.worker = read_models.worker AND checkpoints.partition = $2
     WHERE read_models.name IN ('workouts', 'privacy_zones')
)
SELECT (SELECT zones FROM privacy_zones WHERE athlete_id = $1) AS zones,
       (SELECT position FROM shown WHERE name = 'privacy_zones') AS zones_position,
       (SELECT position FROM shown WHERE name = 'workouts') AS workouts_position,
       EXISTS (SELECT FROM parked_events
                 JOIN shown ON shown.worker = parked_events.worker AND shown.name = 'privacy_zones'
                WHERE parked_events.partition = $2 AND parked_events.owner_id = $1) AS is_parked";

/// An athlete's zones with how far they are, in one snapshot; the athlete's events are in this log partition.
pub async fn known(pool: &PgPool, athlete: Uuid, partition: i32) -> Result<KnownZones, sqlx::Error> {
    sqlx::query_as(KNOWN).bind(athlete).bind(partition).fetch_one(pool).await
}
