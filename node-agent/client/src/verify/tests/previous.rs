//! What an operator of the version before sends, see `proto/previous`.

use prost::Message;
use sluice_plan::NodePlan;

use super::*;

/// Some time in the life of the recorded certificates.
fn then() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_796_090_000)
}

fn word(name: &str) -> Vec<u8> {
    let words = include_str!("../../../../../proto/previous/words.txt");
    let line = words.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    hex::decode(line.expect("a word")).expect("hex")
}

fn heard(name: &str) -> v1::Update {
    match v1::ServerMessage::decode(&*word(name)).expect("a message").kind {
        Some(v1::server_message::Kind::Update(update)) => update,
        other => panic!("an update was expected: {other:?}"),
    }
}

/// As the recorded Hello says.
fn before() -> Held {
    let Some(v1::agent_message::Kind::Hello(hello)) =
        v1::AgentMessage::decode(&*word("says-hello")).expect("a message").kind
    else {
        panic!("a Hello was expected");
    };
    let hash = |(key, hash): (String, Vec<u8>)| (key, Hash::from_slice(&hash).expect("a hash"));
    Held {
        cluster_id: hello.cluster_id,
        epoch: hello.last_epoch.map(Into::into),
        resources: hello.have.into_iter().map(hash).collect(),
        steps: Vec::new(),
        step: 0,
        schema: Schema::V2,
        signer: Vec::new(),
        on_trial: false,
    }
}

#[test]
fn updates_of_the_version_before_are_taken_in_its_encoding() {
    let trust = Trust::from_pem(include_str!("../../../../../proto/previous/ca.crt")).expect("an authority");
    let judge = |update: &v1::Update, held: &Held, signer: &[u8]| {
        Judge { node: NODE, trust: &trust, signer, now: then() }.verify(update, held)
    };
    let update = heard("hears-update");
    let taken = judge(&update, &before(), &[]).expect("it is the operator's");
    assert_eq!((taken.schema, taken.epoch.index, &*taken.removed), (Schema::V2, 7, &["set/gone".into()][..]));
    assert_eq!(taken.set.iter().map(|(key, ..)| key.as_str()).collect::<Vec<_>>(), ["plan", "set/worse"]);
    let plan = NodePlan::decode(taken.schema, &taken.set[0].2).expect("a plan");
    assert_eq!((plan.hash(), plan.confirm_ms), (taken.set[0].1, 0), "it is hashed as it was sent");

    let mut held = before();
    held.resources.remove("set/gone");
    held.resources.extend(taken.set.iter().map(|(key, hash, _)| (key.clone(), *hash)));
    held.epoch = Some(taken.epoch);
    let again = heard("hears-epoch");
    let taken = judge(&again, &held, &update.signer).expect("by what is held");
    assert_eq!((taken.schema, taken.epoch.index, taken.set.len()), (Schema::V2, 8, 0));
    held.schema = Schema::V3;
    assert_eq!(judge(&again, &held, &update.signer), Err(Refusal::Seal(Refused::Altered)));
}
