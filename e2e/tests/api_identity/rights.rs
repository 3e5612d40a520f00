//! The operator's rights, held against what it did: the API server wrote down every request of its account.

use std::collections::BTreeSet;

use serde_json::Value;
use sluice_e2e::process::eventually;

use crate::PATIENCE;
use crate::server::{LISTS, NAMESPACE, Server};

/// Verb, group and resource, as `list sluice.dev/xdpfilters`.
type Rights = BTreeSet<String>;

/// Asked for by an apply that makes the object, and not written down as a request of its own.
const WITH_APPLY: &str = "create sluice.dev/xdpnodes";

/// Every verb of every line of its roles was used, so that without it a request of this test would have been refused. What
/// was refused is what the test has it try.
pub fn each_right_is_needed(server: &Server) {
    let mut granted = granted(server);
    assert!(granted.remove(WITH_APPLY));
    an_apply_needs_create(server);
    assert!(granted.len() > 20 && granted.contains("patch sluice.dev/xdpfilters/status"), "{granted:?}");
    let all_used = || {
        let used = requests(server).into_iter().filter(|(_, refused)| !refused).map(|(right, _)| right);
        let used: Rights = used.collect();
        let idle: Vec<_> = granted.difference(&used).cloned().collect();
        anyhow::ensure!(idle.is_empty(), "granted and never used: {idle:?}");
        assert!(used.is_subset(&granted), "used without a line: {:?}", used.difference(&granted));
        Ok(Some(()))
    };
    // The log is written behind the answers.
    eventually(PATIENCE, || Ok(all_used().ok().flatten())).unwrap_or_else(|_| all_used().map(drop).unwrap());
    let refused: Rights =
        requests(server).into_iter().filter(|(_, refused)| *refused).map(|(right, _)| right).collect();
    let tried = ["list /configmaps", "watch /configmaps"].map(str::to_owned);
    assert!(refused.iter().all(|right| tried.contains(right)), "refused: {refused:?}");
}

fn an_apply_needs_create(server: &Server) {
    let account = format!("--as=system:serviceaccount:{NAMESPACE}:sluice-operator");
    let file = server.directory.path().join("node.yaml");
    let mut made = 0;
    let mut makes = || {
        made += 1;
        let node = format!(
            "{{apiVersion: sluice.dev/v1alpha1, kind: XdpNode, metadata: {{name: made-{made}}}, spec: {{}}}}"
        );
        std::fs::write(&file, node).unwrap();
        let file = file.display().to_string();
        server.cluster.kubectl(&["apply", "--server-side", "--validate=false", &account, "-f", &file])
    };
    makes().unwrap();
    let role = server.kubectl(&["get", "clusterrole", "sluice-operator", "-o", "json"]);
    let without = role.replacen("\"create\",\n                \"patch\"", "\"patch\"", 1);
    assert_ne!(role, without);
    let file = server.directory.path().join("role.json");
    std::fs::write(&file, without).unwrap();
    server.kubectl(&["replace", "-f", &file.display().to_string()]);
    // The authorizer follows the roles at its own pace.
    let refusal = eventually(PATIENCE, || Ok(makes().err().map(|error| format!("{error:#}"))));
    assert!(refusal.as_ref().is_ok_and(|said| said.contains("cannot create resource")), "{refusal:?}");
}

fn granted(server: &Server) -> Rights {
    let roles = [
        &["clusterrole", "sluice-operator"][..],
        &["role", "sluice-operator", "-n", "default"],
        &["role", "sluice-operator-lists", "-n", LISTS],
    ];
    let mut rights = Rights::new();
    for role in roles {
        let role = server.kubectl(&[&["get", "-o", "json"], role].concat());
        let role: Value = serde_json::from_str(&role).unwrap();
        for rule in role["rules"].as_array().unwrap() {
            let words = |field: &str| {
                let words = rule[field].as_array().cloned().unwrap_or_default();
                words.into_iter().map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<_>>()
            };
            for (group, resource) in words("apiGroups")
                .iter()
                .flat_map(|group| words("resources").into_iter().map(move |resource| (group, resource)))
            {
                rights.extend(words("verbs").iter().map(|verb| format!("{verb} {group}/{resource}")));
            }
        }
    }
    rights
}

/// Of the operator's account, and whether each was refused. What every account may (its own reviews, discovery) is none of
/// its rights.
fn requests(server: &Server) -> Vec<(String, bool)> {
    let account = format!("system:serviceaccount:{NAMESPACE}:sluice-operator");
    let text = std::fs::read_to_string(server.cluster.audit_log()).unwrap();
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_account = events.filter(|event| event["user"]["username"] == account.as_str());
    let requests = of_account.filter(|event| event["objectRef"]["resource"].is_string());
    let request = |event: Value| {
        let word = |field: &str| event["objectRef"][field].as_str().unwrap_or_default().to_owned();
        let below = Some(word("subresource")).filter(|below| !below.is_empty());
        let resource = [word("resource")].into_iter().chain(below).collect::<Vec<_>>().join("/");
        let verb = event["verb"].as_str().unwrap_or_default();
        (format!("{verb} {}/{resource}", word("apiGroup")), event["responseStatus"]["code"] == 403)
    };
    requests.map(request).collect()
}
