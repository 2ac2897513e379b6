//! The description of the API, made from the table of routes.

mod answers;

use serde_json::{Map, Value, json};

use super::{Access, Endpoint, Kind, Method, ROUTES, Route};

/// OpenAPI 3.1 of everything below `/api/`.
#[must_use]
pub fn openapi() -> Value {
    let mut paths = Map::new();
    for route in ROUTES.iter().filter(|route| route.path.starts_with("/api/")) {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.name().to_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Piranha",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A director of Linux Virtual Server: what it knows, and what it can be told. \
                Any value may get more fields.",
        },
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "session": { "type": "apiKey", "in": "header", "name": "Cookie" },
            },
            "responses": { "problem": problem() },
        },
        "paths": paths,
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": format!("{:?}", route.endpoint),
        "summary": route.summary,
        "responses": responses(route),
    });
    match route.access {
        Access::Public => operation["security"] = json!([]),
        Access::Role(role) => {
            operation["security"] = json!([{ "token": [] }, { "session": [] }]);
            operation["x-role"] = role.name().into();
        }
    }
    operation["x-password"] = route.fresh.into();
    let parameters = parameters(route);
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if route.method != Method::Get && !route.fields.is_empty() {
        operation["requestBody"] = body(route);
    }
    operation
}

fn parameters(route: &Route) -> Vec<Value> {
    let mut parameters: Vec<_> = route
        .names()
        .map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        })
        .collect();
    if route.method == Method::Get {
        parameters.extend(route.fields.iter().map(|field| {
            json!({
                "name": field.name,
                "in": "query",
                "required": field.required,
                "description": field.doc,
                "schema": { "type": field.kind },
            })
        }));
    }
    parameters
}

fn body(route: &Route) -> Value {
    let mut properties = Map::new();
    for field in route.fields {
        let property = json!({ "type": field.kind, "description": field.doc });
        properties.insert(field.name.to_owned(), property);
    }
    let required = route.fields.iter().filter(|field| field.required).map(|field| field.name);
    let required: Vec<_> = required.collect();
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    json!({ "content": { "application/json": { "schema": schema } } })
}

fn responses(route: &Route) -> Value {
    let mut done = json!({ "description": "Done." });
    if route.kind == Kind::Stream {
        done["content"] = json!({ "text/event-stream": {} });
    } else if route.endpoint == Endpoint::ServicesCsv {
        done["content"] = json!({ "text/csv": { "schema": { "type": "string" } } });
    } else if let Some(schema) = answers::schema(route.endpoint) {
        done["content"] = json!({ "application/json": { "schema": schema } });
    }
    json!({ "2XX": done, "default": { "$ref": "#/components/responses/problem" } })
}

fn problem() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "description": "Not done; nothing was changed (RFC 9457).",
        "content": { "application/problem+json": { "schema": {
            "type": "object",
            "required": ["status", "code", "title", "mend"],
            "properties": {
                "type": text,
                "status": { "type": "integer" },
                "code": text,
                "title": text,
                "mend": text,
                "diagnostics": { "type": "array", "items": { "type": "object" } },
            },
        } } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_api_is_described_with_its_role_and_its_parameters() {
        let described = openapi();
        let routes = ROUTES.iter().filter(|route| route.path.starts_with("/api/"));
        for route in routes {
            let operation = &described["paths"][route.path][route.method.name().to_lowercase()];
            assert_eq!(operation["summary"], route.summary, "{}", route.path);
            let named = operation["parameters"]
                .as_array()
                .map_or(0, |all| all.iter().filter(|parameter| parameter["in"] == "path").count());
            assert_eq!(named, route.path.matches('{').count(), "{}", route.path);
            assert_eq!(operation["x-role"].is_null(), route.access == Access::Public);
        }
    }
}
