//! What an API server would complain about, or show badly, and what would leave CEL without a cost.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use serde_json::Value;
use sluice_crds::{Kind, definition};

/// Calls `look` for every schema of a kind, with the path to it.
fn each_schema(kind: Kind, look: &mut dyn FnMut(&str, &Value)) {
    fn walk(path: &str, schema: &Value, look: &mut dyn FnMut(&str, &Value)) {
        look(path, schema);
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            walk(&format!("{path}.{name}"), property, look);
        }
        for inner in ["items", "additionalProperties"] {
            if let Some(inner) = schema.get(inner) {
                walk(&format!("{path}[]"), inner, look);
            }
        }
    }
    walk(kind.name(), &root(kind), look);
}

fn root(kind: Kind) -> Value {
    definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

fn violations(kind: Kind, wrong: impl Fn(&Value) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    each_schema(kind, &mut |path, schema| {
        if wrong(schema) {
            found.push(path.to_owned());
        }
    });
    found
}

#[test]
fn formats_are_those_that_an_api_server_knows() {
    for kind in Kind::ALL {
        let unknown = |schema: &Value| {
            schema
                .get("format")
                .is_some_and(|format| !["int32", "int64", "date-time"].contains(&format.as_str().unwrap()))
        };
        assert_eq!(violations(kind, unknown), Vec::<String>::new());
    }
}

#[test]
fn enums_hold_no_null() {
    for kind in Kind::ALL {
        let null = |schema: &Value| {
            schema["enum"]
                .as_array()
                .is_some_and(|values| values.is_empty() || values.iter().any(Value::is_null))
        };
        assert_eq!(violations(kind, null), Vec::<String>::new());
    }
}

#[test]
fn lists_and_texts_are_bounded() {
    for kind in Kind::ALL {
        let unbounded = |schema: &Value| match schema["type"].as_str() {
            Some("array") => schema.get("maxItems").is_none(),
            Some("string") => {
                schema.get("maxLength").is_none()
                    && schema.get("enum").is_none()
                    && schema.get("format").is_none()
            }
            Some("object") => {
                schema.get("additionalProperties").is_some() && schema.get("maxProperties").is_none()
            }
            _ => false,
        };
        assert_eq!(violations(kind, unbounded), Vec::<String>::new());
    }
}

#[test]
fn lists_say_how_they_merge() {
    for kind in Kind::ALL {
        let silent =
            |schema: &Value| schema["type"] == "array" && schema.get("x-kubernetes-list-type").is_none();
        assert_eq!(violations(kind, silent), Vec::<String>::new());
    }
}

#[test]
fn fields_are_documented() {
    for kind in Kind::ALL {
        let mut bare = Vec::new();
        each_schema(kind, &mut |path, schema| {
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                if property["description"].as_str().is_none_or(|text| text.len() < 10 || text.contains('\n'))
                {
                    bare.push(format!("{path}.{name}"));
                }
            }
        });
        assert_eq!(bare, Vec::<String>::new());
    }
}

/// A default inside an item of an atomic list makes the same file differ under two managers.
#[test]
fn items_of_the_rules_have_no_default() {
    let mut rule = root(Kind::XdpFilter)["properties"]["spec"]["properties"]["rules"]["items"].take();
    assert!(rule["properties"]["match"].is_object());
    let mut found = Vec::new();
    fn walk(path: &str, schema: &mut Value, found: &mut Vec<String>) {
        if schema.get("default").is_some() {
            found.push(path.to_owned());
        }
        for (name, property) in schema["properties"].as_object_mut().into_iter().flatten() {
            walk(&format!("{path}.{name}"), property, found);
        }
        if schema.get("items").is_some() {
            walk(path, &mut schema["items"], found);
        }
    }
    walk("rules[]", &mut rule, &mut found);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn conditions_merge_by_type() {
    for kind in Kind::ALL {
        let conditions = &root(kind)["properties"]["status"]["properties"]["conditions"];
        assert_eq!(conditions["x-kubernetes-list-type"], "map");
        assert_eq!(conditions["x-kubernetes-list-map-keys"], serde_json::json!(["type"]));
    }
}

#[test]
fn kinds_have_their_names_and_columns() {
    let names = |kind| {
        let spec = &definition(kind)["spec"];
        (spec["names"]["shortNames"].clone(), spec["names"]["categories"].clone(), spec["scope"].clone())
    };
    let json =
        |short: &str, scope: &str| (serde_json::json!([short]), serde_json::json!(["sluice"]), scope.into());
    assert_eq!(names(Kind::XdpFilter), json("xf", "Cluster"));
    assert_eq!(names(Kind::XdpLoadBalancer), json("xlb", "Namespaced"));
    assert_eq!(names(Kind::XdpAddressSet), json("xas", "Cluster"));
    assert_eq!(names(Kind::XdpNode), json("xn", "Cluster"));

    let columns = |kind| -> Vec<String> {
        let definition = definition(kind);
        let columns = definition["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap();
        columns.iter().map(|column| column["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(columns(Kind::XdpFilter), ["Mode", "Rules", "Nodes", "Ready", "Reason", "Hash", "Age"]);
    assert_eq!(
        columns(Kind::XdpLoadBalancer),
        ["Addresses", "Healthy", "Nodes", "Ready", "Reason", "Hash", "Age"]
    );
    assert_eq!(
        columns(Kind::XdpAddressSet),
        ["Entries", "Prefixes", "Nodes", "Ready", "Reason", "Bytes", "Fetched", "Hash", "Age"]
    );
}
