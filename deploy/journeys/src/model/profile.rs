//! One athlete's profile as its last event leaves it: every event of an athlete says the whole profile.

use serde_json::Value;
use uuid::Uuid;

use crate::events::EventRow;

/// A profile, as the read model `profiles` must hold it.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    pub athlete_id: Uuid,
    pub version: i64,
    pub display_name: String,
    pub bio: Option<String>,
    pub birth_year: Option<i64>,
    pub sex: String,
    pub height_cm: Option<i64>,
    pub time_zone: String,
    pub units: String,
    pub default_visibility: String,
}

impl Profile {
    pub fn of(row: &EventRow) -> Self {
        let profile = &row.payload["profile"];
        let text = |name: &str| profile[name].as_str().map(str::to_owned);
        let whole = |name: &str| profile.get(name).and_then(Value::as_i64);
        Self {
            athlete_id: row.owner_id,
            version: row.sequence,
            display_name: text("display_name").unwrap_or_default(),
            bio: text("bio"),
            birth_year: whole("birth_year"),
            sex: text("sex").unwrap_or_default(),
            height_cm: whole("height_cm"),
            time_zone: text("time_zone").unwrap_or_default(),
            units: text("units").unwrap_or_default(),
            default_visibility: text("default_visibility").unwrap_or_default(),
        }
    }
}
