//! The operator's rights as the chart grants them, line by line: a verb of a resource.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Value, json};
use sluice_e2e::process::eventually;

use crate::PATIENCE;
use crate::server::{LISTS, NAMESPACE, Server};

/// With the options that render() sets, each that the chart has.
const ROLES: [Role; 3] = [
    Role { kind: "clusterrole", name: "sluice-operator", scope: "--all-namespaces" },
    Role { kind: "role", name: "sluice-operator", scope: "--namespace=default" },
    Role { kind: "role", name: "sluice-operator-lists", scope: LISTS_SCOPE },
];
const LISTS_SCOPE: &str = "--namespace=lists";

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Role {
    kind: &'static str,
    name: &'static str,
    /// Where it says what may be done.
    scope: &'static str,
}

/// Shown as `list sluice.dev/xdpfilters`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    role: Role,
    pub verb: String,
    group: String,
    pub resource: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.verb, self.group, self.resource)
    }
}

/// The roles as the chart made them.
pub struct Roles<'a> {
    server: &'a Server,
    rules: Vec<(Role, Vec<Value>)>,
    /// That lacks a line now.
    short: Option<Role>,
}

impl Roles<'_> {
    pub fn read(server: &Server) -> Roles<'_> {
        assert!(LISTS_SCOPE.ends_with(LISTS));
        let rules = |role: Role| {
            let found =
                server.kubectl(&[&["get", role.kind, role.name, "-o=json"], &role.place()[..]].concat());
            let found: Value = serde_json::from_str(&found).unwrap();
            (role, found["rules"].as_array().unwrap().clone())
        };
        Roles { server, rules: ROLES.map(rules).into(), short: None }
    }

    pub fn lines(&self) -> BTreeSet<Line> {
        let mut lines = BTreeSet::new();
        for (role, rule) in
            self.rules.iter().flat_map(|(role, rules)| rules.iter().map(move |rule| (role, rule)))
        {
            let [groups, resources, verbs] =
                ["apiGroups", "resources", "verbs"].map(|field| words(rule, field));
            for (resource, verb) in
                resources.iter().flat_map(|resource| verbs.iter().map(move |verb| (resource, verb)))
            {
                let [group] = &groups[..] else { panic!("{rule}: one group for each rule") };
                let (verb, group, resource) = (verb.clone(), group.clone(), resource.clone());
                lines.insert(Line { role: *role, verb, group, resource });
            }
        }
        lines
    }

    /// All lines but this one hold when it returns.
    pub fn without(&mut self, line: &Line) {
        if self.short.is_some_and(|short| short != line.role) {
            self.whole();
        }
        let (_, rules) = self.rules.iter().find(|(role, _)| *role == line.role).unwrap();
        self.write(line.role, &rules.iter().flat_map(|rule| rest(rule, line)).collect::<Vec<_>>());
        self.short = Some(line.role);
        // The authorizer follows the roles at its own pace.
        let is_gone = || Ok((!self.may(line)).then_some(()));
        eventually(PATIENCE, is_gone).unwrap_or_else(|error| panic!("{line} stays: {error:#}"));
    }

    /// Gives back what was taken.
    pub fn whole(&mut self) {
        let Some(short) = self.short.take() else { return };
        let (role, rules) = self.rules.iter().find(|(role, _)| *role == short).unwrap();
        self.write(*role, rules);
    }

    fn write(&self, role: Role, rules: &[Value]) {
        let patch = json!([{"op": "replace", "path": "/rules", "value": rules}]).to_string();
        let patched = ["patch", role.kind, role.name, "--type=json", "--patch", &patch];
        self.server.kubectl(&[&patched[..], &role.place()].concat());
    }

    fn may(&self, line: &Line) -> bool {
        let account = format!("--as=system:serviceaccount:{NAMESPACE}:sluice-operator");
        let (resource, below) = line.resource.split_once('/').unwrap_or((&line.resource, ""));
        let what = [resource, &line.group].join(".");
        let below = format!("--subresource={below}");
        let question =
            ["auth", "can-i", &line.verb, what.trim_end_matches('.'), &below, line.role.scope, &account];
        self.server.cluster.kubectl(&question).is_ok()
    }
}

impl Role {
    fn place(&self) -> Vec<&'static str> {
        if self.kind == "role" { vec![self.scope] } else { Vec::new() }
    }
}

/// What is left of a rule without a line of it.
fn rest(rule: &Value, line: &Line) -> Vec<Value> {
    let [groups, resources, verbs] = ["apiGroups", "resources", "verbs"].map(|field| words(rule, field));
    if !(groups.contains(&line.group) && resources.contains(&line.resource) && verbs.contains(&line.verb)) {
        return vec![rule.clone()];
    }
    let others = |all: &[String], one: &str| -> Vec<String> {
        all.iter().filter(|word| *word != one).cloned().collect()
    };
    let of = |resources: Vec<String>, verbs: Vec<String>| {
        let is_any = !resources.is_empty() && !verbs.is_empty();
        is_any.then(|| json!({"apiGroups": groups, "resources": resources, "verbs": verbs}))
    };
    let rest = [
        of(others(&resources, &line.resource), verbs.clone()),
        of(vec![line.resource.clone()], others(&verbs, &line.verb)),
    ];
    rest.into_iter().flatten().collect()
}

fn words(rule: &Value, field: &str) -> Vec<String> {
    rule[field].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}
