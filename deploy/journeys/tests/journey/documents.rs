//! The whole road through the client that the build writes from the `OpenAPI` documents: every operation is used once, with
//! typed bodies, and every answer is read as its document says, so that a document that is wrong fails here.
#![expect(clippy::default_trait_access, reason = "the operation's name says whose options are meant")]

use std::collections::BTreeSet;
use std::fmt::Debug;

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};
use fittrack_client::{Answer, Failure, command_api, query_api};
use fittrack_domain::recording::{Format, synthesize, write};
use fittrack_domain::sport::Sport;
use fittrack_journeys::TestStack;
use fittrack_journeys::client::credentials;
use fittrack_journeys::patience::until;
use uuid::Uuid;

use command_api::types as sent;
use query_api::types as seen;

/// Needs a secret that only an operator's command prints; `deploy/journeys/tests/operators.rs` uses it.
const NOT_WALKED: [&str; 1] = ["set_first_password"];

type Answered<T, P> = Result<Answer<T>, Failure<P>>;

/// Makes a call that hashes a password, again while there are too many of those.
async fn when_not_busy<T, P: Debug>(mut call: impl AsyncFnMut() -> Answered<T, P>) -> Answer<T> {
    let mut look = async || match call().await {
        Err(failure) if failure.status() == Some(503) => Err(failure.to_string()),
        outcome => Ok(outcome),
    };
    until("a password is hashed", async || look().await).await.unwrap().unwrap()
}

/// An athlete who is signed in, and what they use.
struct Signed {
    commands: command_api::Client,
    queries: query_api::Client,
    id: Uuid,
    credentials: sent::Credentials,
    tokens: sent::SessionTokens,
}

async fn sign_up(stack: &TestStack, name: &str) -> Signed {
    let commands = command_api::Client::new(&stack.url("command-api").unwrap()).unwrap();
    let queries = query_api::Client::new(&stack.url("query-api").unwrap()).unwrap();
    let (email, password) = credentials();
    let body = sent::RegisterBody::builder().email(email.as_str()).password(password.as_str()).display_name(name);
    let body: sent::RegisterBody = body.time_zone(Some("Europe/Berlin".to_owned())).try_into().unwrap();
    let options = command_api::RegisterAthleteOptions { idempotency_key: Some(email.clone()) };
    let registered = when_not_busy(async || commands.register_athlete(&body, &options).await).await;
    let credentials = sent::Credentials { email, password };
    let tokens = when_not_busy(async || commands.log_in(&credentials).await).await.value;
    let (commands, queries) = (commands.with_token(&tokens.access_token), queries.with_token(&tokens.access_token));
    let queries = queries.seeing(&registered.value.consistency_token);
    Signed { commands, queries, id: registered.value.id, credentials, tokens }
}

fn run(started_at: &str) -> sent::LogWorkoutBody {
    let body = sent::LogWorkoutBody::builder()
        .sport(sent::LogWorkoutBodySport::Run)
        .started_at(started_at.parse::<DateTime<Utc>>().unwrap())
        .duration_s(1800.0)
        .distance_m(Some(8000.0))
        .title(Some("Along the canal".parse().unwrap()))
        .notes(Some("windy".parse().unwrap()))
        .visibility(Some(sent::LogWorkoutBodyVisibility::Public));
    body.try_into().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// A refusal, by its status and the last part of its type.
#[track_caller]
fn assert_refused<T: Debug>(answer: Answered<T, sent::ProblemDocument>, status: u16, slug: &str) {
    let failure = answer.unwrap_err();
    let problem = if let Failure::Refused { problem, .. } = &failure { Some(problem) } else { None };
    let refused = problem.and_then(|problem| problem.type_.rsplit('/').next());
    assert_eq!((failure.status(), refused), (Some(status), Some(slug)), "{failure}");
}

async fn a_workout(ann: &Signed) {
    let (commands, queries) = (&ann.commands, &ann.queries);
    let logged = commands.log_workout(&run("2025-03-30T22:30:00Z"), &Default::default()).await.unwrap();
    let id = logged.value.id;
    assert_eq!((logged.value.version, logged.header("etag")), (1, Some("\"v1\"")));
    assert_eq!(logged.header("location"), Some(format!("/v1/workouts/{id}").as_str()));
    assert_eq!(logged.header("consistency-token"), Some(logged.value.consistency_token.as_str()));
    let workout = queries.seeing(&logged.value.consistency_token).get_workout(id, &Default::default()).await.unwrap();
    assert_eq!((workout.value.id, workout.value.sport), (id, seen::WorkoutSport::Run));
    assert_eq!((workout.value.local_date, workout.value.notes.as_deref()), (day("2025-03-31"), Some("windy")));
    assert_eq!((workout.value.duration_s, workout.value.title.as_deref()), (1800.0, Some("Along the canal")));
    assert_eq!((workout.value.time_zone.as_str(), workout.header("etag")), ("Europe/Berlin", Some("\"v1\"")));
    assert!(workout.header("freshness").unwrap().parse::<u64>().is_ok());
    let known = query_api::GetWorkoutOptions { if_none_match: workout.header("etag").map(str::to_owned) };
    let again = queries.get_workout(id, &known).await.unwrap_err();
    assert!(matches!(again, Failure::Unchanged(_)), "{again}");

    let title: sent::EditWorkoutBody = sent::EditWorkoutBody::builder().distance_m(Some(8040.5)).try_into().unwrap();
    let cleared = [sent::EditWorkoutBodyField::Notes];
    let edited = commands.edit_workout(id, "\"v1\"", &title, &cleared, &Default::default()).await.unwrap();
    let queries = queries.seeing(&edited.value.consistency_token);
    let workout = queries.get_workout(id, &Default::default()).await.unwrap().value;
    assert_eq!((workout.version, workout.distance_m, workout.notes), (2, Some(8040.5), None));
    let late = commands.edit_workout(id, "\"v1\"", &title, &[], &Default::default()).await;
    assert_refused(late, 412, "precondition-failed");

    let page = queries.list_workouts(&query_api::ListWorkoutsOptions { limit: Some(1), ..Default::default() }).await;
    assert_eq!(page.unwrap().value.items[0].id, id);
    let by_week = queries.get_totals(seen::GetTotalsBy::Week, &Default::default()).await.unwrap().value;
    assert_eq!((by_week.items.len(), by_week.items[0].distance_m), (1, 8040.5));
    let options =
        query_api::GetLeaderboardOptions { period: Some(seen::GetLeaderboardPeriod::All), ..Default::default() };
    let board = queries.get_leaderboard(seen::GetLeaderboardMetric::DistanceM, &options).await.unwrap().value;
    assert!(!board.items.is_empty() && board.metric == seen::BoardPageMetric::DistanceM);
    let options = query_api::GetLeaderboardPlaceOptions {
        period: Some(seen::GetLeaderboardPlacePeriod::All),
        ..Default::default()
    };
    let place = queries.get_leaderboard_place(seen::GetLeaderboardPlaceMetric::Workouts, &options).await.unwrap().value;
    assert!(place.neighbours.iter().any(|row| row.athlete_id == ann.id), "{place:?}");

    let deleted = commands.delete_workout(id, &Default::default()).await.unwrap().value;
    let queries = queries.seeing(&deleted.consistency_token);
    let gone = queries.get_workout(id, &Default::default()).await.unwrap_err();
    assert_eq!((deleted.version, gone.status()), (3, Some(404)));
    assert_eq!(queries.list_workouts(&Default::default()).await.unwrap().value.items, []);
    assert_refused(commands.delete_workout(id, &Default::default()).await, 404, "not-found");
}

async fn a_recording(ann: &Signed) {
    let begins = "2025-04-03T06:00:00Z".parse().unwrap();
    let file = Bytes::from(write(&synthesize(4, Sport::Run, begins, 120.0), Format::Gpx).unwrap());
    let options = command_api::ImportRecordingOptions {
        visibility: Some(sent::ImportRecordingVisibility::Private),
        ..Default::default()
    };
    let form = Format::Gpx.content_type().parse().unwrap();
    let imported = ann.commands.import_recording(form, file.clone(), &options).await.unwrap().value;
    let imported = if let sent::ImportAnswer::ImportedFile(file) = imported { Some(file) } else { None };
    let imported = imported.expect("a file is no zip");
    assert_eq!(imported.workouts[0].status, sent::Status::Stored);
    let (id, queries) = (imported.workouts[0].id, ann.queries.seeing(&imported.consistency_token));
    let workout = queries.get_workout(id, &Default::default()).await.unwrap().value;
    assert_eq!(workout.recording.unwrap().format, seen::RecordingFormat::Gpx);
    let options = query_api::GetRecordingOptions { resolution: Some("low".to_owned()), ..Default::default() };
    let samples = queries.get_recording(id, &options).await.unwrap().value;
    assert_eq!(samples.samples.elapsed_s.len() as u64, samples.sample_count);
    assert_eq!(queries.get_original(id, &Default::default()).await.unwrap().value, file);
}

async fn oneself(ann: &Signed, bob: &Signed) {
    let (commands, queries) = (&ann.commands, &ann.queries);
    let change: sent::ProfileBody =
        sent::ProfileBody::builder().bio(Some("Runs early.".parse().unwrap())).try_into().unwrap();
    let cleared = [sent::ProfileBodyField::HeightCm];
    let updated = commands.update_profile(&change, &cleared, &Default::default()).await.unwrap().value;
    let me = queries.seeing(&updated.consistency_token).get_me(&Default::default()).await.unwrap().value;
    assert_eq!((me.id, me.version, me.bio.as_deref()), (ann.id, updated.version, Some("Runs early.")));
    let queries_of_bob = bob.queries.seeing(&updated.consistency_token);
    let other = queries_of_bob.get_athlete(ann.id, &Default::default()).await.unwrap().value;
    assert_eq!((other.id, other.bio), (ann.id, me.bio));

    let mass =
        sent::MeasurementBody { kind: sent::MeasurementBodyKind::MassKg, measured_on: day("2025-04-01"), value: 71.5 };
    let recorded = commands.record_measurement(&mass, &Default::default()).await.unwrap().value;
    let options =
        query_api::ListMeasurementsOptions { kind: Some(seen::ListMeasurementsKind::MassKg), ..Default::default() };
    let list = queries.seeing(&recorded.consistency_token).list_measurements(&options).await.unwrap().value;
    assert_eq!((list.items.len(), list.items[0].value), (1, 71.5));
}

async fn privacy_zones(ann: &Signed) {
    let zone = sent::ZoneBody { name: None, latitude_deg: 52.0973, longitude_deg: 6.6417, radius_m: 400 };
    let body = sent::PrivacyZonesBody { zones: vec![zone] };
    let set = ann.commands.set_privacy_zones(&body, &Default::default()).await.unwrap().value;
    let queries = ann.queries.seeing(&set.consistency_token);
    let zones = queries.get_privacy_zones(&Default::default()).await.unwrap().value;
    assert_eq!((zones.version, zones.zones.len(), zones.zones[0].radius_m), (1, 1, 400));
}

/// Everything is taken away, and brought to somebody else.
async fn a_takeout(ann: &Signed, bob: &Signed) {
    let asked = ann.commands.request_export().await.unwrap().value;
    until("the export is there", async || {
        let job = ann.commands.show_export(asked.id).await.map_err(|failure| failure.to_string())?.value;
        if job.state == sent::ExportJobState::Succeeded { Ok(()) } else { Err(format!("{job:?}")) }
    })
    .await
    .unwrap();
    let zip = ann.commands.download_export(asked.id).await.unwrap().value;
    let form = "application/zip".parse().unwrap();
    let answer = bob.commands.import_recording(form, zip, &Default::default()).await.unwrap().value;
    let import = if let sent::ImportAnswer::ZipImport(import) = answer { Some(import) } else { None };
    let import = import.expect("a zip is no file");
    until("the zip is worked through", async || {
        let seen =
            bob.queries.get_import(import.id, &Default::default()).await.map_err(|failure| failure.to_string())?;
        if seen.value.state == seen::ImportState::Succeeded { Ok(()) } else { Err(format!("{:?}", seen.value)) }
    })
    .await
    .unwrap();
}

async fn an_erasure(bob: &Signed) {
    let body = sent::EraseBody { password: bob.credentials.password.clone() };
    let asked = when_not_busy(async || bob.commands.erase_account(&body).await).await.value;
    until("nothing is left", async || {
        let receipt = bob.commands.show_erasure(asked.id).await.map_err(|failure| failure.to_string())?.value;
        if receipt.state == sent::ErasureState::Succeeded { Ok(()) } else { Err(format!("{receipt:?}")) }
    })
    .await
    .unwrap();
}

async fn an_account(stack: &TestStack, ann: &Signed) {
    let commands = &ann.commands;
    let key =
        sent::ApiKeyBody { name: "export".parse().unwrap(), scopes: vec!["read".parse().unwrap()], expires_at: None };
    let made = commands.create_api_key(&key).await.unwrap().value;
    let token = commands.exchange_api_key(&sent::ExchangeBody { api_key: made.key }).await.unwrap().value;
    let program = command_api::Client::new(&stack.url("command-api").unwrap()).unwrap().with_token(&token.access_token);
    let refused = program.log_workout(&run("2025-05-01T06:00:00Z"), &Default::default()).await;
    assert_refused(refused, 403, "forbidden");
    assert_eq!(commands.list_api_keys().await.unwrap().value.items[0].id, made.id);
    commands.end_api_key(made.id).await.unwrap();

    let other = when_not_busy(async || commands.log_in(&ann.credentials).await).await.value;
    let refresh = sent::RefreshBody { refresh_token: other.refresh_token };
    commands.refresh_session(&refresh).await.unwrap();
    let sessions = commands.list_sessions().await.unwrap().value.items;
    let other = sessions.iter().find(|session| !session.current).unwrap();
    commands.end_session(other.id).await.unwrap();
    until("an ended session is announced", async || {
        let listed = commands.list_revoked_sessions(&Default::default()).await.unwrap().value;
        if listed.sessions.contains(&other.id) { Ok(()) } else { Err(format!("{listed:?}")) }
    })
    .await
    .unwrap();

    let change = sent::PasswordBody {
        current_password: ann.credentials.password.clone(),
        new_password: credentials().1.parse().unwrap(),
    };
    when_not_busy(async || commands.change_password(&change).await).await;
    commands.sign_out().await.unwrap();
    until("an ended session is refused", async || match commands.list_sessions().await {
        Err(failure) if failure.status() == Some(401) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await
    .unwrap();
}

async fn what_services_say_of_themselves(ann: &Signed) {
    let (commands, queries) = (&ann.commands, &ann.queries);
    assert!(!commands.list_keys().await.unwrap().value.keys.is_empty());
    for openapi in [commands.show_openapi().await.unwrap().value, queries.show_openapi().await.unwrap().value] {
        assert_eq!(openapi["openapi"], "3.1.0");
    }
    assert_eq!(commands.show_problem("not-found").await.unwrap().value.status, 404);
    assert_eq!(queries.show_problem("not-found").await.unwrap().value.status, 404);
    commands.show_docs().await.unwrap();
    commands.show_docs_file(sent::ShowDocsFileFile::SwaggerUiCss).await.unwrap();
    queries.show_docs().await.unwrap();
    queries.show_docs_file(seen::ShowDocsFileFile::StartJs).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_what_a_client_made_of_its_document_reads() {
    let stack = TestStack::shared().await.unwrap();
    let (ann, bob) = (sign_up(&stack, "Ann").await, sign_up(&stack, "Bob").await);
    assert_eq!(ann.tokens.token_type, "Bearer");
    what_services_say_of_themselves(&ann).await;
    a_workout(&ann).await;
    a_recording(&ann).await;
    oneself(&ann, &bob).await;
    privacy_zones(&ann).await;
    a_takeout(&ann, &bob).await;
    an_erasure(&bob).await;
    an_account(&stack, &ann).await;

    let mut walked = ann.commands.succeeded();
    walked.extend(bob.commands.succeeded());
    walked.extend(ann.queries.succeeded());
    walked.extend(bob.queries.succeeded());
    walked.extend(NOT_WALKED);
    let all: BTreeSet<&str> = command_api::OPERATIONS.iter().chain(query_api::OPERATIONS).copied().collect();
    let missing: Vec<_> = all.difference(&walked).collect();
    assert!(missing.is_empty(), "add a call of {missing:?} to this journey: it proves their documents");
}
