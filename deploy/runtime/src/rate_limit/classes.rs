//! Which class a route is in: said in the service's table of routes, written into its `OpenAPI` document, read from there.
//! So what clients are told and what is counted cannot differ.

use std::collections::HashMap;

use axum::http::Method;
use serde_json::Value;
use utoipa::openapi::OpenApi;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, PathItem, Paths};

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

/// The class of every route of a service.
#[derive(Debug, Default)]
pub(crate) struct RouteClasses {
    routes: HashMap<Box<str>, Vec<(Method, Class)>>,
}

impl RouteClasses {
    /// Those a document names.
    pub(crate) fn of(document: &OpenApi) -> Self {
        let routes = document.paths.paths.iter().map(|(path, item)| (path.as_str().into(), classes(item)));
        Self { routes: routes.collect() }
    }

    /// The class of a request. What is in no table (an unknown path, another method) counts by what its method means.
    pub(crate) fn class_of(&self, route: &str, method: &Method) -> Class {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let declared = self.routes.get(route).and_then(|classes| classes.iter().find(|(named, _)| named == method));
        declared.map_or_else(|| if method.is_safe() { Class::Read } else { Class::Write }, |(_, class)| *class)
    }
}

fn classes(item: &PathItem) -> Vec<(Method, Class)> {
    operations(item).filter_map(|(method, operation)| Some((method, class_of(operation)?))).collect()
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
            assert_eq!(classes.class_of(route, &method), class, "{method} {route}");
        }
    }
}
