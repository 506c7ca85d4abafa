//! The `OpenAPI` document around the routes: title, security, the problems every command may answer, `GET /openapi.json`, and
//! `GET /problems/{slug}`, to which the `type` of a problem leads.
use std::{collections::BTreeMap, sync::LazyLock};

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use fittrack_runtime::{
    json::{Json, Path},
    problem::{PROBLEM_JSON, Problem, ProblemDocument, ProblemPage, page},
};
use utoipa::{
    IntoResponses, OpenApi, ToSchema,
    openapi::{
        ContentBuilder, Ref, RefOr, Response, ResponseBuilder,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

/// The document without its routes.
pub fn frame() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(
        info(
            title = "FitTrack command API",
            description = "Everything that changes something. A stored command answers 202 with the id of what was \
                changed, its version (also as `ETag`) and a consistency token; the query API serves it at `Location`. \
                Repeat a request with the same `Idempotency-Key` whenever its answer was lost: it is done once. \
                A key is known as long as what it stored, and for two days where it stored nothing. Requests are \
                counted by `x-rate-limit-class`; every answer says in `RateLimit` what is left, and one too many is 429.",
            license(name = "Apache-2.0", identifier = "Apache-2.0"),
        ),
        servers((url = "/", description = "This service")),
        components(schemas(ProblemDocument)),
        security(("bearer" = [])),
        tags(
            (name = "account", description = "Registering and signing in"),
            (name = "profile", description = "Who an athlete is to others"),
            (name = "workouts", description = "Logging, importing, editing and deleting workouts"),
            (name = "documentation", description = "This document, and what each type of problem means"),
        ),
    )]
    struct Frame;
    let mut frame = Frame::openapi();
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(
            "The access token from `POST /v1/account/sessions`, or from `POST /v1/account/api-keys/token`",
        ))
        .build();
    frame.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    frame
}

/// This document
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "show_openapi", tag = "documentation", security(()),
    responses((status = 200, description = "The OpenAPI document of this service", body = Object,
            example = json!({ "openapi": "3.1.0", "info": { "title": "FitTrack command API", "version": "0.1.0" },
                "paths": {} }))),
)]
pub async fn show_openapi() -> ([(HeaderName, &'static str); 2], &'static str) {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| super::openapi().to_pretty_json().unwrap_or_default());
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")], DOCUMENT.as_str())
}

/// A type of problem
///
/// What it means and what to do about it. The `type` of every problem document leads here.
#[utoipa::path(
    get, path = "/problems/{slug}", operation_id = "show_problem", tag = "documentation", security(()),
    params(("slug" = String, Path, description = "The last part of the `type`", example = "not-found")),
    responses(
        (status = 200, description = "The type", body = ProblemPage),
        (status = 404, description = "There is no such type", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub async fn show_problem(
    Path(slug): Path<String>,
) -> Result<([(HeaderName, &'static str); 1], Json<ProblemPage>), Problem> {
    Ok(([(CACHE_CONTROL, "public, max-age=300")], Json(page(super::problems::KINDS, &slug)?)))
}

/// Declares a set of problem responses.
macro_rules! problem_sets {
    ($($(#[$meta:meta])* $name:ident { $($status:literal $description:literal),* $(,)? })*) => {$(
        $(#[$meta])*
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                BTreeMap::from([$((stringify!($status).to_owned(), problem($description))),*])
            }
        }
    )*};
}

problem_sets! {
    /// What registering may answer.
    RegistrationProblems {
        400 "The body is no JSON, or a header cannot be understood",
        406 "`Accept` does not allow application/json; nothing was done",
        409 "The same request is still being worked on",
        413 "The body is longer than 64 KiB",
        415 "The body is not application/json",
        422 "Fields are refused, each named in `errors`; or the `Idempotency-Key` was used for another request",
        429 "Too many tries; see `Retry-After`",
        503 "Not now (`temporary-reduced-capacity` where too many passwords are being checked); see `Retry-After`",
    }
    /// What signing in may answer.
    SignInProblems {
        400 "The body is no JSON",
        401 "What was sent does not sign anybody in",
        413 "The body is longer than 64 KiB",
        415 "The body is not application/json",
        422 "Fields are refused, each named in `errors`",
        429 "Too many tries; see `Retry-After`",
        503 "Not now (`temporary-reduced-capacity` where too many passwords are being checked); see `Retry-After`",
    }
    /// What the routes about one's own account may answer.
    OwnAccountProblems {
        400 "The request cannot be understood",
        401 "No access token, or one that is not valid",
        403 "The access token is an API key's, whose scopes do not allow this",
        404 "There is no such thing, or it is somebody else's",
        409 "Its state does not allow it",
        413 "The body is longer than 64 KiB",
        415 "The body is not application/json",
        422 "Fields are refused, each named in `errors`",
        429 "Too many tries; see `Retry-After`",
        503 "Not now; see `Retry-After`",
    }
    /// What downloading an export may answer.
    ExportFileProblems {
        400 "The request cannot be understood",
        401 "No access token, or one that is not valid",
        403 "The access token is an API key's, whose scopes do not allow this",
        404 "There is no such export, or it is somebody else's",
        406 "`Accept` does not allow application/zip",
        409 "It is not made yet, or has failed",
        503 "Not now; see `Retry-After`",
    }
    /// What every command may answer.
    CommandProblems {
        400 "The body is no JSON, or a header cannot be understood",
        401 "No access token, or one that is not valid",
        403 "The access token is an API key's, whose scopes do not allow this",
        404 "There is no such thing, or it is somebody else's",
        406 "`Accept` does not allow application/json; nothing was done",
        409 "Its state does not allow it, or the same request is still being worked on",
        412 "`If-Match` names another version",
        413 "The body is too long",
        415 "The body's type is not accepted here",
        422 "Fields are refused, each named in `errors`; or the `Idempotency-Key` was used for another request",
        503 "Not now; repeat with the same `Idempotency-Key` after `Retry-After` seconds",
    }
    /// Where a version must be named.
    VersionProblems {
        428 "`If-Match` is required here",
    }
}

fn problem(description: &str) -> RefOr<Response> {
    let schema = Ref::from_schema_name(ProblemDocument::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    RefOr::T(ResponseBuilder::new().description(description).content(PROBLEM_JSON, content).build())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    /// Renewed with `FITTRACK_BLESS=1 cargo test -p command-api openapi`.
    #[test]
    fn the_committed_openapi_document_is_the_one_the_routes_make() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../schemas/openapi/command-api.yaml");
        let made = crate::routes::openapi().to_yaml().unwrap();
        if std::env::var_os("FITTRACK_BLESS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &made).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == made,
            "schemas/openapi/command-api.yaml is out of date: run this test with FITTRACK_BLESS=1"
        );
    }

    #[test]
    fn every_operation_has_an_id_and_its_problems() {
        let document = serde_json::to_value(crate::routes::openapi()).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let paths = document["paths"].as_object().unwrap();
        assert!(paths.len() > 20, "the table is whole");
        for (path, operations) in paths {
            for (method, operation) in operations.as_object().unwrap() {
                assert!(operation["operationId"].is_string(), "{method} {path}");
                assert!(
                    operation["x-rate-limit-class"].is_string(),
                    "{method} {path} is in no class: see routes::table"
                );
                let needs_nothing = operation["tags"][0] == "documentation" || path == "/.well-known/jwks.json";
                assert_eq!(operation["responses"]["503"].is_object(), !needs_nothing, "{method} {path}");
            }
        }
    }
}
