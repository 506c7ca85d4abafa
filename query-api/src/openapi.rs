//! The `OpenAPI` document around the routes: title, security, the headers and the problems every query has in common, and
//! `GET /openapi.json`. The routes themselves are described where they are written.
use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use fittrack_runtime::json::{Json, Path};
use fittrack_runtime::problem::{PROBLEM_JSON, Problem, ProblemDocument, ProblemPage, page};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, OpenApi as Document, Ref, RefOr, Required, Response, ResponseBuilder,
};
use utoipa::{OpenApi, ToSchema};

/// Where operations are that have no caller and none of the common parts.
const DOCUMENTATION: &str = "documentation";

/// The document without its routes.
pub fn frame() -> Document {
    #[derive(OpenApi)]
    #[openapi(
        info(
            title = "FitTrack query API",
            description = "Everything that is read. Every query accepts the consistency token of a command and then shows at \
                least that write; every answer says in `Freshness` how many milliseconds it may be behind, and has an `ETag` \
                for `If-None-Match`. Lists go on at `next`. A query's unknown parameters are refused. Requests \
                are counted by `x-rate-limit-class`; every answer says in `RateLimit` what is left, and one too many is 429. Long \
                JSON answers but those with a version as `ETag` come in the coding `Accept-Encoding` likes.",
            license(name = "Apache-2.0", identifier = "Apache-2.0"),
        ),
        servers((url = "/", description = "This service")),
        components(schemas(ProblemDocument)),
        security(("bearer" = [])),
        tags(
            (name = "profile", description = "Who an athlete is"),
            (name = "workouts", description = "Workouts and their recordings"),
            (name = "analytics", description = "What the caller's workouts add up to"),
            (name = "leaderboards", description = "Who did most"),
            (name = "documentation", description = "This document, and what each type of problem means"),
        ),
    )]
    struct Frame;
    let mut frame = Frame::openapi();
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The access token from `POST /v1/account/sessions` of the command API, or from `POST /v1/account/api-keys/token`"))
        .build();
    frame.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    frame
}

/// This document
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "show_openapi", tag = "documentation", security(()),
    responses((status = 200, description = "The OpenAPI document of this service", body = Object,
            example = json!({ "openapi": "3.1.0", "info": { "title": "FitTrack query API", "version": "0.1.0" },
                "paths": {} }))),
)]
pub async fn show_openapi() -> ([(HeaderName, &'static str); 2], &'static str) {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| crate::routes::openapi().to_pretty_json().unwrap_or_default());
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
    Ok(([(CACHE_CONTROL, "public, max-age=300")], Json(page(crate::problems::KINDS, &slug)?)))
}

/// Adds to every query what all have in common.
pub fn completed(mut document: Document) -> Document {
    for operation in document.paths.paths.values_mut().filter_map(|path| path.get.as_mut()) {
        let is_documentation = operation.tags.iter().flatten().any(|tag| tag == DOCUMENTATION);
        if !is_documentation {
            complete(operation);
        }
    }
    document
}

fn complete(operation: &mut Operation) {
    let common = [
        parameter(
            "Consistency-Token",
            ParameterIn::Header,
            "What a command returned: the answer shows at least that write.",
        ),
        parameter("consistency_token", ParameterIn::Query, "The same, for those who cannot set headers."),
        parameter("If-None-Match", ParameterIn::Header, "The `ETag` last seen: 304 where it still holds."),
    ];
    operation.parameters.get_or_insert_default().extend(common.map(RefOr::T));
    if let Some(RefOr::T(answer)) = operation.responses.responses.get_mut("200") {
        let headers = [
            ("ETag", Type::String, "The version of the answer."),
            ("Freshness", Type::Integer, "How many milliseconds the answer may be behind what is stored."),
        ];
        for (name, kind, description) in headers {
            let schema = ObjectBuilder::new().schema_type(kind);
            let header = HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build();
            answer.headers.insert(name.to_owned(), header.into());
        }
    }
    let unchanged = ResponseBuilder::new().description("`If-None-Match` names the version there is.").build();
    operation.responses.responses.insert("304".to_owned(), unchanged.into());
    for (status, description) in [
        ("400", "A parameter, the cursor or the consistency token is refused, or there is an unknown parameter"),
        ("401", "No access token, or one that is not valid"),
        ("403", "The access token is an API key's, whose scopes do not allow this"),
        ("404", "There is no such thing, or none the caller may see"),
        ("406", "`Accept` does not allow the form the answer has"),
        ("503", "Not now (`not-caught-up` where the consistency token is not reached in time); see `Retry-After`"),
    ] {
        operation.responses.responses.insert(status.to_owned(), problem(description));
    }
}

fn parameter(name: &str, place: ParameterIn, description: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}

fn problem(description: &str) -> RefOr<Response> {
    let schema = Ref::from_schema_name(ProblemDocument::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    RefOr::T(ResponseBuilder::new().description(description).content(PROBLEM_JSON, content).build())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    /// Renewed with `FITTRACK_BLESS=1 cargo test -p query-api openapi`.
    #[test]
    fn the_committed_openapi_document_is_the_one_the_routes_make() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../schemas/openapi/query-api.yaml");
        let made = crate::routes::openapi().to_yaml().unwrap();
        if std::env::var_os("FITTRACK_BLESS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &made).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == made,
            "schemas/openapi/query-api.yaml is out of date: run this test with FITTRACK_BLESS=1"
        );
    }

    #[test]
    fn every_query_has_an_id_a_summary_and_its_problems() {
        let document = serde_json::to_value(crate::routes::openapi()).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let paths = document["paths"].as_object().unwrap();
        assert!(paths.len() > 12, "the table is whole");
        for (path, operations) in paths {
            let operations = operations.as_object().unwrap();
            assert_eq!(operations.keys().collect::<Vec<_>>(), ["get"], "{path}");
            let get = &operations["get"];
            assert!(get["operationId"].is_string() && get["summary"].is_string(), "{path}");
            for status in ["304", "400", "401", "403", "404", "503"] {
                let is_query = path.starts_with("/v1/");
                assert!(get["responses"][status].is_object() || !is_query, "{path} {status}");
            }
            assert!(get["x-rate-limit-class"].is_string(), "{path} is in no class: see routes::table");
        }
    }
}
