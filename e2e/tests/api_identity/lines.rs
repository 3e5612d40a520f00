//! Each line of the operator's roles is taken away in turn: the API server refuses what it was for, and the operator says so.

use serde_json::{Value, json};
use sluice_e2e::process::eventually;
use sluice_proto::v1::{Drift, Report};

use crate::agent::{Agent, Stream};
use crate::rights::{WITH_APPLY, refused};
use crate::roles::{Line, Roles};
use crate::server::{NAMESPACE, Operator, Server};
use crate::truth::wait_for;
use crate::watcher::Watcher;
use crate::{AUDIENCE, PATIENCE, taint};

pub fn each_line_is_missed(server: &Server, operator: Operator) {
    let mut roles = Roles::read(server);
    let (read, done): (Vec<Line>, Vec<Line>) = roles.lines().into_iter().partition(is_read_at_the_start);
    assert!(read.len() == 15 && done.len() == 14, "a line that is new: have what it is for be done here");
    each_is_missed_at_work(&mut roles, &done, server, &operator);
    drop(operator);
    for line in read {
        roles.without(&line);
        let operator = server.start_operator();
        wait_until_said(&line, || operator.log());
        wait_until_refused(server, &line);
    }
    roles.whole();
}

fn each_is_missed_at_work(roles: &mut Roles<'_>, lines: &[Line], server: &Server, operator: &Operator) {
    let agent = Agent::at(operator);
    let mut world = World::new(server, operator, &agent);
    for line in lines {
        roles.without(line);
        world.have_done(line);
        wait_until_refused(server, line);
    }
    roles.whole();
    // What was refused is done once it may be.
    let node = server
        .cluster
        .wait_for("node", "node-b", PATIENCE, |node| taint::keys(node).any(|key| key == taint::KEY));
    node.unwrap_or_else(|error| panic!("{error:#}\n{}", operator.log()));
}

/// A watch that is open goes on without the right to it, and what is listed is listed once.
fn is_read_at_the_start(line: &Line) -> bool {
    ["list", "watch"].contains(&line.verb.as_str()) && line.resource != "configmaps"
}

/// In the API server's own words, which name the right.
fn wait_until_said(line: &Line, mut said: impl FnMut() -> String) {
    let words = format!("cannot {} resource \"{}\"", line.verb, line.resource);
    // Logs are JSON, in which a quotation mark is escaped.
    let found = eventually(PATIENCE, || Ok(said().replace('\\', "").contains(&words).then_some(())));
    found.unwrap_or_else(|_| panic!("nobody says of {line} that it {words}:\n{}", said()));
}

fn wait_until_refused(server: &Server, line: &Line) {
    let request = if line.to_string() == WITH_APPLY {
        "patch sluice.dev/xdpnodes".to_owned()
    } else {
        line.to_string()
    };
    let found = eventually(PATIENCE, || Ok(refused(server).contains(&request).then_some(())));
    found.unwrap_or_else(|_| panic!("{line} was not refused, only {:?}", refused(server)));
}

/// What gives an operator something to do.
struct World<'a> {
    server: &'a Server,
    operator: &'a Operator,
    agent: &'a Agent<'a>,
    /// Of a node that has been meddled with once.
    meddled: Stream,
}

impl World<'_> {
    fn new<'a>(server: &'a Server, operator: &'a Operator, agent: &'a Agent<'a>) -> World<'a> {
        let meddled = join(server, agent, "meddled");
        server.wait_for_condition("xdpnode/meddled", "Connected");
        let mut world = World { server, operator, agent, meddled };
        world.meddle(1);
        wait_for(server, "meddled", "DriftRepaired", 1);
        world
    }

    /// What the line is for; the operator has said what it lacks when this returns.
    fn have_done(&mut self, line: &Line) {
        let server = self.server;
        match line.to_string().as_str() {
            "patch sluice.dev/xdpfilters/status" => make(server, "XdpFilter", "unwritten", FILTER),
            "create events.k8s.io/events" => make(server, "XdpFilter", "untold", FILTER),
            "patch sluice.dev/xdploadbalancers/status" => {
                make(server, "XdpLoadBalancer", "unwritten", BALANCER)
            }
            "patch sluice.dev/xdpaddresssets/status" => make(server, "XdpAddressSet", "unwritten", SET),
            "create sluice.dev/xdpnodes" => drop(join(server, self.agent, "unmade")),
            "patch sluice.dev/xdpnodes" => drop(join(server, self.agent, "unapplied")),
            "patch sluice.dev/xdpnodes/status" => drop(join(server, self.agent, "unwritten")),
            "delete sluice.dev/xdpnodes" => {
                // Made since the right to make it is back.
                server.cluster.wait_for("xdpnode", "unmade", PATIENCE, |_| true).unwrap();
                server.kubectl(&["delete", "node", "unmade"]);
            }
            "patch events.k8s.io/events" => self.meddle(2),
            // It is lost, so the operator puts it on again.
            "patch /nodes" => _ = server.kubectl(&["taint", "node", "node-b", &format!("{}-", taint::KEY)]),
            "create authentication.k8s.io/tokenreviews" => {
                let said = self.agent.enroll(&server.token_of_pod("agent-b", &[AUDIENCE])).map(drop);
                let said = said.expect_err("an agent that nobody vouches for");
                return wait_until_said(line, || said.message().to_owned());
            }
            "create authorization.k8s.io/subjectaccessreviews" => {
                let said = Watcher::with_token(self.operator, &server.token("ann", &[])).map(drop);
                let said = said.expect_err("a user of whom nobody knows what she may see");
                return wait_until_said(line, || said.message().to_owned());
            }
            "list /configmaps" | "watch /configmaps" => return self.read_list(&line.verb),
            other => panic!("nothing is done that asks for {other}"),
        }
        wait_until_said(line, || self.operator.log());
    }

    fn meddle(&mut self, count: u64) {
        let (what, place) = ("program_detached".into(), "eth0".into());
        let drift = Drift { what, place, repaired: true, count, age_ms: 0 };
        self.agent.report(&mut self.meddled, Report { drift: vec![drift], ..Report::default() });
    }

    /// A list that no set has named before is read when one does.
    fn read_list(&self, name: &str) {
        let spec = format!("configMaps: [{{namespace: lists, name: {name}}}]");
        make(self.server, "XdpAddressSet", name, &spec);
        let says = |set: &Value| {
            set["status"]["error"]
                .as_str()
                .is_some_and(|error| error.contains("the operator may not read it"))
        };
        self.server.cluster.wait_for("xdpaddressset", name, PATIENCE, says).unwrap();
    }
}

const FILTER: &str = "nodeSelector: {matchLabels: {role: none}}, interfaces: {names: [eth0]}";
const SET: &str = "entries: [{cidr: 203.0.113.0/24}]";
const BALANCER: &str = "nodeSelector: {matchLabels: {role: none}}, interfaces: {names: [eth0]}, addresses: [203.0.113.8], \
                        ports: [{name: http, protocol: TCP, port: 80}], backends: {static: [{address: 192.0.2.11}]}";

fn make(server: &Server, kind: &str, name: &str, spec: &str) {
    let object = format!(
        "{{apiVersion: sluice.dev/v1alpha1, kind: {kind}, metadata: {{name: {name}}}, spec: {{{spec}}}}}"
    );
    server.cluster.apply(&object).unwrap();
}

/// A node that the cluster and the operator have not heard of before, by its agent.
fn join(server: &Server, agent: &Agent<'_>, name: &str) -> Stream {
    let spec = json!({"serviceAccountName": "sluice-agent", "nodeName": name, "containers": [{"name": "agent", "image": "none"}]});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec});
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
    server.cluster.apply(&format!("{node}\n---\n{pod}")).unwrap();
    let identity = agent.enroll(&server.token_of_pod(name, &[AUDIENCE])).unwrap();
    agent.sync(&identity, name).unwrap()
}
