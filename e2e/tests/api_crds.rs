//! The custom resources on a real API server: what it admits, what it refuses and with which words, and what
//! `kubectl` shows. `sluice-admit` meets the same bad objects in its own tests.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::LazyLock;

use serde_json::{Value, json};
use sluice_crds::{
    Kind, MAX_ADDRESSES, MAX_BACKENDS, MAX_ENTRIES, MAX_FEW_ENTRIES, MAX_PAYLOADS, MAX_PORTS, MAX_RULES,
    MAX_SET_CONFIG_MAPS, MAX_SET_ENTRIES, MAX_SET_EXCEPT, MAX_SET_FEEDS, MAX_SET_FILES, MAX_SET_NAMES,
    XdpAddressSetSpec, XdpFilterSpec, XdpLoadBalancerSpec,
};
use sluice_e2e::cluster::Cluster;

/// An API server with the definitions installed; it goes when this process does.
static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

struct Server(Cluster);

impl Server {
    fn start() -> Self {
        let server = Self(Cluster::api("crds").unwrap());
        let generated = text(&repository().join("crds/generated"));
        server.must(&["apply", "--server-side", "-f", &generated]);
        server.must(&["wait", "--for=condition=Established", "--timeout=30s", "-f", &generated]);
        server
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.0.kubectl_command(arguments).output().unwrap()
    }

    /// What kubectl printed; a warning is as bad as a refusal.
    fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(
            output.status.success() && !err.contains("Warning"),
            "kubectl {}: {out}{err}",
            arguments.join(" ")
        );
        out.into_owned()
    }

    /// Feeds a JSON object to `kubectl … -f`.
    fn must_with(&self, arguments: &[&str], object: &Value) -> String {
        let mut file = tempfile::NamedTempFile::with_suffix(".json").unwrap();
        serde_json::to_writer(&mut file, object).unwrap();
        self.must(&[arguments, &["-f", &text(file.path())]].concat())
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn objects(folder: &str) -> Vec<PathBuf> {
    in_folder(&format!("crds/tests/{folder}"))
}

fn in_folder(folder: &str) -> Vec<PathBuf> {
    let folder = repository().join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// One call for all of them: kubectl goes on after a refusal and names the file in each.
#[test]
fn bad_objects_are_refused_with_the_expected_words() {
    let output =
        SERVER.run(&["create", "--dry-run=server", "-f", &text(&repository().join("crds/tests/bad"))]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "objects were admitted");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let refusals = refusals(&said);
    let mut wrong = Vec::new();
    for path in objects("bad") {
        let yaml = fs::read_to_string(&path).unwrap();
        let expected = yaml.lines().next().unwrap().strip_prefix("# expect: ").unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let file = format!("/{name}.yaml");
        let refusal =
            refusals.iter().find(|refusal| refusal.contains(&file)).map_or("nothing", String::as_str);
        if !refusal.contains(expected) {
            wrong.push(format!("{name}\n  expected: {expected}\n  said: {refusal}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(refusals.len(), objects("bad").len());
}

/// kubectl's errors one by one; those of an object with several faults go over several lines.
fn refusals(said: &str) -> Vec<String> {
    let mut refusals: Vec<String> = Vec::new();
    for line in said.lines() {
        match refusals.last_mut() {
            Some(last) if !(line.starts_with("The ") || line.starts_with("Error from server")) => {
                last.push('\n');
                last.push_str(line);
            }
            _ => refusals.push(line.to_owned()),
        }
    }
    refusals
}

#[test]
fn good_objects_are_admitted_and_differ_in_nothing_afterwards() {
    for path in objects("good").into_iter().chain(in_folder("docs/examples")) {
        let path = text(&path);
        SERVER.must(&["apply", "-f", &path]);
        SERVER.must(&["diff", "-f", &path]);
        SERVER.must(&["apply", "--server-side", "--force-conflicts", "-f", &path]);
        SERVER.must(&["diff", "--server-side", "--force-conflicts", "-f", &path]);
    }
}

/// CEL's cost at run time is charged per object, and only an object at every bound shows that it suffices.
#[test]
fn objects_at_the_bounds_are_admitted() {
    for object in [
        filter_of_ports(),
        filter_of_icmp(),
        filter_of_long_prefixes(),
        filter_of_frames(),
        filter_of_headers(),
        balancer_at_the_bounds(),
        set_at_the_bounds(),
    ] {
        SERVER.must_with(&["create", "--dry-run=server"], &object);
    }
}

#[test]
fn one_rule_more_is_refused_in_words_not_by_cost() {
    let mut filter = filter_of_ports();
    let rules = filter["spec"]["rules"].as_array_mut().unwrap();
    let mut last = rules[MAX_RULES - 1].clone();
    last["name"] = "one-more".into();
    rules.push(last);
    let mut file = tempfile::NamedTempFile::with_suffix(".json").unwrap();
    serde_json::to_writer(&mut file, &filter).unwrap();
    let output = SERVER.run(&["create", "--dry-run=server", "-f", &text(file.path())]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("must have at most {MAX_RULES} items")), "{said}");
}

#[test]
fn columns_show_the_status() {
    let filter = example("columns-filter", "XdpFilter", json!({"interfaces": {"defaultRoute": true}}));
    SERVER.must_with(&["apply", "--server-side"], &filter);
    SERVER.must_with(&["apply", "--server-side", "--subresource=status", "--field-manager=sluice"], &json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "XdpFilter", "metadata": {"name": "columns-filter"},
        "status": {"observedGeneration": 1, "rules": 0, "hash": "0123456789ab", "conditions": conditions(),
            "nodes": {"desired": 3, "accepted": 3, "programmed": 3, "rejected": 0, "unreachable": 0, "summary": "3/3"}}
    }));
    let row = |arguments: &[&str]| -> Vec<String> {
        let table = SERVER.must(arguments);
        table.lines().last().unwrap().split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(row(&["get", "xf", "columns-filter"])[..5], ["columns-filter", "Enforce", "0", "3/3", "True"]);
    let wide = row(&["get", "xf", "columns-filter", "-o", "wide"]);
    assert_eq!(wide[5..7], ["Programmed", "0123456789ab"]);

    let mut balancer = example("columns-balancer", "XdpLoadBalancer", balancer_spec());
    balancer["metadata"]["namespace"] = "default".into();
    SERVER.must_with(&["apply", "--server-side"], &balancer);
    SERVER.must_with(&["apply", "--server-side", "--subresource=status", "--field-manager=sluice"], &json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "XdpLoadBalancer",
        "metadata": {"name": "columns-balancer", "namespace": "default"},
        "status": {"healthy": "1/2", "conditions": conditions(),
            "ports": [{"name": "http", "healthy": 1, "total": 2}],
            "backends": [{"address": "192.0.2.1", "health": "Unhealthy", "message": "connection refused"}],
            "nodes": {"desired": 3, "accepted": 3, "programmed": 2, "rejected": 1, "unreachable": 0, "summary": "2/3",
                "failing": [{"node": "b", "reason": "VlanTagsStripped", "message": "ethtool -K eth0 rxvlan off"}]}}
    }));
    let columns = row(&["get", "xlb", "columns-balancer"]);
    assert_eq!(columns[..5], ["columns-balancer", "203.0.113.1", "1/2", "2/3", "True"]);

    let set = example("columns-set", "XdpAddressSet", json!({"entries": [{"cidr": "192.0.2.0/24"}]}));
    SERVER.must_with(&["apply", "--server-side"], &set);
    SERVER.must_with(&["apply", "--server-side", "--subresource=status", "--field-manager=sluice"], &json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "XdpAddressSet", "metadata": {"name": "columns-set"},
        "status": {"entries": 7, "prefixes": 5, "kernelBytes": 4096, "conditions": conditions(),
            "lastFetch": "2026-01-01T00:00:00Z", "hash": "0123456789ab",
            "feeds": [{"url": "https://feeds.example/", "entries": 7, "lastFetch": "2026-01-01T00:00:00Z"}],
            "nodes": {"desired": 3, "accepted": 3, "programmed": 3, "rejected": 0, "unreachable": 0, "summary": "3/3"}}
    }));
    assert_eq!(row(&["get", "xas", "columns-set"])[..5], ["columns-set", "7", "5", "3/3", "True"]);
    assert_eq!(row(&["get", "xas", "columns-set", "-o", "wide"])[5..7], ["Programmed", "4096"]);

    let category = SERVER.must(&["get", "sluice", "-A"]);
    assert!(category.contains("columns-filter") && category.contains("columns-balancer"), "{category}");
    SERVER.must_with(&["diff", "--server-side"], &filter);
}

/// `kubectl wait` heeds a condition's observedGeneration: after an edit the old Ready does not count.
#[test]
fn ready_can_be_waited_for() {
    let mut filter = example("awaited", "XdpFilter", json!({"interfaces": {"defaultRoute": true}}));
    SERVER.must_with(&["apply", "--server-side"], &filter);
    SERVER.must_with(
        &["apply", "--server-side", "--subresource=status", "--field-manager=sluice"],
        &json!({
            "apiVersion": "sluice.dev/v1alpha1", "kind": "XdpFilter", "metadata": {"name": "awaited"},
            "status": {"observedGeneration": 1, "conditions": conditions()}
        }),
    );
    SERVER.must(&["wait", "--for=condition=Ready", "--timeout=10s", "xf/awaited"]);
    filter["spec"]["priority"] = 7.into();
    SERVER.must_with(&["apply", "--server-side"], &filter);
    let waited = SERVER.run(&["wait", "--for=condition=Ready", "--timeout=1s", "xf/awaited"]);
    assert!(!waited.status.success(), "an old Ready counted for a new generation");
}

#[test]
fn explain_knows_every_field() {
    for kind in Kind::ALL {
        let page = SERVER.must(&["explain", kind.plural(), "--recursive"]);
        assert!(!page.contains("<no value>"), "{page}");
    }
    let page = SERVER.must(&["explain", "xf.spec.rules.laterFragments"]);
    assert!(page.contains("MatchL3") && page.contains("Default"), "{page}");
}

fn conditions() -> Value {
    ["Accepted", "Programmed", "Ready"]
        .map(|kind| {
            json!({"type": kind, "status": "True", "reason": "Programmed", "message": "", "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:00Z"})
        })
        .into()
}

fn example(name: &str, kind: &str, spec: Value) -> Value {
    json!({"apiVersion": "sluice.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn balancer_spec() -> Value {
    json!({
        "addresses": ["203.0.113.1"], "ports": [{"name": "http", "protocol": "TCP", "port": 80}],
        "interfaces": {"defaultRoute": true},
        "backends": {"static": [{"address": "192.0.2.1"}, {"address": "192.0.2.2"}]}
    })
}

/// Of so many rules one has full lists: the request may hold 3 MB.
const ONE_FULL_IN: usize = 4;

/// As many as a list takes; the long forms take turns, too.
fn filled<T>(item: impl Fn(usize) -> T) -> Vec<T> {
    (0..MAX_ENTRIES).map(item).collect()
}

/// As [`filled`], of lists that take few.
fn few<T>(item: impl Fn(usize) -> T) -> Vec<T> {
    (0..MAX_FEW_ENTRIES).map(item).collect()
}

fn filter_at_the_bounds(prefixes: Vec<String>, more: impl Fn(&mut Value)) -> Value {
    let rules: Vec<Value> = (0..MAX_RULES)
        .map(|index| {
            let name = format!("r{index:03}-{}", "n".repeat(58));
            if index % ONE_FULL_IN != 0 {
                return json!({"name": name, "action": "Drop", "match": {"sources": {"cidrs": prefixes[..1]}}});
            }
            let addresses = json!({"cidrs": prefixes, "except": prefixes});
            let mut rule = json!({
                "name": name, "action": "Drop", "mode": "Audit",
                "match": {"sources": addresses, "destinations": addresses,
                    "fragments": ["None", "First", "Later", "Tiny", "Any"]}
            });
            more(&mut rule);
            rule
        })
        .collect();
    let expressions: Vec<Value> = (0..16)
        .map(|index| {
            let values = filled(|value| format!("{value:063}"));
            json!({"key": format!("k{index}"), "operator": "In", "values": values})
        })
        .collect();
    let spec = json!({
        "interfaces": {
            "names": filled(|index| format!("interface-{index:05}")),
            "patterns": filled(|index| format!("{index:063}"))
        },
        "nodeSelector": {"matchExpressions": expressions},
        "rules": rules
    });
    serde_json::from_value::<XdpFilterSpec>(spec.clone())
        .expect("what an API server admits the operator can read");
    example("at-the-bounds", "XdpFilter", spec)
}

fn short_prefixes() -> Vec<String> {
    filled(|index| format!("10.0.{index}.0/24"))
}

/// What carries ports stands last, so that CEL looks at every protocol.
fn filter_of_ports() -> Value {
    filter_at_the_bounds(short_prefixes(), |rule| {
        let ports = filled(|_| "60000-65535");
        rule["laterFragments"] = "Drop".into();
        rule["match"]["sourcePorts"] = json!(ports);
        rule["match"]["destinationPorts"] = json!(ports);
        rule["match"]["protocols"] =
            filled(|index| if index + 1 == MAX_ENTRIES { "TCP" } else { "RSVP-E2E-IGNORE" }).into();
        rule["match"]["tcpFlags"] =
            json!({"set": ["FIN", "SYN", "RST", "PSH"], "unset": ["ACK", "URG", "ECE", "CWR"]});
    })
}

fn filter_of_icmp() -> Value {
    let prefixes = filled(|index| format!("fd00:{index:x}::/32"));
    filter_at_the_bounds(prefixes, |rule| {
        rule["match"]["icmp"] = filled(|_| json!({"family": "IPv6", "type": 255, "code": 255})).into();
        rule["match"]["protocols"] =
            filled(|index| if index + 1 == MAX_ENTRIES { "58" } else { "200" }).into();
    })
}

/// What makes it a match of IP stands last.
fn filter_of_frames() -> Value {
    filter_at_the_bounds(short_prefixes(), |rule| {
        let ids = few(|_| "3000-4095");
        rule["match"]["vlans"] = json!({"outer": ids, "inner": ids});
        rule["match"]["etherTypes"] =
            few(|index| if index + 1 == MAX_FEW_ENTRIES { "IPv4" } else { "PPPoEDiscovery" }).into();
        for field in ["sourceMacs", "destinationMacs"] {
            rule["match"][field] =
                few(|index| format!("02:00:5e:00:{index:02x}:00/ff:ff:ff:ff:ff:00")).into();
        }
    })
}

fn filter_of_headers() -> Value {
    filter_at_the_bounds(short_prefixes(), |rule| {
        rule["match"]["length"] = few(|_| "10000-65535").into();
        rule["match"]["ttl"] = few(|_| "100-255").into();
        rule["match"]["dscp"] = few(|_| "VOICE-ADMIT").into();
        rule["match"]["ecn"] = few(|_| "Not-ECT").into();
        let bytes = format!("0x{}", "ff".repeat(16));
        let place = json!({"from": "Payload", "offset": 1500, "value": bytes, "mask": bytes});
        rule["match"]["payload"] = vec![place; MAX_PAYLOADS].into();
        rule["match"]["ipOptions"] = json!([
            "Any",
            "RecordRoute",
            "Timestamp",
            "Security",
            "LSRR",
            "StreamId",
            "SSRR",
            "RouterAlert",
            "Other"
        ]);
    })
}

fn filter_of_long_prefixes() -> Value {
    filter_at_the_bounds(
        filled(|index| format!("2001:db8:1111:2222:3333:4444:5555:1{index:03x}/128")),
        |_| (),
    )
}

fn balancer_at_the_bounds() -> Value {
    let addresses: Vec<String> =
        (0..MAX_ADDRESSES).map(|index| format!("2001:db8:1111:2222:3333:4444:5555:1{index:03x}")).collect();
    let ports: Vec<Value> = (0..MAX_PORTS)
        .map(|index| json!({"name": format!("p{index:02}-{}", "n".repeat(59)), "protocol": "UDP", "port": 65000 + index}))
        .collect();
    let backends: Vec<Value> = (0..MAX_BACKENDS)
        .map(|index| json!({"address": format!("2001:db8:1111:2222:3333:4444:6666:1{index:03x}"), "weight": 256}))
        .collect();
    let spec = json!({
        "addresses": addresses, "ports": ports, "interfaces": {"defaultRoute": true}, "backends": {"static": backends},
        "healthCheck": {"tcp": {"port": 65535}, "interval": "59m59s", "timeout": "59m59s"}
    });
    serde_json::from_value::<XdpLoadBalancerSpec>(spec.clone())
        .expect("what an API server admits the operator can read");
    let mut balancer = example("at-the-bounds", "XdpLoadBalancer", spec);
    balancer["metadata"]["namespace"] = "default".into();
    balancer
}

fn set_at_the_bounds() -> Value {
    let entries: Vec<Value> = (0..MAX_SET_ENTRIES)
        .map(|index| {
            json!({"cidr": format!("2001:db8:1111:2222:3333:4444:{index:x}:1/128"), "comment": "n".repeat(128),
                "expiresAt": "2027-01-31T00:00:00.000000+00:00"})
        })
        .collect();
    let except: Vec<String> =
        (0..MAX_SET_EXCEPT).map(|index| format!("2001:db8:1111:2222:3333:5555:{index:x}:1/128")).collect();
    let config_maps: Vec<Value> = (0..MAX_SET_CONFIG_MAPS)
        .map(|_| json!({"namespace": "n".repeat(63), "name": "n".repeat(253), "key": "k".repeat(253)}))
        .collect();
    let files: Vec<String> =
        (0..MAX_SET_FILES).map(|index| format!("{}{index:05}", "x/".repeat(125))).collect();
    let feeds: Vec<Value> = (0..MAX_SET_FEEDS)
        .map(|index| json!({"url": format!("https://feeds.example/{}{index}", "x".repeat(1000)), "interval": "167h59m59s"}))
        .collect();
    let sets: Vec<String> = (0..MAX_SET_NAMES).map(|index| format!("{}{index:02}", "n".repeat(61))).collect();
    let spec = json!({
        "entries": entries, "except": except, "configMaps": config_maps, "files": files, "feeds": feeds, "sets": sets
    });
    serde_json::from_value::<XdpAddressSetSpec>(spec.clone())
        .expect("what an API server admits the operator can read");
    example("at-the-bounds", "XdpAddressSet", spec)
}
