use std::sync::LazyLock;
use std::time::Duration;

use sluice_pki::{Authority, NodeName};
use sluice_seal::Signer;

use super::*;

const NODE: &str = "edge-1";
/// Some time in the life of the certificates below.
static NOW: LazyLock<SystemTime> = LazyLock::new(SystemTime::now);
static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::generate(*NOW).expect("an authority").0);
static SIGNER: LazyLock<Signer> = LazyLock::new(|| signer(&AUTHORITY, "a"));

fn signer(authority: &Authority, store: &str) -> Signer {
    authority.issue_signer(store, *NOW).expect("a signer")
}

fn at(incarnation: u64, index: u64) -> Epoch {
    Epoch { incarnation, term: 1, index }
}

fn held(epoch: Epoch) -> Held {
    Held {
        cluster_id: "a".into(),
        epoch: Some(epoch),
        resources: [("old".into(), Hash::of(b"old"))].into(),
        steps: Vec::new(),
        step: 0,
        schema: Schema::NEWEST,
        signer: Vec::new(),
        on_trial: false,
    }
}

/// Replaces `old` by `plan`.
fn update(epoch: Epoch) -> v1::Update {
    let after = Held { resources: [("plan".into(), Hash::of(b"new"))].into(), ..Held::default() };
    let resource = v1::Resource {
        key: "plan".into(),
        hash: Hash::of(b"new").0.into(),
        bytes: Bytes::from_static(b"new"),
        schema: Schema::NEWEST.number(),
    };
    let update = v1::Update {
        epoch: Some(epoch.into()),
        nonce: 7,
        set: vec![resource],
        removed: vec!["old".into()],
        fleet_hash: after.fleet_hash().0.into(),
        signature: Vec::new(),
        cluster_id: "a".into(),
        signer: Vec::new(),
        traces: Vec::new(),
    };
    signed(&SIGNER, NODE, update)
}

fn signed(signer: &Signer, node: &str, update: v1::Update) -> v1::Update {
    let statement = Statement {
        cluster_id: &update.cluster_id,
        node,
        epoch: update.epoch.expect("an epoch").into(),
        fleet_hash: Hash::from_slice(&update.fleet_hash).expect("a hash"),
        schema: update.set[0].schema,
    };
    let Seal { certificate, signature } = signer.seal(&statement);
    v1::Update { signature, signer: certificate, ..update }
}

fn verify(update: &v1::Update, held: &Held) -> Result<Update, Refusal> {
    verify_at(*NOW, update, held)
}

fn verify_at(now: SystemTime, update: &v1::Update, held: &Held) -> Result<Update, Refusal> {
    let trust = AUTHORITY.trust().expect("an authority");
    Judge { node: NODE, trust: &trust, signer: SIGNER.certificate(), now }.verify(update, held)
}

#[test]
fn a_whole_and_newer_update_is_taken() {
    let taken = verify(&update(at(1, 6)), &held(at(1, 5))).expect("a good update");
    assert_eq!((taken.nonce, taken.epoch, taken.set[0].0.as_str()), (7, at(1, 6), "plan"));
    assert_eq!(taken.seal.certificate, SIGNER.certificate());
    assert!(verify(&update(at(1, 5)), &held(at(1, 5))).is_ok(), "the same epoch again is no travel in time");
    let virgin = Held { resources: held(at(0, 0)).resources, ..Held::default() };
    assert!(verify(&update(at(0, 0)), &virgin).is_ok(), "a node without an epoch takes any");
    let short = v1::Update { signer: Vec::new(), ..update(at(1, 6)) };
    assert_eq!(verify(&short, &held(at(1, 5))), Ok(taken), "by the certificate that came before");
}

#[test]
fn what_the_operator_did_not_sign_is_refused() {
    let refused = |update: &v1::Update| verify(update, &held(at(1, 5))).expect_err("refused").reason();
    let good = update(at(1, 6));
    assert_eq!(refused(&v1::Update { signature: Vec::new(), ..good.clone() }), "Unsigned");
    assert_eq!(refused(&signed(&SIGNER, "edge-2", good.clone())), "BadSignature");
    for altered in [
        v1::Update { epoch: Some(at(1, 7).into()), ..good.clone() },
        v1::Update { fleet_hash: held(at(1, 5)).fleet_hash().0.to_vec(), ..good.clone() },
        v1::Update { signature: vec![0; 64], ..good.clone() },
        v1::Update { signature: vec![1; 3], ..good.clone() },
    ] {
        assert_eq!(refused(&altered), "BadSignature");
    }
    assert_eq!(refused(&v1::Update { cluster_id: "b".into(), ..good.clone() }), "ForeignSigner");
}

#[test]
fn a_signer_must_be_the_authoritys_and_for_this() {
    let reason = |update: &v1::Update| verify(update, &held(at(1, 5))).expect_err("refused").reason();
    let (stranger, _) = Authority::generate(*NOW).expect("an authority");
    assert_eq!(reason(&signed(&signer(&stranger, "a"), NODE, update(at(1, 6)))), "ForeignSigner");
    assert_eq!(reason(&signed(&signer(&AUTHORITY, "b"), NODE, update(at(1, 6)))), "ForeignSigner");
    let node = NodeName::parse("a").expect("a name");
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let request = rcgen::CertificateParams::default().serialize_request(&key).expect("a request");
    let of_node =
        AUTHORITY.sign_node(request.der(), &node, 0, *NOW, Authority::NODE_VALIDITY).expect("a certificate");
    let posing = Signer::new(key.serialize_der(), of_node.chain[0].clone()).expect("a pair");
    assert_eq!(reason(&signed(&posing, NODE, update(at(1, 6)))), "ForeignSigner", "a node is no signer");
}

#[test]
fn keys_follow_each_other_and_overlap() {
    let half = *NOW + Authority::SIGNER_VALIDITY / 2;
    let next = AUTHORITY.issue_signer("a", half).expect("a signer");
    let by_next = signed(&next, NODE, update(at(1, 7)));
    assert!(verify_at(half, &update(at(1, 6)), &held(at(1, 5))).is_ok());
    assert!(verify_at(half, &by_next, &held(at(1, 6))).is_ok());
    let late = *NOW + Authority::SIGNER_VALIDITY + Duration::from_secs(1);
    let refusal = verify_at(late, &update(at(1, 6)), &held(at(1, 5))).expect_err("over");
    assert_eq!(refusal.reason(), "SignerExpired");
    assert!(verify_at(late, &by_next, &held(at(1, 6))).is_ok());
    let early = *NOW - Duration::from_secs(3600);
    assert_eq!(verify_at(early, &by_next, &held(at(1, 6))).expect_err("early").reason(), "SignerExpired");
}

#[test]
fn an_older_epoch_is_refused_and_named() {
    let refusal = verify(&update(at(1, 4)), &held(at(1, 5))).expect_err("older");
    assert_eq!(refusal, Refusal::StaleEpoch { offered: at(1, 4), held: at(1, 5) });
    let verdicts = refusal.verdicts(&update(at(1, 4)), &held(at(1, 5)));
    let keys: Vec<_> = verdicts.resources.iter().map(|resource| resource.key.as_str()).collect();
    assert_eq!(keys, ["old", "plan"]);
    assert_eq!(verdicts.resources[1].stage(), v1::VerdictStage::Rejected);
    assert_eq!(verdicts.resources[1].detail, "epoch 1.1.4 is older than 1.1.5, which is enforced");
}

#[test]
fn another_store_needs_a_higher_incarnation() {
    let signer = signer(&AUTHORITY, "b");
    let other = |epoch| signed(&signer, NODE, v1::Update { cluster_id: "b".into(), ..update(epoch) });
    let refusal = verify(&other(at(1, 900)), &held(at(1, 5))).expect_err("another store");
    assert_eq!(refusal.reason(), "OtherStore");
    assert!(verify(&other(at(2, 1)), &held(at(1, 5))).is_ok());
}

#[test]
fn altered_bytes_are_refused() {
    let mut altered = update(at(1, 6));
    altered.set[0].bytes = Bytes::from_static(b"neW");
    assert_eq!(verify(&altered, &held(at(1, 5))), Err(Refusal::Altered { key: "plan".into() }));
}

/// The signature is of the last; whoever looks for the plan finds the first.
#[test]
fn nothing_comes_twice_in_one_update() {
    let mut twice = update(at(1, 6));
    let unsigned = Bytes::from_static(b"no operator's");
    let resource =
        v1::Resource { hash: Hash::of(&unsigned).0.into(), bytes: unsigned, ..twice.set[0].clone() };
    twice.set.insert(0, resource);
    assert_eq!(verify(&twice, &held(at(1, 5))), Err(Refusal::FleetHash));
}

#[test]
fn a_plan_in_another_encoding_is_refused() {
    let mut later = update(at(1, 6));
    later.set[0].schema = 4;
    let refusal = verify(&later, &held(at(1, 5))).expect_err("not what was signed");
    assert_eq!(refusal, Refusal::Seal(Refused::Altered), "bytes that are good in one are not in another");
    let refusal = verify(&signed(&SIGNER, NODE, later), &held(at(1, 5))).expect_err("it would be misread");
    assert_eq!((&refusal, refusal.reason()), (&Refusal::Schema { found: 4 }, "UnknownSchema"));
    assert!(refusal.to_string().contains("in encoding 4, this agent reads 3 and 2:"), "{refusal}");
}

#[test]
fn the_whole_is_checked_too() {
    let mut partial = update(at(1, 6));
    partial.removed.clear();
    assert_eq!(verify(&partial, &held(at(1, 5))), Err(Refusal::FleetHash));
}

mod previous;

#[test]
fn an_update_may_go_by_any_turn_of_what_was_signed() {
    let hash = |text: &str| Hash::of(text.as_bytes());
    let resources = |all: &[(&str, &str)]| -> BTreeMap<String, Hash> {
        all.iter().map(|(key, text)| ((*key).to_owned(), hash(text))).collect()
    };
    let steps = vec![
        resources(&[("plan", "both"), ("successor/1000", "one"), ("successor/2000", "none"), ("set/a", "a")]),
        resources(&[("plan", "one"), ("successor/2000", "none")]),
        resources(&[("plan", "none")]),
    ];
    let now = Held { resources: steps[1].clone(), steps: steps.clone(), step: 1, ..held(at(1, 5)) };
    let to = |removed: &[&str], after: &BTreeMap<String, Hash>| {
        let fleet_hash = Held { resources: after.clone(), ..Held::default() }.fleet_hash().0.to_vec();
        let removed = removed.iter().map(|key| (*key).to_owned()).collect();
        let update = v1::Update { set: Vec::new(), removed, fleet_hash, ..update(at(1, 6)) };
        let statement = Statement {
            cluster_id: "a",
            node: NODE,
            epoch: at(1, 6),
            fleet_hash: Hash::from_slice(&update.fleet_hash).expect("a hash"),
            schema: Schema::NEWEST.number(),
        };
        v1::Update { signature: SIGNER.signature(&statement), ..update }
    };
    let step = |removed: &[&str], after: &BTreeMap<String, Hash>| {
        verify(&to(removed, after), &now).map(|taken| taken.step)
    };
    assert_eq!(step(&[], &steps[1]), Ok(1), "as the node has it");
    assert_eq!(step(&["successor/1000", "set/a"], &steps[1]), Ok(1), "as the operator thinks that it had it");
    assert_eq!(step(&[], &steps[0]), Ok(0), "the operator's clock is behind");
    assert_eq!(step(&["successor/2000"], &steps[2]), Ok(2), "and ahead");
    assert_eq!(
        step(&[], &resources(&[("plan", "both")])),
        Err(Refusal::FleetHash),
        "what nobody signed together"
    );
    let newer = verify(&to(&[], &steps[2]), &Held { epoch: Some(at(1, 7)), ..now.clone() });
    assert!(matches!(newer, Err(Refusal::StaleEpoch { .. })), "a moment makes nothing of an old word");
}
