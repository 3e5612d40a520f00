//! An API server with the accounts and rights of the chart, and an operator under one of them.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use sluice_e2e::cluster::Cluster;
use sluice_e2e::process::{Process, eventually, program};
use sluice_proto::OPERATOR_NAME;
use tempfile::TempDir;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::PATIENCE;

pub const NAMESPACE: &str = "sluice-system";
/// The only namespace whose ConfigMaps the operator may read.
pub const LISTS: &str = "lists";

pub struct Server {
    pub cluster: Cluster,
    pub directory: TempDir,
}

pub struct Operator {
    address: String,
    ca: String,
    process: Process,
}

impl Operator {
    /// With this certificate, or with none.
    pub async fn channel(&self, identity: Option<&Identity>) -> Channel {
        let mut tls =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.ca)).domain_name(OPERATOR_NAME);
        if let Some(identity) = identity {
            tls = tls.identity(identity.clone());
        }
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address)).unwrap();
        endpoint.tls_config(tls).unwrap().connect().await.unwrap()
    }

    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// As JSON, which is YAML too.
const POOLS: &str = r#"[{"name": "public", "prefixes": ["203.0.113.0/24"], "namespaces": []}]"#;

/// Pods that nobody runs: their tokens say where they would. One is of another account.
const PODS: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: other, namespace: sluice-system}
---
apiVersion: v1
kind: Node
metadata: {name: node-a}
---
apiVersion: v1
kind: Node
metadata: {name: node-b}
---
apiVersion: v1
kind: Pod
metadata: {name: agent-a, namespace: sluice-system}
spec: {serviceAccountName: sluice-agent, nodeName: node-a, containers: [{name: agent, image: none}]}
---
apiVersion: v1
kind: Pod
metadata: {name: agent-b, namespace: sluice-system}
spec: {serviceAccountName: sluice-agent, nodeName: node-b, containers: [{name: agent, image: none}]}
---
apiVersion: v1
kind: Pod
metadata: {name: other, namespace: sluice-system}
spec: {serviceAccountName: other, nodeName: node-b, containers: [{name: agent, image: none}]}
";

impl Server {
    /// With a name that no other has.
    pub fn start(name: &str) -> Server {
        let server = Server { cluster: Cluster::api(name).unwrap(), directory: TempDir::new().unwrap() };
        server.kubectl(&["create", "namespace", NAMESPACE]);
        server.kubectl(&["create", "namespace", LISTS]);
        let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/sluice");
        let mut render = vec!["template", "sluice", chart, "--namespace", NAMESPACE, "--kube-version=1.37.0"];
        let pools = format!("--set-json=fleet.addressPools={POOLS}");
        render.push(&pools);
        let lists = format!("--set=addressSets.configMapNamespaces={{{LISTS}}}");
        render.push(&lists);
        render.push("--set=agent.readinessTaint=true");
        let parts = ["crds", "operator-rbac", "user-rbac", "agent"]
            .map(|part| format!("--show-only=templates/{part}.yaml"));
        render.extend(parts.iter().map(String::as_str));
        server.cluster.apply(&server.cluster.helm(&render).unwrap()).unwrap();
        server.kubectl(&["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"]);
        server.cluster.apply(PODS).unwrap();
        server
    }

    /// With the token of its account and nothing else.
    pub fn start_operator(&self) -> Operator {
        let token = self.token("sluice-operator", &[]);
        let kubeconfig = self.cluster.kubeconfig_of("operator", &token, self.directory.path()).unwrap();
        let data = self.directory.path().join("data");
        let fleet = self.directory.path().join("fleet.yaml");
        std::fs::write(&fleet, format!("addressPools: {POOLS}")).unwrap();
        let [address, metrics] = [free_address(), free_address()];
        let mut command = Command::new(program("sluice-operator").unwrap());
        command.env("KUBECONFIG", &kubeconfig);
        command
            .args(["--source", "kubernetes", "--namespace", NAMESPACE, "--readiness-taint", "--data"])
            .arg(&data);
        command.arg("--fleet").arg(&fleet);
        command.args(["--listen", &address, "--metrics", &metrics]);
        let process = Process::start("operator", self.directory.path(), command).unwrap();
        let ca = eventually(PATIENCE, || Ok(read(&data.join("pki/ca.crt")).filter(|_| connects(&address))));
        let ca = ca.unwrap_or_else(|error| panic!("no operator: {error:#}\n{}", process.log()));
        Operator { address, ca, process }
    }

    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.cluster.kubectl(arguments).unwrap()
    }

    /// A token of an account, for these audiences; for the API server's own when there is none.
    pub fn token(&self, account: &str, audiences: &[&str]) -> String {
        self.create_token(account, audiences, &[])
    }

    /// The token that a kubelet would project into the pod.
    pub fn token_of_pod(&self, pod: &str, audiences: &[&str]) -> String {
        let found =
            self.kubectl(&["get", "pod", pod, "-n", NAMESPACE, "-o", "jsonpath={.spec.serviceAccountName}"]);
        let bound = ["--bound-object-kind=Pod".to_owned(), format!("--bound-object-name={pod}")];
        self.create_token(&found, audiences, &bound)
    }

    fn create_token(&self, account: &str, audiences: &[&str], more: &[String]) -> String {
        let audiences: Vec<String> =
            audiences.iter().map(|audience| format!("--audience={audience}")).collect();
        let mut arguments = vec!["create", "token", account, "-n", NAMESPACE];
        arguments.extend(audiences.iter().chain(more).map(String::as_str));
        self.kubectl(&arguments).trim().to_owned()
    }

    /// Whether an account may; for everything in every namespace.
    pub fn may(&self, account: &str, verb: &str, what: &str) -> bool {
        let account = format!("--as=system:serviceaccount:{NAMESPACE}:{account}");
        // Exit code 1 means no.
        self.cluster.kubectl(&["auth", "can-i", verb, what, "--all-namespaces", &account]).is_ok()
    }

    /// Waits until an object's condition Ready has this reason; its message.
    pub fn wait_for_condition(&self, object: &str, reason: &str) -> String {
        let (kind, name) = object.split_once('/').unwrap();
        let found = self.cluster.wait_for(kind, name, PATIENCE, |object| ready(object)["reason"] == reason);
        ready(&found.unwrap())["message"].as_str().unwrap().to_owned()
    }

    /// What a kubelet says of a pod, where there is none.
    pub fn set_pod_status(&self, pod: &str, status: &Value) {
        let patch = json!({"status": status}).to_string();
        let pod = ["patch", "pod", pod, "-n", NAMESPACE];
        self.kubectl(&[&pod[..], &["--subresource=status", "--type=merge", "--patch", &patch]].concat());
    }
}

/// An object's condition Ready.
pub fn ready(object: &Value) -> &Value {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().find(|one| one["type"] == "Ready").unwrap_or(&Value::Null)
}

fn read(file: &Path) -> Option<String> {
    std::fs::read_to_string(file).ok()
}

fn connects(address: &str) -> bool {
    std::net::TcpStream::connect(address).is_ok()
}

fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
