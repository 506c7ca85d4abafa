//! Every limit of every field, from both of its sides (S-34): what is just within is taken, what is just outside is refused with the
//! place of that field and no other.
use chrono::{Datelike, Days, SecondsFormat, TimeDelta};
use fittrack_runtime::clock;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, Client, World, run};

/// Where a body goes: its route and what a good one is.
struct Form<'a> {
    client: &'a Client,
    method: &'static str,
    path: &'static str,
    media_type: &'static str,
    good: Value,
}

impl Form<'_> {
    async fn sends(&self, body: impl Into<String>) -> Answer {
        let sending = self.client.send(self.method, self.path).header("content-type", self.media_type);
        sending.body(body.into()).await
    }

    /// The good body with this value there.
    fn with(&self, pointer: &str, value: &Value) -> Value {
        let mut body = self.good.clone();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[field] = value.clone();
        body
    }

    async fn takes(&self, pointer: &str, value: Value) {
        let answer = self.sends(self.with(pointer, &value).to_string()).await;
        assert_eq!(answer.status, 202, "{} {pointer} {value}: {}", self.path, answer.body);
    }

    async fn refuses(&self, pointer: &str, value: Value) {
        let answer = self.sends(self.with(pointer, &value).to_string()).await;
        let shown = value.to_string().chars().take(60).collect::<String>();
        assert_eq!(answer.status, 422, "{} {pointer} {shown}: {}", self.path, answer.body);
        answer.assert_problem(422, "invalid-body");
        let errors = answer.body["errors"].as_array().unwrap();
        let pointers: Vec<&str> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!(pointers, [format!("#{pointer}")], "{} {shown}", self.path);
    }

    /// From its least to its greatest value and no further; a step is the smallest difference that is outside.
    async fn spans(&self, pointer: &str, (least, greatest): (f64, f64), step: f64) {
        for value in [least, greatest] {
            self.takes(pointer, json!(value)).await;
        }
        for value in [least - step, greatest + step] {
            self.refuses(pointer, json!(value)).await;
        }
    }

    /// So many characters, however many bytes they are, and none that control anything.
    async fn is_text(&self, pointer: &str, most: usize) {
        self.takes(pointer, json!("x")).await;
        self.takes(pointer, json!("ü".repeat(most))).await;
        for bad in ["ü".repeat(most + 1), String::new(), " \t".to_owned(), "a\u{0}b".to_owned(), "a\u{1b}b".to_owned()]
        {
            self.refuses(pointer, json!(bad)).await;
        }
    }
}

fn logging(client: &Client) -> Form<'_> {
    let (method, path, media_type) = ("POST", "/v1/workouts", "application/json");
    let mut good = run();
    good["sets"] = json!([{"exercise": "squat", "repetitions": 5}]);
    Form { client, method, path, media_type, good }
}

fn profile(client: &Client) -> Form<'_> {
    let (method, path, media_type) = ("PATCH", "/v1/me/profile", "application/merge-patch+json");
    Form { client, method, path, media_type, good: json!({}) }
}

fn measuring(client: &Client) -> Form<'_> {
    let (method, path, media_type) = ("POST", "/v1/me/measurements", "application/json");
    let good = json!({"kind": "mass_kg", "value": 71.5, "measured_on": "2026-10-31"});
    Form { client, method, path, media_type, good }
}

fn zones(client: &Client) -> Form<'_> {
    let (method, path, media_type) = ("PUT", "/v1/me/privacy-zones", "application/json");
    Form { client, method, path, media_type, good: json!({"zones": [zone(0)]}) }
}

/// One of several places, far from each other.
fn zone(number: u8) -> Value {
    json!({"name": "Home", "latitude_deg": number, "longitude_deg": 6.6417, "radius_m": 400})
}

#[tokio::test]
async fn every_field_of_a_workout_has_its_limits() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let form = logging(&ann);
    for (pointer, span, step) in [
        ("/duration_s", (0.001, 1_209_600.0), 0.001),
        ("/moving_s", (0.001, 1_800.0), 0.001),
        ("/distance_m", (0.0, 10_000_000.0), 0.001),
        ("/elevation_gain_m", (0.0, 100_000.0), 0.001),
        ("/energy_kcal", (0.0, 100_000.0), 1.0),
        ("/average_heart_rate_bpm", (20.0, 250.0), 1.0),
        ("/max_heart_rate_bpm", (20.0, 250.0), 1.0),
        ("/perceived_exertion", (0.0, 10.0), 1.0),
        ("/sets/0/repetitions", (1.0, 10_000.0), 1.0),
        ("/sets/0/mass_kg", (0.0, 2_000.0), 0.001),
        ("/sets/0/duration_s", (0.001, 1_209_600.0), 0.001),
        ("/sets/0/reps_in_reserve", (0.0, 20.0), 1.0),
    ] {
        form.spans(pointer, span, step).await;
    }
    form.refuses("/sets/0/repetitions", json!(1.5)).await;
    form.is_text("/title", 200).await;
    form.is_text("/notes", 4_000).await;
    form.is_text("/sets/0/exercise", 100).await;
    let sets = |count| json!(vec![json!({"exercise": "squat", "repetitions": 5}); count]);
    form.takes("/sets", sets(500)).await;
    form.refuses("/sets", sets(501)).await;
    for (pointer, good, bad) in [
        ("/sport", json!("ride"), json!("Ride")),
        ("/visibility", json!("followers"), json!("friends")),
        ("/sets/0/kind", json!("warm_up"), json!("warmup")),
        ("/gear_id", json!(Uuid::from_u128(7)), json!("shoes")),
        ("/id", json!(Uuid::now_v7()), json!(Uuid::from_u128(7))),
    ] {
        form.takes(pointer, good).await;
        form.refuses(pointer, bad).await;
    }
    let both = Form { good: form.with("/max_heart_rate_bpm", &json!(150)), ..logging(&ann) };
    both.takes("/average_heart_rate_bpm", json!(150)).await;
    both.refuses("/average_heart_rate_bpm", json!(151)).await;
}

#[tokio::test]
async fn a_workout_begins_between_1970_and_five_minutes_from_now() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let form = logging(&ann);
    form.takes("/started_at", json!("1970-01-01T00:00:00Z")).await;
    form.takes("/started_at", json!("1970-01-01T01:00:00+01:00")).await;
    for bad in ["1969-12-31T23:59:59.999Z", "1970-01-01T00:59:59+01:00", "2026-10-01", "2026-13-01T00:00:00Z", "now"] {
        form.refuses("/started_at", json!(bad)).await;
    }
    let ahead =
        |seconds| json!((clock::now() + TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Millis, true));
    form.takes("/started_at", ahead(4 * 60 + 50)).await;
    form.refuses("/started_at", ahead(5 * 60 + 30)).await;
    form.refuses("/started_at", json!("9999-12-31T23:59:59Z")).await;
}

#[tokio::test]
async fn every_field_of_a_profile_has_its_limits() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let form = profile(&ann);
    form.is_text("/display_name", 80).await;
    form.is_text("/bio", 4_000).await;
    form.spans("/birth_year", (1900.0, f64::from(clock::now().year())), 1.0).await;
    form.spans("/height_cm", (50.0, 280.0), 1.0).await;
    for (pointer, good, bad) in [
        ("/sex", json!("female"), json!("f")),
        ("/time_zone", json!("Europe/Berlin"), json!("Mars/Olympus")),
        ("/units", json!("imperial"), json!("nautical")),
        ("/default_visibility", json!("public"), json!("all")),
        ("/bio", Value::Null, json!("\u{7}")),
        ("/height_cm", Value::Null, json!(170.5)),
    ] {
        form.takes(pointer, good).await;
        form.refuses(pointer, bad).await;
    }
    for never_empty in ["/display_name", "/time_zone", "/units", "/default_visibility"] {
        form.refuses(never_empty, Value::Null).await;
    }
}

#[tokio::test]
async fn every_kind_of_measurement_has_its_limits() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    for (kind, span) in [
        ("mass_kg", (20.0, 500.0)),
        ("resting_heart_rate_bpm", (20.0, 150.0)),
        ("max_heart_rate_bpm", (60.0, 250.0)),
        ("threshold_heart_rate_bpm", (60.0, 250.0)),
        ("threshold_power_w", (20.0, 1_000.0)),
        ("threshold_pace_s_per_km", (120.0, 1_200.0)),
    ] {
        let good = json!({"kind": kind, "value": span.0, "measured_on": "2026-10-31"});
        Form { good, ..measuring(&ann) }.spans("/value", span, 0.001).await;
    }
    let form = measuring(&ann);
    form.refuses("/kind", json!("shoe_size")).await;
    let today = clock::now().date_naive();
    for good in ["1900-01-01".to_owned(), "2024-02-29".to_owned(), today.to_string()] {
        form.takes("/measured_on", json!(good)).await;
    }
    // Two days: it may be midnight between this line and the next.
    let later = (today + Days::new(2)).to_string();
    for bad in ["1899-12-31", "2023-02-29", "2026-1-1", "+2026-01-01", &later] {
        form.refuses("/measured_on", json!(bad)).await;
    }
}

#[tokio::test]
async fn every_field_of_a_privacy_zone_has_its_limits() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let form = zones(&ann);
    form.spans("/zones/0/latitude_deg", (-90.0, 90.0), 0.000_000_1).await;
    form.spans("/zones/0/longitude_deg", (-180.0, 180.0), 0.000_000_1).await;
    form.spans("/zones/0/radius_m", (200.0, 2_000.0), 1.0).await;
    form.refuses("/zones/0/radius_m", json!(400.5)).await;
    form.is_text("/zones/0/name", 80).await;
    let many = |count: u8| json!((0..count).map(zone).collect::<Vec<_>>());
    for count in [0, 5] {
        form.takes("/zones", many(count)).await;
    }
    form.refuses("/zones", many(6)).await;
}

#[tokio::test]
async fn what_is_no_number_no_object_or_said_twice_is_refused_everywhere() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let before = (world.workouts().await, world.events_of(ann.athlete_id).await.len());
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    for (form, number) in [
        (logging(&ann), "/distance_m"),
        (logging(&ann), "/sets/0/mass_kg"),
        (profile(&ann), "/height_cm"),
        (measuring(&ann), "/value"),
        (zones(&ann), "/zones/0/latitude_deg"),
    ] {
        let with = |text: &str| form.with(number, &json!("HERE")).to_string().replace("\"HERE\"", text);
        for no_number in ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "0x10", "01", "1.", ".5", "+1", "--1"] {
            let answer = form.sends(with(no_number)).await;
            assert_eq!(answer.status, 400, "{} {number} {no_number}: {}", form.path, answer.body);
            answer.assert_problem(400, "bad-request");
        }
        // What is below every least number and what is above every greatest, and what reads as a number and is none.
        for refused in ["1e308", "-1e308", "\"1\"", "true", "{}", "[1]", &deep] {
            form.sends(with(refused)).await.assert_problem(422, "invalid-body");
        }
        let field = number.rsplit('/').next().unwrap();
        let twice = form.sends(with(&format!("1, \"{field}\": 2"))).await;
        twice.assert_problem(422, "invalid-body");
        for no_object in [&deep, "[]", "null", "1", "\"text\""] {
            let answer = form.sends(no_object).await;
            assert!(matches!(answer.status.as_u16(), 400 | 422), "{} {no_object}: {}", form.path, answer.body);
        }
        let unknown = form.sends(form.with("/colour", &json!("red")).to_string()).await;
        unknown.assert_problem(422, "invalid-body");
    }
    assert_eq!((world.workouts().await, world.events_of(ann.athlete_id).await.len()), before);
}

#[tokio::test]
async fn minus_zero_is_zero() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let form = logging(&ann);
    form.refuses("/duration_s", json!(-0.0)).await;
    let mut body = form.with("/sets/0/mass_kg", &json!(-0.0));
    for field in ["distance_m", "elevation_gain_m", "energy_kcal", "perceived_exertion"] {
        body[field] = json!(-0.0);
    }
    body["sets"][0]["reps_in_reserve"] = json!(-0.0);
    let logged = form.sends(body.to_string()).await;
    assert_eq!(logged.status, 202, "{}", logged.body);
    let mut zero = zone(0);
    (zero["latitude_deg"], zero["longitude_deg"]) = (json!(-0.0), json!(-0.0));
    let set = zones(&ann).sends(json!({"zones": [zero]}).to_string()).await;
    assert_eq!(set.status, 202, "{}", set.body);
    for id in [logged.id(), set.id()] {
        let payload = world.last_payload(id).await;
        assert!(!has_minus_zero(&payload), "{payload}");
    }
}

fn has_minus_zero(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_f64().is_some_and(|number| number == 0.0 && number.is_sign_negative()),
        Value::Array(values) => values.iter().any(has_minus_zero),
        Value::Object(fields) => fields.values().any(has_minus_zero),
        _ => false,
    }
}
