//! The rules of privacy zones.
use std::collections::BTreeMap;

use super::{
    PrivacyZone, PrivacyZones, PrivacyZonesCommand, PrivacyZonesEvent, PrivacyZonesRefusal, PrivacyZonesSet,
    SetPrivacyZones, ZoneId,
};
use crate::{
    aggregate::{Context, Decider},
    recording::measure::haversine_m,
};

/// How many zones an athlete may have.
pub const MAX_ZONES: usize = 5;

impl Decider for PrivacyZones {
    fn decide(
        &self,
        command: &PrivacyZonesCommand,
        context: &Context,
    ) -> Result<Vec<PrivacyZonesEvent>, PrivacyZonesRefusal> {
        let PrivacyZonesCommand::SetPrivacyZones(SetPrivacyZones { zones }) = command;
        if zones.len() > MAX_ZONES {
            return Err(PrivacyZonesRefusal::Invalid { field: "zones", must: "must be at most 5" });
        }
        let zones = with_kept_ids(zones, self.zones.as_deref().unwrap_or_default());
        if self.zones.as_ref() == Some(&zones) {
            return Ok(vec![]);
        }
        let set = PrivacyZonesSet { athlete_id: context.actor, zones };
        Ok(vec![PrivacyZonesEvent::PrivacyZonesSet(set)])
    }

    fn begins_stream(_: &PrivacyZonesCommand) -> bool {
        false
    }
}

/// The zones with the id of the one each stands in place of, which is the nearest before it whose circle its centre is in.
///
/// A new id hides a new circle, and who has seen several circles around one place knows more of it. So what stays where it is
/// keeps its id, renamed, resized and pushed about as it may be; what is elsewhere says nothing of where it was.
fn with_kept_ids(asked: &[PrivacyZone], before: &[PrivacyZone]) -> Vec<PrivacyZone> {
    let mut pairs: Vec<(f64, usize, ZoneId)> = Vec::new();
    for (index, zone) in asked.iter().enumerate() {
        for earlier in before {
            let apart_m = haversine_m(zone.position(), earlier.position());
            if apart_m <= f64::from(earlier.radius_m.metres()) {
                pairs.push((apart_m, index, earlier.zone_id));
            }
        }
    }
    pairs.sort_by(|(one, ..), (other, ..)| one.total_cmp(other));
    let mut kept: BTreeMap<usize, ZoneId> = BTreeMap::new();
    for (_, index, zone_id) in pairs {
        if !kept.contains_key(&index) && !kept.values().any(|taken| *taken == zone_id) {
            kept.insert(index, zone_id);
        }
    }
    let with_id = |(index, zone): (usize, &PrivacyZone)| {
        let zone_id = kept.get(&index).copied().unwrap_or(zone.zone_id);
        PrivacyZone { zone_id, ..zone.clone() }
    };
    asked.iter().enumerate().map(with_id).collect()
}
