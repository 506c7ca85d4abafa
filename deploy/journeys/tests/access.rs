//! Who may do what (S-30): every operation of both `OpenAPI` documents, asked by every kind of caller, against the committed list of
//! answers. An operation that is new has no line yet and fails here until somebody has said who may.
//!
//! What is asked about is the owner's, and private: a workout with a recording, a session, an API key, an export and its import.
//! Words of the owner's are planted in it: no refusal says any of them, whatever its status.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helpers fail loudly as the test itself does"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use fittrack_domain::recording::{Format, synthesize, write};
use fittrack_domain::sport::Sport;
use fittrack_journeys::patience::until;
use fittrack_journeys::{Answer, Api, Athlete, Call, TestStack, bodies, committed};
use reqwest::Method;
use serde_json::{Value, json};

/// In what the owner shows to everybody who is signed in: name and words about themself.
const SHOWN: &str = "Quokka-Shown";
/// In what is the owner's alone: title and notes of private workouts, names of zones and of programs.
const PRIVATE: &str = "Quokka-Private";

/// Who asks, in the order of the list's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Anonymous,
    /// Somebody else with an account.
    Stranger,
    /// Whose it is.
    Owner,
    /// A program with the owner's key to read.
    Reader,
    /// A program with the owner's key to write.
    Writer,
    /// The owner, with the token of a session that has ended.
    SignedOut,
    /// An administrator, who is no athlete: what operators may do they do at the command line, so here they may nothing special.
    Admin,
}

const CALLERS: [Caller; 7] = [
    Caller::Anonymous,
    Caller::Stranger,
    Caller::Owner,
    Caller::Reader,
    Caller::Writer,
    Caller::SignedOut,
    Caller::Admin,
];

impl Caller {
    /// Whether the owner's own things are shown to them.
    fn is_owners(self) -> bool {
        matches!(self, Self::Owner | Self::Reader | Self::Writer)
    }
}

struct Cast {
    command: Api,
    query: Api,
    owner: Athlete,
    stranger: Athlete,
    /// Address and password.
    admin: (String, String),
    reader: String,
    writer: String,
    signed_out: String,
    /// A private workout of the owner's, with a recording.
    workout: String,
    /// An import of the owner's.
    import: String,
}

impl Cast {
    async fn gather(stack: &TestStack) -> Self {
        let api = stack.api().unwrap();
        let at = |url: String| Api::new(vec![url.clone()], vec![url]).unwrap();
        let (command, query) = (at(stack.url("command-api").unwrap()), at(stack.url("query-api").unwrap()));
        let (owner, stranger) = (api.register("Owner").await.unwrap(), api.register("Stranger").await.unwrap());
        let begins = "2025-01-03T06:00:00Z".parse().unwrap();
        let file = write(&synthesize(1, Sport::Run, begins, 60.0), Format::Gpx).unwrap();
        let imported = owner.import(Format::Gpx.content_type(), Bytes::from(file), "private").await.unwrap();
        let workout = imported.json()["workouts"][0]["id"].as_str().unwrap().to_owned();
        let token = imported.header("consistency-token").unwrap().to_owned();
        owner.get_seeing(&format!("/v1/workouts/{workout}"), &token).await.unwrap();
        let reader = program(&owner, "read").await;
        let writer = program(&owner, "write").await;
        let signed_out = session(&command, &owner).await;
        let sign_out = Call::delete("/v1/account/sessions/current");
        command.send_as(&sign_out, Some(&signed_out)).await.unwrap().expecting(204).unwrap();
        for (api, mine) in [(&command, "/v1/account/sessions"), (&query, "/v1/me")] {
            until("an ended session is refused", async || {
                let answer =
                    api.send_as(&Call::get(mine), Some(&signed_out)).await.map_err(|error| error.to_string())?;
                if answer.status == 401 { Ok(()) } else { Err(answer.to_string()) }
            })
            .await
            .unwrap();
        }
        let file = owner.get(&format!("{}/file", export(&owner).await)).await.unwrap().body;
        let taken_in = Call::post("/v1/workouts/imports").file("application/zip", file);
        let import = owner.send(&taken_in).await.unwrap().expecting(202).unwrap().id().unwrap().to_string();
        let admin = administrator(stack, &command, &owner).await;
        Self { command, query, owner, stranger, admin, reader, writer, signed_out, workout, import }
    }

    /// Puts the owner's words where a refusal might say them, and waits until they can be read.
    async fn plant(&self) {
        let workout = format!("/v1/workouts/{}", self.workout);
        let title =
            Call::patch(&workout).header("if-match", "*").merge_patch(&json!({"title": PRIVATE, "notes": PRIVATE}));
        let profile = Call::patch("/v1/me/profile").merge_patch(&json!({"display_name": SHOWN, "bio": SHOWN}));
        let zone = json!({"name": PRIVATE, "latitude_deg": 1, "longitude_deg": 2, "radius_m": 400});
        let zones = Call::put("/v1/me/privacy-zones").json(&json!({"zones": [zone]}));
        for (call, shown_at, word) in
            [(title, &*workout, PRIVATE), (profile, "/v1/me", SHOWN), (zones, "/v1/me/privacy-zones", PRIVATE)]
        {
            let token = self.owner.send(&call).await.unwrap().expecting(202).unwrap().token();
            let shown = self.owner.get_seeing(shown_at, &token).await.unwrap();
            assert!(says(&shown, word), "{shown}");
        }
    }

    /// A token of the caller; people have a new session for each question, which may end it.
    async fn token(&self, caller: Caller) -> Option<String> {
        Some(match caller {
            Caller::Anonymous => return None,
            Caller::Stranger => session(&self.command, &self.stranger).await,
            Caller::Owner => session(&self.command, &self.owner).await,
            Caller::Admin => signed_in(&self.command, &self.admin.0, &self.admin.1).await,
            Caller::Reader => self.reader.clone(),
            Caller::Writer => self.writer.clone(),
            Caller::SignedOut => self.signed_out.clone(),
        })
    }

    /// The path with what is the owner's in its places; what a command may remove is made for this one question.
    async fn path(&self, template: &str, is_query: bool) -> String {
        let mut path =
            template.replace("{metric}", "distance_m").replace("{slug}", "not-found").replace("{file}", "start.js");
        path = path.replace("{erasure_id}", "00000000-0000-4000-8000-000000000000");
        if path.contains("/athletes/{id}") {
            path = path.replace("{id}", &self.owner.id.to_string());
        }
        if path.contains("/imports/{id}") {
            path = path.replace("{id}", &self.import);
        }
        if is_query {
            return path.replace("{id}", &self.workout);
        }
        if path.contains("{workout_id}") {
            let private = json!({"visibility": "private", "title": PRIVATE, "notes": PRIVATE});
            let run = bodies::with(bodies::run("2025-01-05T06:00:00Z"), private);
            let logged = self.owner.log(&run).await.unwrap();
            path = path.replace("{workout_id}", &logged.id().unwrap().to_string());
        }
        if path.contains("/exports/{export_id}") {
            path = path.replace("/v1/account/exports/{export_id}", &export(&self.owner).await);
        }
        if path.contains("{key_id}") {
            path = path.replace("{key_id}", key(&self.owner, "read").await["id"].as_str().unwrap());
        }
        if path.contains("{session_id}") {
            session(&self.command, &self.owner).await;
            let sessions = self.owner.send(&Call::get("/v1/account/sessions")).await.unwrap();
            let other = sessions.items().into_iter().find(|one| one["current"] == false).unwrap();
            path = path.replace("{session_id}", other["id"].as_str().unwrap());
        }
        path
    }
}

/// A new session's access token.
async fn session(command: &Api, athlete: &Athlete) -> String {
    signed_in(command, &athlete.email, &athlete.password).await
}

async fn signed_in(command: &Api, email: &str, password: &str) -> String {
    let body = json!({"email": email, "password": password});
    let call = Call::post("/v1/account/sessions").json(&body);
    let answer = command.send_when_not_busy(&call).await.unwrap().expecting(201).unwrap();
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

/// A new administrator's address and password.
async fn administrator(stack: &TestStack, command: &Api, owner: &Athlete) -> (String, String) {
    let (email, password) = (format!("ops-{}@example.org", owner.id), "a password nobody else has");
    let secret = stack.administrator(&email).await.unwrap();
    let body = json!({"email": email, "one_time_secret": secret, "new_password": password});
    let call = Call::post("/v1/account/password/first").json(&body);
    let set = command.send_when_not_busy(&call).await.unwrap();
    assert!((200..300).contains(&set.status), "{set}");
    (email, password.to_owned())
}

/// Whether a word is anywhere in an answer, headers included.
fn says(answer: &Answer, word: &str) -> bool {
    let holds = |bytes: &[u8]| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    holds(&answer.body) || answer.headers.values().any(|value| holds(value.as_bytes()))
}

/// Where a finished export of the owner's is.
async fn export(owner: &Athlete) -> String {
    let asked = owner.send(&Call::post("/v1/account/export")).await.unwrap().expecting(202).unwrap();
    let location = asked.header("location").unwrap().to_owned();
    owner.until_done(&location).await.unwrap();
    location
}

async fn key(owner: &Athlete, scope: &str) -> Value {
    let body = json!({"name": PRIVATE, "scopes": [scope]});
    let made = owner.send(&Call::post("/v1/account/api-keys").json(&body)).await.unwrap().expecting(201).unwrap();
    made.json()
}

/// The access token of a program of the owner's.
async fn program(owner: &Athlete, scope: &str) -> String {
    let body = json!({"api_key": key(owner, scope).await["key"]});
    let call = Call::post("/v1/account/api-keys/token").json(&body);
    let answer = owner.api().send_when_not_busy(&call).await.unwrap();
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

/// One operation of a document.
struct Operation {
    method: String,
    template: String,
    /// The media type and example of its body, where it has one.
    body: Option<(String, Value)>,
    changes_a_version: bool,
    /// What its query must have.
    query: String,
}

async fn operations(api: &Api) -> Vec<Operation> {
    let document = api.send(&Call::get("/openapi.json")).await.unwrap().json();
    let mut operations = Vec::new();
    for (template, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let body = operation["requestBody"]["content"].as_object().and_then(|forms| forms.iter().next());
            operations.push(Operation {
                method: method.to_uppercase(),
                template: template.clone(),
                body: body.map(|(media_type, form)| (media_type.clone(), example(&document, &form["schema"]))),
                changes_a_version: method != "post" && parameters.iter().any(|one| one["name"] == "If-Match"),
                query: query(&parameters),
            });
        }
    }
    operations
}

/// The required parameters of a query, each with the first word it may have.
fn query(parameters: &[Value]) -> String {
    let required = parameters.iter().filter(|one| one["in"] == "query" && one["required"] == true);
    let said = |one: &Value| Some(format!("{}={}", one["name"].as_str()?, one["schema"]["enum"][0].as_str()?));
    required.filter_map(said).collect::<Vec<_>>().join("&")
}

/// The example of a body's schema.
fn example(document: &Value, schema: &Value) -> Value {
    let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    document["components"]["schemas"][name]["example"].clone()
}

impl Operation {
    /// The request, with an e-mail address that is asked about by nobody else.
    fn call(&self, path: &str, question: usize) -> Call {
        let target = format!("{path}?{}", self.query);
        let mut call = Call::new(Method::from_bytes(self.method.as_bytes()).unwrap(), target.trim_end_matches('?'));
        if self.changes_a_version {
            call = call.header("if-match", "*");
        }
        let Some((media_type, example)) = &self.body else { return call };
        if !media_type.ends_with("json") {
            return call.text(media_type, "no such file");
        }
        let mut body = example.clone();
        if let Some(email) = body.get_mut("email") {
            *email = format!("nobody-{question}@example.org").into();
        }
        // The day of the example will have passed.
        body.as_object_mut().unwrap().remove("expires_at");
        call.text(media_type, &body.to_string())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_caller_may_do_what_the_committed_list_says_and_nothing_else() {
    let stack = TestStack::shared().await.unwrap();
    let cast = Cast::gather(&stack).await;
    let mut found = String::from(
        "# What each caller is answered, with the example of the document as the body and the owner's things in the path.\n\
         # Renewed with `FITTRACK_BLESS=1 cargo test -p fittrack-journeys --test access`; read what changed, then commit it.\n",
    );
    let (mut question, mut said_to_owner) = (0, BTreeSet::new());
    for (service, api, is_query) in [("command-api", &cast.command, false), ("query-api", &cast.query, true)] {
        cast.plant().await;
        for operation in operations(api).await {
            write!(found, "{service:<11} {:<6} {:<36}", operation.method, operation.template).unwrap();
            for caller in CALLERS {
                question += 1;
                let path = cast.path(&operation.template, is_query).await;
                let token = cast.token(caller).await;
                let answer = api.send_as(&operation.call(&path, question), token.as_deref()).await.unwrap();
                write!(found, " {}={}", format!("{caller:?}").to_lowercase(), answer.status).unwrap();
                let is_refused = matches!(answer.status, 401 | 403 | 404);
                let (shown, private) = (says(&answer, SHOWN), says(&answer, PRIVATE));
                assert!(!is_refused || !(shown || private), "{caller:?} is refused and hears of the owner: {answer}");
                assert!(caller.is_owners() || !private, "{caller:?} hears what is the owner's alone: {answer}");
                if caller == Caller::Owner && (shown || private) {
                    said_to_owner.insert(operation.template.clone());
                }
            }
            found.push('\n');
        }
    }
    // Or nothing was looked for.
    for template in ["/v1/account/api-keys", "/v1/athletes/{id}", "/v1/me", "/v1/me/privacy-zones", "/v1/workouts/{id}"]
    {
        assert!(said_to_owner.contains(template), "{template} is not among {said_to_owner:?}");
    }
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/access/answers.txt");
    committed::holds(&list, &found).unwrap();
}
