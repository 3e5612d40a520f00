//! From the text of a file to objects.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sluice_crds::{API_VERSION, Kind, XdpAddressSet, XdpFilter, XdpLoadBalancer, nearest, unknown_fields};
use sluice_index::{Object, ObjectKey, Problem};
use sluice_plan::Fleet;

/// More is no policy but a mistake (an API server takes 1.5 MB).
pub const MAX_FILE_BYTES: u64 = 4 << 20;

/// One object of a file.
#[derive(Clone, Debug)]
pub struct Document {
    pub key: ObjectKey,
    pub object: Object,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    metadata: HeadMetadata,
}

#[derive(Default, Deserialize)]
struct HeadMetadata {
    name: Option<String>,
    namespace: Option<String>,
}

/// All objects of a text with one or more YAML documents; every problem of every document otherwise.
pub fn parse_documents(file: &Path, text: &str) -> Result<Vec<Document>, Vec<Problem>> {
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    for (line, document) in split_documents(text) {
        match parse_document(file, line, document) {
            Ok(found) => documents.extend(found),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(documents) } else { Err(problems) }
}

/// The fleet configuration; every problem of it otherwise.
pub fn parse_fleet(file: &Path, text: &str) -> Result<Fleet, Vec<Problem>> {
    let found = serde_saphyr::from_str(text).map_err(|error| vec![yaml_problem(file, 0, &error)])?;
    sluice_admit::admit_fleet(found).map_err(|refusals| {
        let problem = |refusal: sluice_admit::Refusal| Problem {
            place: file.display().to_string(),
            message: format!("{}: {}", refusal.path, refusal.message),
        };
        refusals.into_iter().map(problem).collect()
    })
}

/// Documents with the number of lines before each; `---` at the start of a line parts them.
fn split_documents(text: &str) -> Vec<(u64, &str)> {
    let (mut parts, mut start, mut first_line) = (Vec::new(), 0, 0);
    let mut position = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        position += line.len();
        if line.trim_end() == "---" {
            parts.push((first_line, &text[start..position - line.len()]));
            (start, first_line) = (position, number as u64 + 1);
        }
    }
    parts.push((first_line, &text[start..]));
    parts.retain(|(_, part)| {
        part.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    });
    parts
}

fn parse_document(file: &Path, line: u64, text: &str) -> Result<Option<Document>, Vec<Problem>> {
    let one = |problem: Problem| vec![problem];
    let head: Head = from_yaml(file, line, text).map_err(one)?;
    let place = |message: String| one(Problem { place: format!("{}:{}", file.display(), line + 1), message });
    let found = head.kind.unwrap_or_default();
    let kind = found.parse::<Kind>().map_err(|kind| place(unknown_kind(&kind)))?;
    if head.api_version.as_deref() != Some(API_VERSION) {
        let version = head.api_version.unwrap_or_default();
        return Err(place(format!("{kind}: apiVersion is \"{version}\": write {API_VERSION}")));
    }
    let Some(name) = head.metadata.name.filter(|name| !name.is_empty()) else {
        return Err(place(format!("{kind}: metadata.name is missing: every object needs one")));
    };
    let namespace = match (kind.is_namespaced(), head.metadata.namespace) {
        (true, namespace) => namespace.unwrap_or_else(|| "default".to_owned()),
        (false, _) => String::new(),
    };
    let key = ObjectKey::new(kind, &namespace, &name);
    let value: Value = from_yaml(file, line, text).map_err(one)?;
    refuse_unknown_fields(file, line, kind, &key, &value)?;
    let typed = |message: String| place(format!("{key}: {message}"));
    let object = match kind {
        Kind::XdpFilter => Object::Filter(from_value::<XdpFilter>(value).map_err(typed)?),
        Kind::XdpLoadBalancer => {
            let mut balancer: XdpLoadBalancer = from_value(value).map_err(typed)?;
            balancer.metadata.namespace = Some(namespace);
            Object::Balancer(balancer)
        }
        Kind::XdpAddressSet => Object::Set(from_value::<XdpAddressSet>(value).map_err(typed)?),
        Kind::XdpNode => return Err(place(format!("{key}: XdpNode is written by the operator: remove it"))),
    };
    Ok(Some(Document { key, object }))
}

fn unknown_kind(kind: &str) -> String {
    let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    match nearest(kind, names.iter().copied()) {
        Some(near) => format!("kind is \"{kind}\": did you mean {near}?"),
        None => format!("kind is \"{kind}\": write XdpFilter, XdpLoadBalancer or XdpAddressSet"),
    }
}

fn refuse_unknown_fields(
    file: &Path,
    line: u64,
    kind: Kind,
    key: &ObjectKey,
    value: &Value,
) -> Result<(), Vec<Problem>> {
    let unknown = unknown_fields(value, kind);
    if unknown.is_empty() {
        return Ok(());
    }
    let place = format!("{}:{}", file.display(), line + 1);
    let problems = unknown.iter().map(|field| {
        let hint = match &field.nearest {
            Some(near) => format!("did you mean {near}?"),
            None => "remove it".to_owned(),
        };
        Problem { place: place.clone(), message: format!("{key}: unknown field {}: {hint}", field.path) }
    });
    Err(problems.collect())
}

/// As strict as the API server: a number is no string, however YAML readers see it.
fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| format!("{}: {}", error.path(), error.inner()))
}

fn from_yaml<T: DeserializeOwned>(file: &Path, line: u64, text: &str) -> Result<T, Problem> {
    serde_saphyr::from_str(text).map_err(|error| yaml_problem(file, line, &error))
}

/// `line` is where the document starts; the parser counts from there.
fn yaml_problem(file: &Path, line: u64, error: &serde_saphyr::Error) -> Problem {
    let place = match error.location() {
        Some(at) => format!("{}:{}:{}", file.display(), line + at.line(), at.column()),
        None => format!("{}:{}", file.display(), line + 1),
    };
    let text = error.without_snippet().to_string();
    Problem { place, message: text.lines().next().unwrap_or("not YAML").to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {name: edge}\nspec:\n  interfaces: {names: [eth0]}\n  rules: []\n";

    fn problems(text: &str) -> Vec<String> {
        parse_documents(Path::new("edge.yaml"), text)
            .expect_err("refused")
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn several_documents_and_comments_are_read() {
        let text = format!("# head\n---\n{GOOD}---\n# nothing\n---\n{}", GOOD.replace("edge", "core"));
        let documents = parse_documents(Path::new("a.yaml"), &text).expect("good");
        let names: Vec<_> = documents.iter().map(|document| document.key.to_string()).collect();
        assert_eq!(names, ["XdpFilter/edge", "XdpFilter/core"]);
    }

    #[test]
    fn a_syntax_error_is_placed_in_the_file_and_not_in_its_document() {
        let text = format!("{GOOD}---\n{GOOD}  broken: [1, 2\n");
        let found = problems(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        let line: u64 = found[0].split(':').nth(1).and_then(|line| line.parse().ok()).expect("a line");
        assert!(line > 7, "{found:?}");
    }

    #[test]
    fn a_misspelt_kind_and_field_name_the_nearest() {
        assert!(problems(&GOOD.replace("XdpFilter", "XdpFiler"))[0].contains("did you mean XdpFilter"));
        let found = problems(&GOOD.replace("  rules", "  ruls"));
        assert!(found[0].contains("spec.ruls") && found[0].contains("rules"), "{found:?}");
    }

    #[test]
    fn a_fleet_file_names_every_wrong_field_and_what_to_write() {
        let text = "failsafe: {burst: 0}\naddressPools: [{name: public, prefixes: [203.0.113.7/24]}]\n";
        let found = parse_fleet(Path::new("fleet.yaml"), text).expect_err("refused");
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(lines[0].starts_with("fleet.yaml: failsafe.burst: "), "{lines:?}");
        assert!(lines[1].ends_with("write 203.0.113.0/24"), "{lines:?}");
        let unknown = parse_fleet(Path::new("fleet.yaml"), "addressPool: []\n").expect_err("refused");
        let line = unknown[0].to_string();
        assert!(line.starts_with("fleet.yaml:1:") && line.contains("addressPools"), "{line}");
    }

    #[test]
    fn a_missing_name_and_a_foreign_version_say_what_to_write() {
        assert!(problems(&GOOD.replace("name: edge", ""))[0].contains("metadata.name is missing"));
        assert!(problems(&GOOD.replace("v1alpha1", "v9"))[0].contains("write sluice.dev/v1alpha1"));
    }
}
