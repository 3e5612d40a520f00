//! The label selector of Kubernetes with bounds, so that CEL's cost estimate stays finite.

use schemars::{Schema, SchemaGenerator, json_schema};

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

pub(crate) fn node_selector_schema(_: &mut SchemaGenerator) -> Schema {
    selector_schema(
        "The nodes this applies to, by their labels; all requirements must hold. Default: every node.",
    )
}

pub(crate) fn canary_schema(_: &mut SchemaGenerator) -> Schema {
    selector_schema(
        "Of the selected nodes, those that get a new version before all others, by their labels; they are a wave of \
         their own, which holds as long as the first step. Default: no such wave.",
    )
}

fn selector_schema(description: &str) -> Schema {
    let key = json_schema!({"type": "string", "minLength": 1, "maxLength": 317,
        "description": "A label's key."});
    let value = json_schema!({"type": "string", "maxLength": 63});
    json_schema!({
        "type": "object",
        "nullable": true,
        "description": description,
        "properties": {
            "matchLabels": {
                "type": "object", "maxProperties": 16, "additionalProperties": value,
                "description": "Labels that a node must carry with exactly these values."
            },
            "matchExpressions": {
                "type": "array", "maxItems": 16, "x-kubernetes-list-type": "atomic",
                "description": "Requirements on labels, all of which must hold.",
                "items": {
                    "type": "object", "required": ["key", "operator"],
                    "properties": {
                        "key": key,
                        "operator": {"type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                            "description": "In and NotIn compare with values; Exists and DoesNotExist take \
                                none."},
                        "values": {"type": "array", "maxItems": 64, "x-kubernetes-list-type": "atomic", "items": value,
                            "description": "The values that In and NotIn compare with."}
                    },
                    "x-kubernetes-validations": [{
                        "rule": "(self.operator in ['In', 'NotIn']) == (has(self.values) && \
                            self.values.size() > 0)",
                        "message": "In and NotIn need values, Exists and DoesNotExist take none: add or \
                            remove values"
                    }]
                }
            }
        }
    })
}
