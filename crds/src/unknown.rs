//! Fields that the schema does not know, with what the author may have meant.

use std::sync::LazyLock;

use serde_json::Value;

use crate::{Kind, definition};

/// A field that no version of the schema in this build has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownField {
    /// Where it stands, `spec.rules[2].match.sourcePort`.
    pub path: String,
    /// The known field of the same object whose name is nearest, if any is near.
    pub nearest: Option<String>,
}

/// All fields of an object that its kind's schema does not have, in the order in which they stand.
pub fn unknown_fields(object: &Value, kind: Kind) -> Vec<UnknownField> {
    unknown_fields_of(object, schema(kind))
}

/// The same of a value that has a schema of its own.
pub fn unknown_fields_of(value: &Value, schema: &Value) -> Vec<UnknownField> {
    let mut found = Vec::new();
    walk(value, schema, "", &mut found);
    found
}

/// The candidate that a misspelt name most likely means, or none where nothing is close.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (similarity(name, candidate), candidate))
        .filter(|(score, _)| *score >= 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Letter case is the commonest slip and should cost nothing.
fn similarity(a: &str, b: &str) -> f64 {
    strsim::jaro_winkler(&a.to_lowercase(), &b.to_lowercase())
}

fn walk(value: &Value, schema: &Value, path: &str, found: &mut Vec<UnknownField>) {
    match value {
        Value::Object(fields) => {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match properties.get(name) {
                    Some(schema) => walk(value, schema, &path, found),
                    None => {
                        let nearest = nearest(name, properties.keys().map(String::as_str)).map(str::to_owned);
                        found.push(UnknownField { path, nearest });
                    }
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return };
            for (index, item) in items.iter().enumerate() {
                walk(item, schema, &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

fn schema(kind: Kind) -> &'static Value {
    static SCHEMAS: LazyLock<Vec<Value>> =
        LazyLock::new(|| Kind::ALL.into_iter().map(object_schema).collect());
    &SCHEMAS[kind as usize]
}

/// A definition says nothing of `metadata`, which is the API server's own; its fields are added here.
fn object_schema(kind: Kind) -> Value {
    let mut schema = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take();
    let text = serde_json::json!({"type": "string"});
    for name in ["apiVersion", "kind"] {
        schema["properties"][name] = text.clone();
    }
    schema["properties"]["metadata"] = serde_json::json!({"type": "object", "properties": METADATA_FIELDS
        .iter().map(|name| ((*name).to_owned(), serde_json::json!({}))).collect::<serde_json::Map<_, _>>()});
    schema
}

const METADATA_FIELDS: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];
