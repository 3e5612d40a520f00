//! A user of the CLI who is no administrator.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sluice_e2e::cluster::{Cluster, output};
use sluice_e2e::process::program;

/// May list filters and nodes, and reach the operator; nothing else.
const RIGHTS: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: viewer, namespace: default}
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
kind: Role
metadata: {name: reach-sluice, namespace: sluice-system}
rules:
- {apiGroups: [''], resources: [configmaps], resourceNames: [sluice-ca], verbs: [get]}
- {apiGroups: [''], resources: [pods], verbs: [list]}
- {apiGroups: [''], resources: [pods/portforward], verbs: [create, get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reach-sluice, namespace: sluice-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reach-sluice}
subjects: [{kind: ServiceAccount, name: viewer, namespace: default}]
";

pub struct Viewer {
    kubeconfig: PathBuf,
}

impl Viewer {
    pub fn create(cluster: &Cluster, directory: &Path) -> Viewer {
        cluster.apply(RIGHTS).unwrap();
        let token = cluster.kubectl(&["create", "token", "viewer"]).unwrap();
        let kubeconfig = cluster.kubeconfig_of("viewer", &token, directory).unwrap();
        Viewer { kubeconfig }
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
        let refused = self.sluice(&["confirm-deletion"]).unwrap_err().to_string();
        assert!(refused.contains("system:serviceaccount:default:viewer may not delete"), "{refused}");
    }
}
