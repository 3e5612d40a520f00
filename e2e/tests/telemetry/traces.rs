//! The trace of an edit, over a real operator and a real agent.

use sluice_e2e::process::eventually;

use crate::collector::{Collector, PORT, Span};
use crate::{PATIENCE, filter, fleet};

const OPERATOR: &str = "sluice-operator";
const AGENT: &str = "sluice-agent";

/// Of one edit, as it was collected.
struct Trace(Vec<Span>);

impl Trace {
    /// Waits until the edit is through.
    fn of(collector: &Collector, object: &str, generation: &str) -> Trace {
        let through = eventually(PATIENCE, || {
            let spans = collector.spans();
            let is_root = |span: &&Span| {
                span.name == "edit"
                    && span.attribute("sluice.object") == object
                    && span.attribute("sluice.generation") == generation
            };
            let trace = spans.iter().find(is_root).map(|root| root.trace.clone());
            let of_it = trace.map(|trace| spans.iter().filter(|span| span.trace == trace).cloned().collect());
            // The agent sends its own when it likes.
            let has_agent = |spans: &Vec<Span>| spans.iter().any(|span| span.name == "apply");
            Ok(of_it.filter(has_agent))
        });
        let all = || collector.spans().iter().map(|span| span.name.clone()).collect::<Vec<_>>();
        Trace(through.unwrap_or_else(|error| panic!("{object} {generation}: {error}: {:?}", all())))
    }

    #[track_caller]
    fn one(&self, name: &str) -> &Span {
        let found: Vec<&Span> = self.0.iter().filter(|span| span.name == name).collect();
        let [one] = found[..] else { panic!("{} of {name}: {:#?}", found.len(), self.0) };
        one
    }
}

#[test]
fn one_edit_is_one_trace_from_the_object_to_its_status() {
    let directory = tempfile::tempdir().unwrap();
    let mut fleet = fleet("sltr", directory.path());
    let collector = Collector::start(&fleet.hub);
    // Reached from both; the agent by the interface that it filters.
    let endpoint = ["--otlp-endpoint".to_owned(), format!("http://10.80.1.1:{PORT}")];
    fleet.operator_arguments.extend(endpoint.clone());
    fleet.edges[0].arguments.extend(endpoint);
    fleet.start().unwrap();
    let first = fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    fleet.write_policy("edge.yaml", &filter(5354)).unwrap();
    fleet.wait_ready("edge", 1, &first.hash, PATIENCE).unwrap();

    let trace = Trace::of(&collector, "XdpFilter/edge", "2");
    let edit = trace.one("edit");
    assert!(edit.parent.is_empty() && edit.status == 1, "{edit:?}");
    for (name, service, parent) in [
        ("index", OPERATOR, "edit"),
        ("compile", OPERATOR, "edit"),
        ("commit", OPERATOR, "edit"),
        ("send", OPERATOR, "edit"),
        ("verify", AGENT, "send"),
        ("apply", AGENT, "send"),
        ("place-sets", AGENT, "apply"),
        ("load", AGENT, "apply"),
        ("self-test", AGENT, "apply"),
        ("read-back", AGENT, "apply"),
        ("swap", AGENT, "apply"),
        ("retire", AGENT, "apply"),
        ("persist", AGENT, "apply"),
        ("confirm", AGENT, "apply"),
        ("status", OPERATOR, "edit"),
    ] {
        let (span, parent) = (trace.one(name), trace.one(parent));
        assert_eq!(span.service, service, "{name}");
        assert_eq!(span.parent, parent.id, "{name} is no part of {}", parent.name);
        let is_within = parent.start <= span.start && span.end <= parent.end && span.start <= span.end;
        // One machine, one clock.
        assert!(is_within, "{name} is not within {}: {:#?}", parent.name, trace.0);
    }
    let order = [
        "index",
        "compile",
        "commit",
        "verify",
        "place-sets",
        "load",
        "self-test",
        "read-back",
        "swap",
        "retire",
        "persist",
        "confirm",
        "status",
    ];
    for pair in order.windows(2) {
        let [before, after] = [pair[0], pair[1]].map(|name| trace.one(name));
        assert!(before.start <= after.start, "{} comes before {}", after.name, before.name);
    }
    let send = trace.one("send");
    assert_eq!(send.attribute("node"), "edge-1");
    assert_eq!(trace.one("apply").attribute("epoch"), send.attribute("epoch"));
    assert_eq!(trace.0.len(), 16, "{:#?}", trace.0);
    // Nothing but edits begins a trace: neither libraries nor what agent and operator do by themselves.
    let spans = collector.spans();
    assert!(spans.iter().all(|span| !span.parent.is_empty() || span.name == "edit"), "{spans:#?}");

    // The log has the same by object and epoch.
    let log = fleet.operator.as_ref().unwrap().log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let epochs: Vec<String> = lines
        .map(|line| line["fields"].clone())
        .filter(|fields| fields["object"] == "XdpFilter/edge" && fields["generation"] == 2)
        .filter_map(|fields| Some(fields["epoch"].as_str()?.to_owned()))
        .collect();
    assert_eq!(epochs, [send.attribute("epoch")]);
}
