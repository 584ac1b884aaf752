//! Refuses query parameters that an operation doesn't have, so that a misspelt one isn't a filter
//! that lets everything through. What an operation has is what the OpenAPI document says.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Query, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

use crate::problem::{HttpProblem, Kind};

/// The names of each operation's query parameters, by path.
#[derive(Debug, Clone)]
pub(crate) struct QueryNames(Arc<HashMap<String, Vec<Named>>>);

/// An operation and its names.
type Named = (Method, Vec<String>);

impl QueryNames {
    pub(crate) fn of(api: &OpenApi) -> Self {
        let paths = api.paths.paths.iter().map(|(path, item)| {
            let operations = [
                (Method::GET, &item.get),
                (Method::HEAD, &item.get),
                (Method::PUT, &item.put),
                (Method::POST, &item.post),
                (Method::DELETE, &item.delete),
                (Method::PATCH, &item.patch),
            ];
            let named = operations
                .into_iter()
                .filter_map(|(method, operation)| Some((method, names(operation.as_ref()?))));
            (path.clone(), named.collect())
        });
        Self(Arc::new(paths.collect()))
    }

    /// The names for a request; none for what isn't in the document.
    fn find(&self, path: &str, method: &Method) -> Option<&[String]> {
        let operations = self.0.get(path)?;
        operations.iter().find(|(known, _)| known == method).map(|(_, names)| names.as_slice())
    }
}

fn names(operation: &Operation) -> Vec<String> {
    let parameters = operation.parameters.iter().flatten();
    let query = parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query => {
            Some(parameter.name.clone())
        }
        RefOr::T(_) | RefOr::Ref(_) => None,
    });
    query.collect()
}

/// Lets a request through if its operation has all of its query's parameters.
pub(crate) async fn check(
    State(known): State<QueryNames>,
    request: Request,
    next: Next,
) -> Response {
    match refusal(&known, &request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

fn refusal(known: &QueryNames, request: &Request) -> Option<HttpProblem> {
    request.uri().query().filter(|query| !query.is_empty())?;
    let path = request.extensions().get::<MatchedPath>()?;
    // The document has no word for a parameter that takes the rest of the path.
    let path = path.as_str().replace("{*", "{");
    let names = known.find(&path, request.method())?;
    let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(request.uri()) else {
        return Some(HttpProblem::new(Kind::Malformed, "The query can't be read"));
    };
    for (name, value) in &pairs {
        if !names.contains(name) {
            let known = match names {
                [] => "it has none".to_owned(),
                names => format!("it has {}", names.join(", ")),
            };
            let detail = format!("This operation has no query parameter {name:?}: {known}");
            return Some(HttpProblem::new(Kind::Invalid, detail));
        }
        if value.contains('\0') {
            let detail = format!("The query parameter {name:?} has a zero character");
            return Some(HttpProblem::new(Kind::Invalid, detail));
        }
    }
    None
}
