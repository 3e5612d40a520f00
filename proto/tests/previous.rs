//! The messages of the version before byte by byte, see `proto/previous`: a field that is given another number or type here
//! would be misread there. Fields that are new are not set.
#![allow(clippy::unwrap_used, reason = "a helper's panic is the test's failure")]

use prost::Message;
use sluice_proto::v1::agent_message::Kind as Said;
use sluice_proto::v1::server_message::Kind as Heard;
use sluice_proto::v1::{
    AgentMessage, BackendHealth, Capabilities, CounterSample, DropSample, Epoch, ForeignProgram, GoAway,
    Heartbeat, Hello, InterfaceState, Nic, NodeFacts, Note, PolicyVerdict, ProgramSize, Report,
    ResourceVerdict, SampleBatch, SampleRequest, SayAgain, ServerMessage, Shard, Shards, VerdictStage,
    Verdicts, Want,
};

#[test]
fn what_an_agent_says_is_where_the_version_before_has_it() {
    for (name, kind) in [
        ("says-hello", Said::Hello(hello())),
        ("says-want", Said::Want(Want { nonce: 1, hashes: vec![hash("shard-worse")] })),
        ("says-verdicts", Said::Verdicts(verdicts())),
        ("says-report", Said::Report(report())),
        ("says-heartbeat", Said::Heartbeat(Heartbeat { at: 27 })),
        ("says-samples", Said::Samples(samples())),
    ] {
        let message = AgentMessage { kind: Some(kind) };
        assert_eq!(AgentMessage::decode(&*word(name)).unwrap(), message, "{name}");
        // Maps have no order of their own.
        assert_eq!(message.encode_to_vec().len(), word(name).len(), "{name}");
    }
}

#[test]
fn what_an_operator_says_is_where_the_version_before_has_it() {
    let shard = Shard { hash: hash("shard-worse"), bytes: word("shard-worse").into() };
    let go_away = GoAway { reason: "i".into(), retry_after_ms: 35, others: vec!["j:1".into()] };
    for (name, kind) in [
        ("hears-shards", Heard::Shards(Shards { shards: vec![shard] })),
        ("hears-heartbeat", Heard::Heartbeat(Heartbeat { at: 33 })),
        ("hears-sample", Heard::Sample(SampleRequest { for_ms: 34 })),
        ("hears-go-away", Heard::GoAway(go_away)),
        ("hears-say-again", Heard::SayAgain(SayAgain {})),
    ] {
        let message = ServerMessage { kind: Some(kind) };
        assert_eq!(ServerMessage::decode(&*word(name)).unwrap(), message, "{name}");
        assert_eq!(message.encode_to_vec(), word(name), "{name}");
    }
}

fn word(name: &str) -> Vec<u8> {
    let words = include_str!("../previous/words.txt");
    hex::decode(words.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap()).unwrap()
}

fn hash(name: &str) -> Vec<u8> {
    sluice_plan::Hash::of(&word(name)).0.to_vec()
}

fn hello() -> Hello {
    let old = vec![9; 32];
    let have = [("plan", old.clone()), ("set/bad", hash("manifest-bad")), ("set/gone", old)];
    let held = have.iter().map(|(key, hash)| (*key, sluice_plan::Hash::from_slice(hash).unwrap()));
    Hello {
        node: "edge-1".into(),
        boot_id: "boot".into(),
        version: "0.1.0".into(),
        plan_schemas: vec![2],
        capabilities: Some(Capabilities {
            kernel: "6.8".into(),
            tcx: true,
            entries: 10_240,
            set_prefixes: 1 << 22,
            successors: 0,
        }),
        last_epoch: Some(Epoch { incarnation: 1, term: 2, index: 3 }),
        fleet_hash: sluice_plan::fleet_hash(held).0.to_vec(),
        labels: [("role".to_owned(), "edge".to_owned())].into(),
        facts: Some(facts()),
        cluster_id: "cluster".into(),
        have: have.into_iter().map(|(key, hash)| (key.to_owned(), hash)).collect(),
        signer: vec![],
        dialled: 18,
    }
}

fn facts() -> NodeFacts {
    let nic = Nic {
        name: "eth0".into(),
        ifindex: 2,
        driver: "mlx5".into(),
        speed_mbps: 25000,
        mtu: 1500,
        rx_queues: 8,
        tx_queues: 9,
        channels: 10,
        up: true,
        default_route: true,
        xdp_mode: "native".into(),
        xdp_features: vec!["basic".into()],
        vlan_stripping: true,
        lro: true,
        rx_dropped: 11,
        rx_errors: 12,
        rx_fcs_errors: 13,
        link_flaps: 14,
        foreign: Some(ForeignProgram { id: 15, mode: "native".into(), name: "other".into() }),
        mac: "02:00:00:00:00:01".into(),
    };
    NodeFacts {
        nics: vec![nic],
        addresses: vec!["192.0.2.7".into()],
        softnet_dropped: 16,
        softnet_time_squeeze: 17,
    }
}

fn verdicts() -> Verdicts {
    let policy = PolicyVerdict {
        uid: "uid-bad-nets".into(),
        generation: 300,
        stage: VerdictStage::Programmed.into(),
        reason: "a".into(),
        detail: "b".into(),
        interfaces: vec![InterfaceState { name: "eth0".into(), mode: "native".into(), reason: "c".into() }],
        notes: vec![Note { reason: "d".into(), detail: "e".into() }],
        selected_interfaces: 0,
    };
    let verdict = |(key, hash): (&str, Vec<u8>)| ResourceVerdict {
        key: key.to_owned(),
        hash,
        stage: VerdictStage::Programmed.into(),
        reason: "f".into(),
        detail: "g".into(),
        policies: vec![policy.clone()],
        kernel_bytes: 19,
        program: Some(ProgramSize { verified_instructions: 20, jited_bytes: 21, ..ProgramSize::default() }),
    };
    let resources =
        [("plan", hash("plan")), ("set/bad", hash("manifest-bad")), ("set/worse", hash("manifest-worse"))];
    Verdicts {
        nonce: 1,
        epoch: Some(Epoch { incarnation: 1, term: 2, index: 7 }),
        resources: resources.into_iter().map(verdict).collect(),
    }
}

fn report() -> Report {
    let counter = CounterSample {
        policy_uid: "uid-bad-nets".into(),
        name: "first".into(),
        verdict: "drop".into(),
        packets: 22,
        bytes: 23,
        packets_delta: 24,
        bytes_delta: 25,
    };
    let backend = BackendHealth {
        policy_uid: "uid-web".into(),
        address: "2001:db8::7".into(),
        healthy: true,
        detail: "h".into(),
    };
    Report {
        counters: vec![counter],
        backends: vec![backend],
        stats: [("packets".to_owned(), 26)].into(),
        facts: Some(facts()),
        ..Report::default()
    }
}

fn samples() -> SampleBatch {
    let sample = DropSample {
        policy_uid: "uid-bad-nets".into(),
        name: "first".into(),
        stage: "Filter".into(),
        interface: "eth0".into(),
        at: 28,
        length: 29,
        packet: vec![30],
    };
    SampleBatch { samples: vec![sample], lost: 31, suppressed: 32 }
}
