//! Users of the CLI, bound to the chart's role for them or to nothing; and agents, who have no rights at all.

use sluice_e2e::process::eventually;
use sluice_proto::v1::{DropSample, SampleBatch};
use tonic::{Code, Status};

use crate::agent::{Agent, Stream};
use crate::server::{Operator, Server};
use crate::watcher::Watcher;
use crate::{BALANCER, PATIENCE};

/// `ann` has the chart's role everywhere, `tom` in one namespace, which has no filters; `eve` has none.
const USERS: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: ann, namespace: sluice-system}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: tom, namespace: sluice-system}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: eve, namespace: sluice-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: ann-sluice}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: sluice-view}
subjects: [{kind: ServiceAccount, name: ann, namespace: sluice-system}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: tom-sluice, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: sluice-view}
subjects: [{kind: ServiceAccount, name: tom, namespace: sluice-system}]
";

/// Of a filter, which belongs to no namespace, and of a balancer in `default`.
pub fn drops_are_shown_to_who_may_list_their_policies(
    server: &Server,
    operator: &Operator,
    agent: &Agent<'_>,
    stream: &mut Stream,
) {
    server.cluster.apply(USERS).unwrap();
    server.cluster.apply(BALANCER).unwrap();
    server.wait_for_condition("xdploadbalancer/shop", "NoNodes");
    let watch = |user: &str| Watcher::with_token(operator, &server.token(user, &[]));

    let refused = |user: &str| watch(user).map(drop).expect_err(user);
    assert_refused(
        &refused("eve"),
        Code::PermissionDenied,
        "system:serviceaccount:sluice-system:eve may list neither xdpfilters.sluice.dev nor xdpaddresssets.sluice.dev \
         nor, in any namespace that has some, xdploadbalancers.sluice.dev",
    );
    let stranger = Watcher::with_token(operator, "no token at all").map(drop).expect_err("a stranger");
    assert_refused(&stranger, Code::Unauthenticated, "the API server does not know this token");

    // The API server may hear of a new binding a moment late.
    let admitted = |user: &str| {
        let watcher = eventually(PATIENCE, || Ok(watch(user).ok()));
        watcher.unwrap_or_else(|error| panic!("{user}: {error:#}\n{}", operator.log()))
    };
    let [mut ann, mut tom] = ["ann", "tom"].map(admitted);
    agent.send_samples(stream, samples(server));
    let seen = [&mut ann, &mut tom].map(|watcher| {
        let batch = watcher.next();
        let policies: Vec<String> = batch.drops.into_iter().map(|drop| drop.policy).collect();
        (batch.node, policies, batch.suppressed)
    });
    let of = |policies: &[&str], suppressed| {
        let policies = policies.iter().map(|&policy| policy.to_owned()).collect::<Vec<_>>();
        ("node-a".to_owned(), policies, suppressed)
    };
    assert_eq!(
        seen,
        [of(&["nowhere", "shop"], 9), of(&["shop"], 0)],
        "how much is dropped is a node's matter"
    );
    server.kubectl(&["delete", "xdploadbalancer", "shop"]);
}

fn samples(server: &Server) -> SampleBatch {
    let sample = |(kind, name)| {
        let object = server.cluster.object(kind, name).unwrap();
        let policy_uid = object["metadata"]["uid"].as_str().unwrap().to_owned();
        DropSample { policy_uid, ..DropSample::default() }
    };
    let samples = [("xdpfilter", "nowhere"), ("xdploadbalancer", "shop")].map(sample);
    SampleBatch { samples: samples.into(), suppressed: 9, ..SampleBatch::default() }
}

fn assert_refused(status: &Status, code: Code, words: &str) {
    assert_eq!(status.code(), code, "{status}");
    assert!(status.message().contains(words), "{status}");
}

/// By a real call for each kind of object that the API server lists, and by its own account of what the agents' may.
pub fn an_agents_account_reads_nothing(server: &Server) {
    let as_account = |account: &str| {
        let file =
            server.cluster.kubeconfig_of(account, &server.token(account, &[]), server.directory.path());
        format!("--kubeconfig={}", file.unwrap().display())
    };
    // kubectl runs where the API server does.
    let here = "--server=https://127.0.0.1";
    let [agent, stranger] = ["sluice-agent", "other"].map(as_account);
    let rights = |account: &str| server.kubectl(&[account, here, "auth", "can-i", "--list", "--no-headers"]);
    assert_eq!(rights(&agent), rights(&stranger), "an account that nothing is bound to");

    let kinds = server.kubectl(&["api-resources", "--verbs=list", "--output=name"]);
    let kinds: Vec<&str> = kinds.split_whitespace().collect();
    assert!(
        ["secrets", "nodes", "xdpfilters.sluice.dev"].iter().all(|kind| kinds.contains(kind)),
        "{kinds:?}"
    );
    let get = [&agent, here, "get", &kinds.join(","), "--all-namespaces"];
    let answer = server.cluster.kubectl_command(&get).output().unwrap();
    let (said, refused) = (String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr));
    let is_refused = |kind: &&str| {
        let name = kind.split('.').next().unwrap_or(kind);
        refused.contains(&format!("cannot list resource \"{name}\""))
    };
    let unrefused: Vec<_> = kinds.iter().filter(|kind| **kind != EVERYBODYS && !is_refused(kind)).collect();
    assert!(said.is_empty() && unrefused.is_empty(), "{unrefused:?}: {said}\n{refused}");
}

/// Authorities' certificates, which the API server shows to every account.
const EVERYBODYS: &str = "clustertrustbundles.certificates.k8s.io";
