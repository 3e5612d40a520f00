//! What a later version of the agent leaves behind, when the one before is put back.

use std::fs;

use serde::Serialize;
use sluice_e2e::process::{eventually, run};
use sluice_plan::{Epoch, Hash};
use sluice_store::{Key, PLAN, Store};

use crate::probes;
use crate::{PATIENCE, enforcing, finish, flow};

/// As this version writes it, around a plan in an encoding that it does not know.
#[derive(Serialize)]
struct LaterPlan {
    epoch: Epoch,
    hash: Hash,
    bytes: Vec<u8>,
}

#[test]
fn an_agent_goes_on_from_what_a_later_version_left() {
    let (mut fleet, _directory, first, probes, traffic) = enforcing("slfv");
    fleet.edges[0].agent.as_mut().unwrap().kill().unwrap();

    let bytes = vec![0xff; 64];
    let store = Store::open(&fleet.state(0)).unwrap();
    let epoch = store.get(PLAN).unwrap().expect("it had a plan").epoch;
    store.put(Key::new("plan"), &LaterPlan { epoch, hash: Hash::of(&bytes), bytes }).unwrap();
    store.put(Key::new("of a later version"), &1u8).unwrap();
    drop(store);
    // Counters in another shape, and a program with pins of other names.
    let counters = fleet.bpffs(0).join("counters");
    fs::remove_file(&counters).unwrap();
    let counters = counters.display().to_string();
    let map = ["map", "create", &counters, "type", "percpu_array", "key", "4", "value", "64", "entries", "8"];
    run("bpftool", &[&map[..], &["name", "COUNTERS"]].concat()).unwrap();
    let later = fleet.bpffs(0).join("programs/9999");
    fs::create_dir(&later).unwrap();
    let pin = later.join("later").display().to_string();
    run("bpftool", &["map", "pin", "pinned", &counters, &pin]).unwrap();
    flow(&traffic);

    fleet.write_policy("edge.yaml", &probes::policy(1)).unwrap();
    fleet.start_agent(0).unwrap();
    fleet.wait_ready("edge", 1, &first, PATIENCE).unwrap();
    probes.assert_newest(1);
    let log = fleet.edges[0].agent.as_ref().unwrap().log();
    for said in ["the operator is asked for it: it is another version's", "another version anew"] {
        assert!(log.contains(said), "{said}: {log}");
    }
    eventually(PATIENCE, || Ok((!later.exists()).then_some(()))).unwrap();
    flow(&traffic);
    finish(traffic);
}
