//! Which class a route is in: said in the service's table of routes, written into its `OpenAPI` document, read from there.
//! So what clients are told and what is counted cannot differ.

use std::collections::HashMap;

use axum::http::Method;
use serde_json::Value;
use utoipa::openapi::OpenApi;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, PathItem, Paths};
use utoipa::openapi::security::SecurityRequirement;

use super::Class;
use crate::edge::answers;

/// The member of an operation that names its class.
pub const CLASS_EXTENSION: &str = "x-rate-limit-class";

/// Puts routes (as `utoipa_axum::routes!` makes them) into a class, and says so in their description, with what else the edge
/// may answer them.
pub fn limited<S, R>(class: Class, (schemas, mut paths, router): (S, Paths, R)) -> (S, Paths, R) {
    for (method, operation) in paths.paths.values_mut().flat_map(operations_mut) {
        let extension = Extensions::from_iter([(CLASS_EXTENSION, class.as_str())]);
        match &mut operation.extensions {
            Some(extensions) => extensions.merge(extension),
            none => *none = Some(extension),
        }
        let refused = answers::problem(format!(
            "`quota-exceeded`: the allowance `{}` is used up; see `Retry-After` and `RateLimit`",
            class.as_str()
        ));
        operation.responses.responses.insert("429".to_owned(), refused.into());
        answers::describe(&method, operation);
    }
    (schemas, paths, router)
}

/// How the requests of every route of a service are counted.
#[derive(Debug, Default)]
pub(crate) struct RouteClasses {
    routes: HashMap<Box<str>, Vec<(Method, Counting)>>,
}

/// How the requests of a route are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counting {
    pub(crate) class: Class,
    /// Whatever token comes with them: the route asks for none, or for secrets that somebody with many accounts could guess.
    pub(crate) by_address: bool,
}

impl RouteClasses {
    /// Those a document names.
    pub(crate) fn of(document: &OpenApi) -> Self {
        let routes = document.paths.paths.iter().map(|(path, item)| (path.as_str().into(), countings(item)));
        Self { routes: routes.collect() }
    }

    /// How a request is counted. What is in no table (an unknown path, another method) counts by what its method means.
    pub(crate) fn counting(&self, route: &str, method: &Method) -> Counting {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let declared = self.routes.get(route).and_then(|methods| methods.iter().find(|(named, _)| named == method));
        let undeclared = if method.is_safe() { Class::Read } else { Class::Write };
        declared.map_or(Counting { class: undeclared, by_address: false }, |(_, counting)| *counting)
    }
}

fn countings(item: &PathItem) -> Vec<(Method, Counting)> {
    let counting = |operation: &Operation| {
        let class = class_of(operation)?;
        Some(Counting { class, by_address: class == Class::Auth || asks_for_no_token(operation) })
    };
    operations(item).filter_map(|(method, operation)| Some((method, counting(operation)?))).collect()
}

fn asks_for_no_token(operation: &Operation) -> bool {
    operation.security.as_ref().is_some_and(|ways| ways.contains(&SecurityRequirement::default()))
}

fn class_of(operation: &Operation) -> Option<Class> {
    operation.extensions.as_ref()?.get(CLASS_EXTENSION).and_then(Value::as_str).and_then(Class::named)
}

fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    let all = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
        (Method::PATCH, &item.patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let all = [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::DELETE, &mut item.delete),
        (Method::PATCH, &mut item.patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

#[cfg(test)]
mod tests {
    use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathsBuilder};
    use utoipa::openapi::{InfoBuilder, OpenApiBuilder};

    use super::*;

    #[test]
    fn a_class_is_written_into_the_document_and_read_from_it() {
        let operation = |method| PathItem::new(method, OperationBuilder::new().build());
        let exports = PathsBuilder::new().path("/exports/{id}", operation(HttpMethod::Get)).build();
        let unclassed = PathsBuilder::new().path("/other", operation(HttpMethod::Post)).build();
        let ((), mut paths, ()) = limited(Class::Export, ((), exports, ()));
        paths.paths.extend(unclassed.paths);
        let document =
            OpenApiBuilder::new().info(InfoBuilder::new().title("t").version("1").build()).paths(paths).build();
        let written = serde_json::to_value(&document).unwrap();
        assert_eq!(written["paths"]["/exports/{id}"]["get"][CLASS_EXTENSION], "export");
        for status in ["406", "414", "429", "500", "504"] {
            assert!(written["paths"]["/exports/{id}"]["get"]["responses"][status].is_object(), "{status}");
        }
        let classes = RouteClasses::of(&document);
        for (route, method, class) in [
            ("/exports/{id}", Method::GET, Class::Export),
            ("/exports/{id}", Method::HEAD, Class::Export),
            ("/exports/{id}", Method::OPTIONS, Class::Read),
            ("/exports/{id}", Method::DELETE, Class::Write),
            ("/other", Method::POST, Class::Write),
            ("/other", Method::GET, Class::Read),
            ("unmatched", Method::PUT, Class::Write),
        ] {
            let counting = Counting { class, by_address: false };
            assert_eq!(classes.counting(route, &method), counting, "{method} {route}");
        }
    }

    #[test]
    fn what_asks_for_no_token_and_what_asks_for_secrets_is_counted_by_address() {
        let token = || SecurityRequirement::new("bearer", Vec::<String>::new());
        for (class, security, by_address) in [
            (Class::Write, None, false),
            (Class::Write, Some(token()), false),
            (Class::Write, Some(SecurityRequirement::default()), true),
            (Class::Auth, Some(token()), true),
        ] {
            let operation = OperationBuilder::new().securities(security.map(|one| [one])).build();
            let paths = PathsBuilder::new().path("/", PathItem::new(HttpMethod::Post, operation)).build();
            let ((), paths, ()) = limited(class, ((), paths, ()));
            let document =
                OpenApiBuilder::new().info(InfoBuilder::new().title("t").version("1").build()).paths(paths).build();
            let counting = RouteClasses::of(&document).counting("/", &Method::POST);
            assert_eq!(counting, Counting { class, by_address }, "{class:?} {by_address}");
        }
    }
}
