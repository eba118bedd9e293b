//! The API's description for machines, OpenAPI 3, and for people, `/help`: both made from the table of routes and from
//! what [`describe`] says of each endpoint. The schemas come of the types that are printed.
//!
//! A new endpoint needs its few lines in [`describe`]; the compiler asks for them. A new type in an answer needs
//! `JsonSchema` among its derives.

mod describe;
mod schemas;

pub(crate) use schemas::{app_schema, group_schema};

use crate::routes::{Endpoint, ROUTES, Route};
use crate::v2::ErrorBody;
use describe::{Answer, Operation, describe};
use schemas::{Schema, Schemas};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

/// What a name in a path stands for, and an example.
fn path_parameter(name: &str) -> (&'static str, &'static str) {
    match name {
        "id" => ("A path such as `pay/api`, without the leading slash; its slashes stand as they are.", "pay/api"),
        "group" => ("The path of a group, without the leading slash; its slashes stand as they are.", "pay"),
        "version" => ("A version: the time at which it was accepted.", "2026-11-21T08:00:00.000Z"),
        "task" => ("A task's id.", "pay_api.00e1de40-e1de-8000-8000-000010000000"),
        "deployment" => ("A deployment's id.", "00e1de40-e1de-8000-8000-000010000000"),
        "node" => ("A node's name.", "n1"),
        "orphan" => ("The instance whose container it is.", "00e1de40-e1de-8000-8000-000010000000"),
        _ => ("A name.", "x"),
    }
}

/// Every endpoint in OpenAPI's words, as JSON.
pub(crate) fn document() -> &'static [u8] {
    static DOCUMENT: LazyLock<Vec<u8>> = LazyLock::new(|| to_json().to_string().into_bytes());
    &DOCUMENT
}

fn to_json() -> Value {
    let mut schemas = Schemas::new();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut names: BTreeMap<String, u32> = BTreeMap::new();
    for route in ROUTES {
        let count = names.entry(operation_id(route.endpoint)).or_default();
        *count += 1;
        let mut id = operation_id(route.endpoint);
        if *count > 1 {
            let _ = write!(id, "{count}");
        }
        let operation = operation(route, &id, &describe(route.endpoint), &mut schemas);
        paths.entry(route.path).or_default().insert(route.method.to_lowercase(), operation);
    }
    let error = schemas.add(Schema::of::<ErrorBody>());
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Ekiden",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Marathon's API below `/v2`, Ekiden's own below `/v3`. `HEAD` is answered wherever `GET` is.",
            "license": { "name": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "responses": { "Error": {
                "description": "What is wrong, where, and what to do.",
                "content": { "application/json": { "schema": error } },
            } },
            "schemas": schemas.into_definitions(),
        },
    })
}

/// `appList`, from the endpoint's name.
fn operation_id(endpoint: Endpoint) -> String {
    let name = format!("{endpoint:?}");
    name[..1].to_lowercase() + &name[1..]
}

fn operation(route: &Route, id: &str, described: &Operation, schemas: &mut Schemas) -> Value {
    let in_path = names_in(route.path).map(|name| {
        let (what, example) = path_parameter(name);
        json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": what,
            "example": example,
            "schema": { "type": "string", "minLength": 1 },
        })
    });
    let in_query = described.query.iter().map(|it| it.to_json());
    let mut responses = Map::new();
    for Answer { status, what, content, headers } in &described.answers {
        let mut response = json!({ "description": what });
        if !content.is_empty() {
            let content =
                content.iter().map(|(kind, schema)| ((*kind).to_owned(), json!({ "schema": schemas.add(*schema) })));
            response["content"] = content.collect::<Map<_, _>>().into();
        }
        if !headers.is_empty() {
            let header = |what: &str| json!({ "description": what, "schema": { "type": "string" } });
            response["headers"] =
                headers.iter().map(|(name, what)| ((*name).to_owned(), header(what))).collect::<Map<_, _>>().into();
        }
        responses.insert(status.to_string(), response);
    }
    for status in described.failures(route.path) {
        responses.insert(status.to_string(), json!({ "$ref": "#/components/responses/Error" }));
    }
    let mut operation = json!({
        "operationId": id,
        "summary": described.summary,
        "tags": [tag(route.path)],
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": responses,
    });
    if let Some(body) = &described.body {
        let schema = schemas.add(body.schema);
        let content = body.kinds.iter().map(|kind| ((*kind).to_owned(), json!({ "schema": schema })));
        operation["requestBody"] = json!({ "required": true, "content": content.collect::<Map<_, _>>() });
    }
    operation
}

/// The names that stand in braces in a route's path.
fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|it| Some(it.split_once('}')?.0))
}

/// Under what a route is found: `apps`, `deployments`.
fn tag(path: &str) -> &str {
    let mut parts = path.split('/').filter(|it| !it.is_empty());
    match (parts.next(), parts.next()) {
        (Some("v2" | "v3"), Some(resource)) => resource,
        _ => "server",
    }
}

/// The routes as a page for people.
pub(crate) fn help() -> &'static str {
    static HELP: LazyLock<String> = LazyLock::new(|| {
        let mut rows = String::new();
        for route in ROUTES {
            let (method, path) = (route.method, escape(route.path));
            let path = if method == "GET" && !route.path.contains(['{', '*']) && route.endpoint != Endpoint::Events {
                format!("<a href=\"{path}\">{path}</a>")
            } else {
                path
            };
            let what = escape(describe(route.endpoint).summary);
            let _ = writeln!(rows, "<tr><td>{method}</td><td><code>{path}</code></td><td>{what}</td></tr>");
        }
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Ekiden</title>\n<style>\n\
             body {{ font-family: sans-serif; margin: 2em; }}\ntable {{ border-collapse: collapse; }}\n\
             td {{ padding: .2em 1em .2em 0; vertical-align: top; }}\n</style></head>\n<body>\n<h1>Ekiden {}</h1>\n\
             <p>Marathon's API below <code>/v2</code>, Ekiden's own below <code>/v3</code>. \
             The same for machines: <a href=\"/v3/openapi.json\">OpenAPI</a>; the JSON schemas of \
             <a href=\"/v2/schemas/app\">apps</a> and <a href=\"/v2/schemas/group\">groups</a>.</p>\n\
             <table>\n{rows}</table>\n</body>\n</html>\n",
            env!("CARGO_PKG_VERSION")
        )
    });
    &HELP
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_route_is_described_once() {
        let document = to_json();
        let mut ids = BTreeSet::new();
        for route in ROUTES {
            let operation = &document["paths"][route.path][route.method.to_lowercase()];
            assert!(operation.is_object(), "{} {}", route.method, route.path);
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()));
            let summary = operation["summary"].as_str().unwrap();
            assert!(!summary.is_empty() && !summary.ends_with('.'), "{summary}");
            let described = operation["parameters"].as_array().unwrap().iter().filter(|it| it["in"] == "path");
            let described: Vec<_> = described.map(|it| it["name"].as_str().unwrap()).collect();
            assert_eq!(described, names_in(route.path).collect::<Vec<_>>());
            assert!(operation["responses"].as_object().unwrap().keys().any(|it| it.starts_with(['2', '3'])));
            // Marathon has one DELETE with a body.
            let reads = matches!(route.method, "POST" | "PUT" | "PATCH") || route.path.ends_with("::instances");
            if !reads {
                assert!(operation.get("requestBody").is_none(), "{} {}", route.method, route.path);
            }
        }
    }

    #[test]
    fn every_reference_leads_to_something() {
        fn check(value: &Value, document: &Value) {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(reference)) = fields.get("$ref") {
                        let pointer = reference.strip_prefix('#').expect(reference);
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    assert!(!fields.contains_key("nullable"), "absent fields are left out: {value}");
                    fields.values().for_each(|it| check(it, document));
                }
                Value::Array(items) => items.iter().for_each(|it| check(it, document)),
                _ => {}
            }
        }
        let document = to_json();
        check(&document, &document);
        assert!(document["components"]["schemas"].as_object().unwrap().len() > 30);
    }
}
