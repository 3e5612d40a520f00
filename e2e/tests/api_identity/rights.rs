//! The operator's rights, held against what it did: the API server wrote down every request of its account.

use std::collections::BTreeSet;

use serde_json::Value;
use sluice_e2e::process::eventually;

use crate::PATIENCE;
use crate::roles::Roles;
use crate::server::{NAMESPACE, Server};

/// Verb, group and resource, as `list sluice.dev/xdpfilters`.
type Rights = BTreeSet<String>;

/// Asked for by an apply that makes the object, and not written down as a request of its own.
pub const WITH_APPLY: &str = "create sluice.dev/xdpnodes";

/// Every verb of every line of its roles was used, and nothing else was asked for. What was refused is what the test has it
/// try.
pub fn each_right_is_used(server: &Server) {
    let mut granted: Rights = Roles::read(server).lines().iter().map(ToString::to_string).collect();
    assert!(granted.remove(WITH_APPLY));
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
    let tried = ["list /configmaps", "watch /configmaps"].map(str::to_owned);
    let refused = refused(server);
    assert!(refused.iter().all(|right| tried.contains(right)), "refused: {refused:?}");
}

/// What the operator's account was refused.
pub fn refused(server: &Server) -> Rights {
    requests(server).into_iter().filter(|(_, refused)| *refused).map(|(right, _)| right).collect()
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
