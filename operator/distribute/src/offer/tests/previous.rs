//! An agent of the version before, by what it says and by what its operator said to it: see `proto/previous`.

use prost::Message;
use sluice_proto::v1::agent_message::Kind as Said;
use sluice_proto::v1::server_message::Kind as Heard;
use sluice_proto::v1::{AgentMessage, ServerMessage};

use super::*;

fn word(name: &str) -> Vec<u8> {
    let words = include_str!("../../../../../proto/previous/words.txt");
    hex::decode(words.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap()).unwrap()
}

fn said(name: &str) -> Said {
    AgentMessage::decode(&*word(name)).unwrap().kind.unwrap()
}

fn heard(kind: Heard) -> Vec<u8> {
    ServerMessage { kind: Some(kind) }.encode_to_vec()
}

/// The recorded plan and its sets, agreed on as one for agents of the version before.
fn state(index: u64) -> Arc<State> {
    let plan = Plan { sets: vec!["bad".into(), "worse".into()], ..Plan::new(word("plan").into()) };
    let mut schemas = Schemas::default();
    schemas.set(plan.hash, Schema::V2.number());
    let set = |name: &str| (name.to_owned(), SetManifest::new(word(&format!("manifest-{name}")).into()));
    let shard = |name: &str| (shard_key(Hash::of(&word(name))), Bytes::from(word(name)));
    let said = (SCHEMAS.to_owned(), schemas.encoded());
    Arc::new(State {
        epoch: Epoch { incarnation: 1, term: 2, index },
        classes: Arc::new([("c".into(), plan)].into()),
        node_class: Arc::new([("edge-1".to_owned(), "c".into())].into()),
        sets: Arc::new(["bad", "worse"].map(set).into()),
        blobs: Arc::new([shard("shard-bad"), shard("shard-worse"), said].into()),
        // With another before each: the agent is told although nothing changes for it.
        step: (0..2 * index).fold(Step::default(), |step, _| step.next()),
        ..State::default()
    })
}

#[test]
fn an_agent_of_the_version_before_is_sent_what_it_was_sent_before() {
    let signer = Signer::decode(&word("signer")).unwrap();
    let Said::Hello(hello) = said("says-hello") else { panic!("a Hello") };
    let mut offer = Offer::new(hello.node.clone(), hello.cluster_id.clone(), &hello);
    let first = update(offer.next(&state(7), &signer));
    assert_eq!(heard(Heard::Update(first)), word("hears-update"));
    let Said::Want(want) = said("says-want") else { panic!("a Want") };
    offer.want(&want);
    assert_eq!(heard(Heard::Shards(offer.shards().unwrap())), word("hears-shards"));
    let Said::Verdicts(verdicts) = said("says-verdicts") else { panic!("verdicts") };
    offer.hear(&verdicts);
    let epoch = update(offer.next(&state(8), &signer));
    assert_eq!(heard(Heard::Update(epoch)), word("hears-epoch"));
}
