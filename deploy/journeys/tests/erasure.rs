//! An athlete leaves an installation that goes on: nothing of them is found afterwards in any database, answer, log or metric, every
//! read model can still be built anew, and others notice nothing. What is searched for is planted first, and found while it is there.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helpers fail loudly as the test itself does"
)]

use std::path::Path;

use bytes::Bytes;
use fittrack_domain::recording::{Format, synthesize, write};
use fittrack_domain::sport::Sport;
use fittrack_journeys::patience::until;
use fittrack_journeys::{Api, Athlete, Call, TestStack, bodies};
use fittrack_local::services::Service;
use serde_json::{Value, json};
use sqlx::PgConnection;

/// In what the athlete says in free text, in every field that takes it.
const MARKER: &str = "zanzibarplum";
/// Every process that answers metrics.
const PROCESSES: [&str; 3] = ["command-api", "projectors", "query-api"];

/// Leaves the marker wherever an athlete can leave something: who, their workouts, and the token to see them by.
async fn a_life(api: &Api) -> (Athlete, Vec<String>, String) {
    let athlete = api.register(&format!("Ida {MARKER}")).await.unwrap();
    athlete.update_profile(&json!({"bio": MARKER, "birth_year": 1987, "default_visibility": "public"})).await.unwrap();
    let named = json!({"title": format!("To the {MARKER}"), "notes": MARKER, "visibility": "public"});
    let logged = athlete.log(&bodies::with(bodies::run("2026-03-02T06:00:00Z"), named)).await.unwrap();
    let begins = "2026-03-03T06:00:00Z".parse().unwrap();
    let file = String::from_utf8(write(&synthesize(5, Sport::Ride, begins, 900.0), Format::Gpx).unwrap()).unwrap();
    let file = file.replace("</gpx>", &format!("<!-- {MARKER} --></gpx>"));
    let imported = athlete.import(Format::Gpx.content_type(), Bytes::from(file), "public").await.unwrap();
    let measured = json!({"kind": "mass_kg", "value": 63.5, "measured_on": "2026-03-03"});
    athlete.send(&Call::post("/v1/me/measurements").json(&measured)).await.unwrap().expecting(202).unwrap();
    let zone = json!({"name": MARKER, "latitude_deg": 52.1, "longitude_deg": 6.6, "radius_m": 500});
    let zones = Call::new(reqwest::Method::PUT, "/v1/me/privacy-zones").json(&json!({"zones": [zone]}));
    athlete.send(&zones).await.unwrap().expecting(202).unwrap();
    let key = json!({"name": MARKER, "scopes": ["read"]});
    athlete.send(&Call::post("/v1/account/api-keys").json(&key)).await.unwrap().expecting(201).unwrap();
    let imported_id = imported.json()["workouts"][0]["id"].as_str().unwrap().to_owned();
    let workouts = vec![logged.id().unwrap().to_string(), imported_id];
    let token = imported.header("consistency-token").unwrap().to_owned();
    (athlete, workouts, token)
}

/// Where in a database a text is: tables, with how many rows.
async fn tables_with(connection: &mut PgConnection, text: &str) -> Vec<(String, i64)> {
    const TABLES: &str = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
                          WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
    let tables: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(&mut *connection).await.unwrap();
    let mut found = vec![];
    for table in tables {
        // Bytes show in hexadecimal.
        let sql = format!(
            "SELECT count(*) FROM {table} t WHERE position($1 IN t::text) > 0
                OR position(encode(convert_to($1, 'UTF8'), 'hex') IN t::text) > 0"
        );
        let rows: i64 = sqlx::query_scalar(&sql).bind(text).fetch_one(&mut *connection).await.unwrap();
        if rows > 0 {
            found.push((table, rows));
        }
    }
    found
}

async fn everywhere(stack: &TestStack, text: &str) -> Vec<(String, i64)> {
    let mut found = vec![];
    for mut database in [
        stack.event_store().await.unwrap(),
        stack.identity().await.unwrap(),
        stack.recordings().await.unwrap(),
        stack.read_models().await.unwrap(),
    ] {
        found.extend(tables_with(&mut database, text).await);
    }
    found
}

/// The text in any log or metric of any process.
async fn told(stack: &TestStack, text: &str) -> Vec<String> {
    let mut found = vec![];
    for entry in std::fs::read_dir(stack.logs()).unwrap() {
        let path = entry.unwrap().path();
        if String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(text) {
            found.push(path.file_name().map(Path::new).unwrap().display().to_string());
        }
    }
    for process in PROCESSES {
        let url = format!("{}/metrics", stack.private_url(process).unwrap());
        let metrics = reqwest::get(url).await.unwrap().text().await.unwrap();
        assert!(metrics.contains("fittrack_"), "{process} has metrics");
        if metrics.contains(text) {
            found.push(format!("metrics of {process}"));
        }
    }
    found
}

async fn receipt(api: &Api, location: &str) -> Value {
    until("the receipt says that nothing is left", async || {
        let answer = api.send(&Call::get(location)).await.map_err(|error| error.to_string())?;
        if answer.json()["state"] == "succeeded" { Ok(answer.json()) } else { Err(answer.to_string()) }
    })
    .await
    .unwrap()
}

/// Runs an operator's command that must succeed.
async fn succeeds(stack: &TestStack, service: Service, arguments: &[&str]) -> String {
    let output = stack.operator(service, arguments).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_who_left_is_found_anywhere_and_the_rest_goes_on() {
    let stack = TestStack::shared().await.unwrap();
    let api = stack.api().unwrap();
    let stays = api.register("Stays").await.unwrap();
    let run = bodies::with(bodies::run("2026-03-02T07:00:00Z"), json!({"visibility": "public"}));
    let logged = stays.log(&run).await.unwrap();
    let (ida, workouts, token) = a_life(&api).await;
    let board = "/v1/leaderboards/distance_m?sport=ride&period=week&date=2026-03-03";
    let on_board = async || {
        let items = stays.get(board).await.unwrap().items();
        items.iter().any(|row| row["athlete_id"] == ida.id.to_string())
    };
    let mut shown = vec![format!("/v1/athletes/{}", ida.id)];
    for workout in &workouts {
        shown.push(format!("/v1/workouts/{workout}"));
    }
    shown.push(format!("/v1/workouts/{}/recording", workouts[1]));
    // Others see it all, and caches have it.
    for path in &shown {
        stays.get_seeing(path, &token).await.unwrap();
    }
    stays.get_seeing(board, &token).await.unwrap();
    assert!(on_board().await);
    let planted = everywhere(&stack, MARKER).await;
    let in_tables = |name: &str| planted.iter().any(|(table, _)| table.ends_with(name));
    for table in ["events", "blobs", "api_keys", "profiles", "workouts", "privacy_zones"] {
        assert!(in_tables(table), "the search finds what is planted in {table}: {planted:?}");
    }
    assert_eq!(everywhere(&stack, &ida.email).await.len(), 1, "an address is in one table");
    let export = ida.send(&Call::post("/v1/account/export")).await.unwrap().expecting(202).unwrap();
    ida.until_done(export.header("location").unwrap()).await.unwrap();

    let password = json!({"password": ida.password});
    let asked = ida.send(&Call::delete("/v1/account").json(&password)).await.unwrap().expecting(202).unwrap();
    let receipt = receipt(&api, asked.header("location").unwrap()).await;
    for place in ["event_store", "recordings", "identity", "read_models"] {
        let counted = receipt["removed"].as_array().unwrap().iter().any(|thing| thing["place"] == place);
        assert!(counted, "{place}: {receipt}");
    }
    let exports = receipt["removed"].as_array().unwrap().iter().find(|thing| thing["what"] == "exports").unwrap();
    assert_eq!(exports["count"], 1);
    for text in [MARKER, &ida.email, &ida.password] {
        assert_eq!(everywhere(&stack, text).await, [], "{text}");
        assert_eq!(told(&stack, text).await, [] as [String; 0], "{text}");
    }

    // No reader is answered with anything of theirs, and no cache either.
    until("no answer is from before", async || {
        for path in &shown {
            let answer = stays.send(&Call::get(path)).await.map_err(|error| error.to_string())?;
            if answer.status != 404 {
                return Err(answer.to_string());
            }
        }
        if on_board().await { Err("on the board".to_owned()) } else { Ok(()) }
    })
    .await
    .unwrap();
    let tokens = ida.access_tokens();
    // Every process hears of it within seconds.
    for token in tokens.iter().filter(|token| token.contains('.')) {
        for call in [Call::get("/v1/me"), Call::post("/v1/workouts").json(&run)] {
            until("the token is refused", async || {
                let answer = api.send_as(&call, Some(token)).await.map_err(|error| error.to_string())?;
                if answer.status == 401 { Ok(()) } else { Err(answer.to_string()) }
            })
            .await
            .unwrap();
        }
    }

    // The log is whole, what is published is what is stored, and every read model can be built from it.
    succeeds(&stack, Service::CommandApi, &["check"]).await;
    for read_model in ["workouts", "profiles", "totals", "leaderboards", "measurements", "privacy_zones"] {
        succeeds(&stack, Service::Projectors, &["rebuild", read_model, "--yes"]).await;
        let verified = succeeds(&stack, Service::Projectors, &["verify", read_model]).await;
        succeeds(&stack, Service::Projectors, &["promote", read_model]).await;
        assert!(!verified.is_empty());
    }
    assert_eq!(everywhere(&stack, MARKER).await, []);
    succeeds(&stack, Service::Projectors, &["check"]).await;
    let path = format!("/v1/workouts/{}", logged.id().unwrap());
    assert_eq!(stays.get_seeing(&path, &logged.token()).await.unwrap().json()["visibility"], "public");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_erases_an_account_and_sees_how_far_it_is() {
    let stack = TestStack::shared().await.unwrap();
    let api = stack.api().unwrap();
    let ben = api.register("Ben").await.unwrap();
    let unsaid = stack.operator(Service::CommandApi, &["erase", "request", "--email", &ben.email]).await.unwrap();
    assert_eq!(unsaid.status.code(), Some(1), "nobody at the terminal is a no");
    ben.get_seeing("/v1/me", &ben.registered).await.unwrap();
    let asked = ["erase", "request", "--email", &ben.email, "--yes", "--wait"];
    let said = succeeds(&stack, Service::CommandApi, &asked).await;
    assert!(said.contains("\"state\": \"succeeded\""), "{said}");
    let nobody = stack.operator(Service::CommandApi, &asked).await.unwrap();
    assert_eq!(nobody.status.code(), Some(1), "the address has no account any more");
    let list = stack.operator_json(Service::CommandApi, &["erase", "list", "--json"]).await.unwrap();
    let of_ben = |one: &&Value| one["athlete_id"] == ben.id.to_string();
    let listed = list.as_array().unwrap().iter().find(of_ben).unwrap().clone();
    assert_eq!((&listed["next_step"], &listed["requested_by"]), (&json!("done"), &json!("operator")));

    // After a backup was restored: asked for once more, by the id alone.
    let id = ben.id.to_string();
    let again = succeeds(&stack, Service::CommandApi, &["erase", "request", "--athlete", &id, "--yes", "--wait"]).await;
    assert!(again.contains("\"state\": \"succeeded\""), "{again}");
}
