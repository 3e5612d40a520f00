//! A real Kubernetes of namespaces, by the scripts in `e2e/cluster`; it goes when this process does.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::netns::Netns;
use crate::process::{eventually, program};

pub struct Cluster {
    name: String,
    scripts: PathBuf,
    pub kubeconfig: PathBuf,
}

impl Cluster {
    /// API server and etcd only.
    pub fn api(name: &str) -> anyhow::Result<Cluster> {
        Cluster::start(name, "api-up.sh", &[])
    }

    /// All of it, with these nodes, which have images of the programs that were built last. Each node imports them itself,
    /// all at once, before it is Ready.
    pub fn with_nodes(name: &str, nodes: &[&str]) -> anyhow::Result<Cluster> {
        let images = tempfile::tempdir()?;
        let built = program("sluice-agent")?;
        let built = built.parent().context("a program lies in a directory")?;
        output(Command::new(scripts().join("images.py")).arg(built).arg(images.path()))?;
        let tars = ["operator", "agent", "cli"].map(|image| images.path().join(format!("{image}.tar")));
        let tars = tars.map(|tar| tar.display().to_string());
        let mut arguments: Vec<&str> = tars.iter().flat_map(|tar| ["--image", tar.as_str()]).collect();
        arguments.extend(nodes);
        Cluster::start(name, "up.sh", &arguments)
    }

    fn start(prefix: &str, script: &str, nodes: &[&str]) -> anyhow::Result<Cluster> {
        let pid = std::process::id().to_string();
        let mut cluster =
            Cluster { name: format!("{prefix}-{pid}"), scripts: scripts(), kubeconfig: PathBuf::new() };
        let said = cluster.script(script, &[&["--owner", pid.as_str()], nodes].concat())?;
        let path = said.lines().find_map(|line| line.strip_prefix("KUBECONFIG="));
        cluster.kubeconfig = path.with_context(|| format!("{script} names no kubeconfig"))?.into();
        Ok(cluster)
    }

    /// Runs a script of `e2e/cluster`; its output, or all that it said.
    pub fn script(&self, name: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(self.scripts.join(name));
        output(command.env("CLUSTER", &self.name).args(arguments))
    }

    /// What accounts of namespace sluice-system asked for, an event in JSON on each line.
    pub fn audit_log(&self) -> PathBuf {
        self.state().join("audit.log")
    }

    /// Its own files: certificates, logs, etcd's data, and the socket where its API server answers.
    pub fn state(&self) -> PathBuf {
        let pki = self.kubeconfig.parent();
        pki.and_then(Path::parent).unwrap_or(Path::new(".")).to_owned()
    }

    /// kubectl as cluster admin.
    pub fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        output(&mut self.kubectl_command(arguments))
    }

    /// The same, not run yet.
    pub fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.scripts.join("k"));
        // Clusters come and go under one address; what kubectl remembers of one goes with it.
        let cache = self.kubeconfig.with_file_name("kubectl-cache");
        command.env("CLUSTER", &self.name).env("KUBECACHEDIR", cache).args(arguments);
        command
    }

    /// A kubeconfig in `directory` for who has this token and nothing else.
    pub fn kubeconfig_of(&self, name: &str, token: &str, directory: &Path) -> anyhow::Result<PathBuf> {
        let kubeconfig = directory.join(format!("{name}.kubeconfig"));
        std::fs::copy(&self.kubeconfig, &kubeconfig)?;
        let of = format!("--kubeconfig={}", kubeconfig.display());
        let token = format!("--token={}", token.trim());
        self.kubectl(&[&of, "config", "set-credentials", name, &token])?;
        self.kubectl(&[&of, "config", "set-context", "--current", &format!("--user={name}")])?;
        Ok(kubeconfig)
    }

    /// An object as the API server has it.
    pub fn object(&self, kind: &str, name: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.kubectl(&["get", kind, name, "-o", "json"])?)?)
    }

    /// Creates or changes what a text of YAML describes.
    pub fn apply(&self, yaml: &str) -> anyhow::Result<String> {
        let file = tempfile::Builder::new().suffix(".yaml").tempfile()?;
        std::fs::write(file.path(), yaml)?;
        self.kubectl(&["apply", "-f", &file.path().display().to_string()])
    }

    /// Asks until `is` is true of an object.
    pub fn wait_for(
        &self,
        kind: &str,
        name: &str,
        within: Duration,
        mut is: impl FnMut(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let mut last = None;
        let found = eventually(within, || {
            last = self.object(kind, name).ok();
            Ok(last.clone().filter(|object| is(object)))
        });
        found.with_context(|| {
            let status = last.map(|last| last["status"].to_string()).unwrap_or_default();
            format!("{kind} {name} stays {status}\n{}", self.last_words())
        })
    }

    /// The ends of the logs of all our pods, for a failing test's message.
    pub fn last_words(&self) -> String {
        let logs = ["logs", "-n=sluice-system", "-l=app.kubernetes.io/name=sluice", "--prefix", "--tail=15"];
        self.kubectl(&logs).unwrap_or_else(|error| format!("{error:#}"))
    }

    /// Helm, with the administrator's rights.
    pub fn helm(&self, arguments: &[&str]) -> anyhow::Result<String> {
        // What hooks print is on standard error.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" 2>&1"]).arg(self.scripts.join("helm"));
        output(command.env("KUBECONFIG", &self.kubeconfig).env("CLUSTER", &self.name).args(arguments))
    }

    /// A command inside all namespaces of a node.
    pub fn on_node(&self, node: &str, command: &[&str]) -> anyhow::Result<String> {
        self.script("node-exec.sh", &[&[node], command].concat())
    }

    pub fn netns(&self, of: &str) -> Netns {
        Netns::existing(&format!("{}.{of}", self.name))
    }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster")
}

/// Standard output, or an error with all that was said.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let Output { status, stdout, stderr } = command.output().with_context(|| format!("{command:?}"))?;
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    if !status.success() {
        bail!("{command:?}: {status}\n{stdout}{}", String::from_utf8_lossy(&stderr));
    }
    Ok(stdout)
}
