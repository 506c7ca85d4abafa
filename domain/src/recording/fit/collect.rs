//! Gathers the messages of one FIT sequence and deals its records and laps out to its sessions.
//! `fit::parse` feeds it message by message; each session that is no transition becomes an activity.

use rustyfit::profile::mesgdef;
use rustyfit::profile::typedef::{File, GarminProduct, Manufacturer, MesgNum, Sport as FitSport, SubSport};
use rustyfit::proto::Message;

use super::super::activity::{Activity, Lap};
use super::super::draft::{Draft, DraftLap};
use super::super::field::Field;
use super::super::points::{Budget, Values};
use super::super::refusal::FileRefusal;
use super::super::{MAX_ACTIVITIES, too_many_activities, too_many_laps};
use super::sports::sport_of;
use super::values::{enumeration_of, instant_ms_of, raw, raw_of, text_of};
use crate::sport::Sport;

const DEGREES_PER_SEMICIRCLE: f64 = 180.0 / 2_147_483_648.0;

#[derive(Default)]
pub(super) struct Collector {
    file_type: Option<File>,
    device: Option<String>,
    sport: Option<Sport>,
    records: Vec<(i64, Values)>,
    timeless_records: usize,
    laps: Vec<DraftLap>,
    sessions: Vec<Session>,
}

struct Session {
    is_transition: bool,
    draft: Draft,
}

impl Collector {
    pub(super) fn take(
        &mut self,
        message: &Message,
        budget: &mut Budget,
        laps_left: &mut usize,
    ) -> Result<(), FileRefusal> {
        match message.num {
            MesgNum::FILE_ID => self.identify(message),
            MesgNum::SPORT => self.sport = Some(sport(message, mesgdef::Sport::SPORT, mesgdef::Sport::SUB_SPORT)),
            MesgNum::RECORD => match instant_ms_of(message, mesgdef::Record::TIMESTAMP) {
                Some(at_ms) => {
                    budget.take()?;
                    self.records.push((at_ms, record_values(message)));
                }
                None => self.timeless_records += 1,
            },
            MesgNum::LAP => {
                *laps_left = laps_left.checked_sub(1).ok_or_else(too_many_laps)?;
                self.laps.push(lap(message));
            }
            MesgNum::SESSION => {
                if self.sessions.len() >= MAX_ACTIVITIES {
                    return Err(too_many_activities());
                }
                self.sessions.push(session(message));
            }
            _ => {}
        }
        Ok(())
    }

    /// The activities of this sequence: one a session, or one of all records where the device wrote no session.
    pub(super) fn finish(mut self) -> Result<Vec<Activity>, FileRefusal> {
        if let Some(file_type) = self.file_type.filter(|file_type| *file_type != File::ACTIVITY) {
            return Err(FileRefusal::NoActivity { reason: format!("it is a FIT file of type {file_type}") });
        }
        if self.sessions.is_empty() {
            if self.records.is_empty() {
                return Err(match self.timeless_records {
                    0 => FileRefusal::NoActivity { reason: "it has neither sessions nor records".to_owned() },
                    _ => FileRefusal::NoTime,
                });
            }
            let draft = Draft::new(self.sport.unwrap_or(Sport::Other));
            self.sessions.push(Session { is_transition: false, draft });
        }
        self.sessions.sort_by_key(|session| session.draft.started_at_ms);
        self.deal_out()?;
        let device = self.device;
        self.sessions
            .into_iter()
            .filter(|session| !session.is_transition)
            .map(|session| Draft { device: device.clone(), ..session.draft }.finish())
            .collect()
    }

    /// Gives each record and lap to the last session that began before it.
    fn deal_out(&mut self) -> Result<(), FileRefusal> {
        let starts: Vec<Option<i64>> = self.sessions.iter().map(|session| session.draft.started_at_ms).collect();
        let owner = |at_ms: Option<i64>| starts.partition_point(|start| *start <= at_ms).saturating_sub(1);
        let ownerless = || FileRefusal::NoActivity { reason: "it has no session for what it recorded".to_owned() };
        // The samples were counted when they were met.
        let mut counted = Budget::new();
        for (at_ms, values) in std::mem::take(&mut self.records) {
            let session = self.sessions.get_mut(owner(Some(at_ms))).ok_or_else(ownerless)?;
            session.draft.points.push(at_ms, values, &mut counted)?;
        }
        for lap in std::mem::take(&mut self.laps) {
            let session = self.sessions.get_mut(owner(lap.started_at_ms)).ok_or_else(ownerless)?;
            session.draft.laps.push(lap);
        }
        Ok(())
    }

    fn identify(&mut self, message: &Message) {
        self.file_type = enumeration_of(message, mesgdef::FileId::TYPE).map(File);
        self.device = text_of(message, mesgdef::FileId::PRODUCT_NAME).or_else(|| {
            let maker = Manufacturer(small(raw_of(message, mesgdef::FileId::MANUFACTURER)?));
            let product = raw_of(message, mesgdef::FileId::PRODUCT).map(small);
            Some(match product {
                Some(product) if maker == Manufacturer::GARMIN => format!("garmin {}", GarminProduct(product)),
                _ => maker.to_string(),
            })
        });
    }
}

/// A number that was an unsigned 16-bit one in the file.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast from float to integer saturates")]
fn small(value: f64) -> u16 {
    value as u16
}

fn sport(message: &Message, sport: u8, sub_sport: u8) -> Sport {
    let number = enumeration_of(message, sport).map_or(FitSport::GENERIC, FitSport);
    sport_of(number, enumeration_of(message, sub_sport).map_or(SubSport::GENERIC, SubSport))
}

fn record_values(message: &Message) -> Values {
    let mut values = Values::default();
    let (mut coarse_altitude, mut coarse_speed, mut cadence_fraction) = (None, None, 0.0);
    for field in &message.fields {
        let Some(raw) = raw(field) else { continue };
        let (column, value) = match field.num {
            mesgdef::Record::POSITION_LAT => (Field::LatitudeDeg, raw * DEGREES_PER_SEMICIRCLE),
            mesgdef::Record::POSITION_LONG => (Field::LongitudeDeg, raw * DEGREES_PER_SEMICIRCLE),
            mesgdef::Record::ENHANCED_ALTITUDE => (Field::AltitudeM, raw / 5.0 - 500.0),
            mesgdef::Record::DISTANCE => (Field::DistanceM, raw / 100.0),
            mesgdef::Record::HEART_RATE => (Field::HeartRateBpm, raw),
            mesgdef::Record::POWER => (Field::PowerW, raw),
            mesgdef::Record::CADENCE => (Field::CadenceRpm, raw),
            mesgdef::Record::ENHANCED_SPEED => (Field::SpeedMps, raw / 1_000.0),
            mesgdef::Record::TEMPERATURE => (Field::TemperatureC, raw),
            mesgdef::Record::ALTITUDE => {
                coarse_altitude = Some(raw / 5.0 - 500.0);
                continue;
            }
            mesgdef::Record::SPEED => {
                coarse_speed = Some(raw / 1_000.0);
                continue;
            }
            mesgdef::Record::FRACTIONAL_CADENCE => {
                cadence_fraction = raw / 128.0;
                continue;
            }
            _ => continue,
        };
        values[column] = Some(value);
    }
    values[Field::AltitudeM] = values[Field::AltitudeM].or(coarse_altitude);
    values[Field::SpeedMps] = values[Field::SpeedMps].or(coarse_speed);
    values[Field::CadenceRpm] = values[Field::CadenceRpm].map(|whole| whole + cadence_fraction);
    values
}

fn session(message: &Message) -> Session {
    use mesgdef::Session as S;
    let number = |field: u8, scale: f64| raw_of(message, field).map(|raw| raw / scale);
    let duration_s = number(S::TOTAL_ELAPSED_TIME, 1_000.0);
    let ended_at_ms = instant_ms_of(message, S::TIMESTAMP);
    let draft = Draft {
        started_at_ms: instant_ms_of(message, S::START_TIME).or_else(|| Some(before(ended_at_ms?, duration_s?))),
        duration_s: duration_s.or_else(|| number(S::TOTAL_TIMER_TIME, 1_000.0)),
        moving_s: number(S::TOTAL_TIMER_TIME, 1_000.0),
        distance_m: number(S::TOTAL_DISTANCE, 100.0),
        elevation_gain_m: number(S::TOTAL_ASCENT, 1.0),
        energy_kcal: number(S::TOTAL_CALORIES, 1.0),
        average_heart_rate_bpm: number(S::AVG_HEART_RATE, 1.0),
        max_heart_rate_bpm: number(S::MAX_HEART_RATE, 1.0),
        average_power_w: number(S::AVG_POWER, 1.0),
        max_power_w: number(S::MAX_POWER, 1.0),
        ..Draft::new(sport(message, S::SPORT, S::SUB_SPORT))
    };
    let is_transition = enumeration_of(message, S::SPORT) == Some(FitSport::TRANSITION.0);
    Session { is_transition, draft }
}

fn lap(message: &Message) -> DraftLap {
    use mesgdef::Lap as L;
    let number = |field: u8, scale: f64| raw_of(message, field).map(|raw| raw / scale);
    let elapsed_s = number(L::TOTAL_ELAPSED_TIME, 1_000.0);
    let lap = Lap {
        started_elapsed_s: 0.0,
        duration_s: number(L::TOTAL_TIMER_TIME, 1_000.0).or(elapsed_s).unwrap_or_default(),
        distance_m: number(L::TOTAL_DISTANCE, 100.0),
        average_heart_rate_bpm: number(L::AVG_HEART_RATE, 1.0),
        max_heart_rate_bpm: number(L::MAX_HEART_RATE, 1.0),
        average_power_w: number(L::AVG_POWER, 1.0),
        max_power_w: number(L::MAX_POWER, 1.0),
        energy_kcal: number(L::TOTAL_CALORIES, 1.0),
    };
    let ended_at_ms = instant_ms_of(message, L::TIMESTAMP);
    let started_at_ms = instant_ms_of(message, L::START_TIME).or_else(|| Some(before(ended_at_ms?, elapsed_s?)));
    DraftLap { started_at_ms, lap }
}

/// The instant so many seconds before another.
#[expect(clippy::cast_possible_truncation, reason = "a 32-bit number of milliseconds fits")]
fn before(at_ms: i64, seconds: f64) -> i64 {
    at_ms - (seconds * 1e3) as i64
}
