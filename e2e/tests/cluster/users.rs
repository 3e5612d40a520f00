//! Users of the CLI who are no administrators.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sluice_e2e::cluster::{Cluster, output};
use sluice_e2e::process::program;

/// `viewer` and `stranger` reach the operator by the chart's role for that; `viewer` may list filters and nodes, `stranger`
/// nothing. `debugger` may run commands in the pods.
const RIGHTS: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: viewer, namespace: default}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: stranger, namespace: default}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: debugger, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: debugger}
rules:
- {apiGroups: [\"\"], resources: [pods], verbs: [get, list]}
- {apiGroups: [\"\"], resources: [pods/exec], verbs: [create, get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: debugger}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: debugger}
subjects: [{kind: ServiceAccount, name: debugger, namespace: default}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: viewer}
rules:
- {apiGroups: [sluice.dev], resources: [xdpfilters, xdpnodes], verbs: [list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: viewer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: viewer}
subjects: [{kind: ServiceAccount, name: viewer, namespace: default}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: users, namespace: sluice-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: sluice-cli}
subjects:
- {kind: ServiceAccount, name: viewer, namespace: default}
- {kind: ServiceAccount, name: stranger, namespace: default}
";

pub struct User {
    kubeconfig: PathBuf,
}

impl User {
    /// `viewer`, `stranger` and `debugger`.
    pub fn create(cluster: &Cluster, directory: &Path) -> [User; 3] {
        cluster.apply(RIGHTS).unwrap();
        ["viewer", "stranger", "debugger"].map(|name| {
            let token = cluster.kubectl(&["create", "token", name]).unwrap();
            User { kubeconfig: cluster.kubeconfig_of(name, &token, directory).unwrap() }
        })
    }

    fn sluice(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(program("kubectl-sluice")?);
        output(command.env("KUBECONFIG", &self.kubeconfig).args(arguments))
    }

    pub fn counters(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.sluice(&["get", "counters", "edge", "-o", "json"])?)?)
    }

    pub fn sees_only_what_it_may_list(&self) {
        let status = self.sluice(&["status"]).unwrap();
        assert!(status.contains("edge") && !status.contains("web"), "{status}");
        assert!(self.sluice(&["nodes"]).unwrap().contains("node-c"));
        let replicas = self.sluice(&["replicas"]).unwrap();
        let states = |state: &str| replicas.matches(state).count();
        assert_eq!((states("decides"), states("follows")), (1, 2), "{replicas}");
        let refused = self.sluice(&["confirm-deletion"]).unwrap_err().to_string();
        assert!(refused.contains("system:serviceaccount:default:viewer may not delete"), "{refused}");
    }

    pub fn is_told_why(&self) {
        let why = self.sluice(&["why", "node-a", "edge"]).unwrap();
        assert!(why.starts_with("XdpFilter/edge is in force on node-a: Programmed"), "{why}");
    }

    pub fn changes_levels(&self) {
        let said = self.sluice(&["log-level", "node/node-a", "debug", "--for", "5s"]).unwrap();
        assert!(said.starts_with("sluice-agent-") && said.contains(": debug until 20"), "{said}");
        let said = self.sluice(&["log-level", "operator"]).unwrap();
        assert_eq!(said.lines().filter(|line| line.ends_with(", as usual")).count(), 3, "{said}");
        let nobody = self.sluice(&["log-level", "node/node-x"]).unwrap_err().to_string();
        assert!(
            nobody.contains("no agent pod in namespace sluice-system with spec.nodeName=node-x"),
            "{nobody}"
        );
    }

    pub fn may_change_no_level(&self) {
        let refused = self.sluice(&["log-level", "operator", "debug"]).unwrap_err().to_string();
        assert!(refused.contains("you need the right to exec in pods of sluice-system"), "{refused}");
    }

    /// While the example's filter drops packets.
    pub fn sees_drops(&self) {
        let seen = self.sluice(&["drops", "-f", "-c", "1", "--policy", "edge"]).unwrap();
        assert!(seen.contains(" -- edge: udp-flood (Filter)"), "{seen}");
    }

    pub fn is_refused_drops(&self) {
        let refused = self.sluice(&["drops"]).unwrap_err().to_string();
        let words = "system:serviceaccount:default:stranger may list neither xdpfilters.sluice.dev nor";
        assert!(refused.contains(words), "{refused}");
    }
}
