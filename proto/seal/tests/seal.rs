//! Seals by a real authority.
#![allow(clippy::unwrap_used, reason = "a helper's panic is the test's failure")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sluice_pki::Authority;
use sluice_plan::{Epoch, Hash};
use sluice_seal::{Refused, Seal, Signer, Statement, Trust};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

const STATEMENT: Statement<'_> = Statement {
    cluster_id: "store",
    node: "edge-1",
    epoch: Epoch { incarnation: 1, term: 2, index: 3 },
    fleet_hash: Hash([7; 32]),
    schema: 3,
};

/// Certificates have whole seconds.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_900_000_000)
}

fn authority() -> Authority {
    Authority::generate(now()).unwrap().0
}

#[test]
fn a_seal_is_good_for_its_statement_alone() {
    let authority = authority();
    let trust = authority.trust().unwrap();
    let seal = authority.issue_signer("store", now()).unwrap().seal(&STATEMENT);
    assert_eq!(trust.verify(&STATEMENT, &seal, now()), Ok(()));
    for other in [
        Statement { node: "edge-2", ..STATEMENT },
        Statement { epoch: Epoch { index: 4, ..STATEMENT.epoch }, ..STATEMENT },
        Statement { epoch: Epoch { incarnation: 0, ..STATEMENT.epoch }, ..STATEMENT },
        Statement { fleet_hash: Hash([8; 32]), ..STATEMENT },
        Statement { schema: 2, ..STATEMENT },
    ] {
        assert_eq!(trust.verify(&other, &seal, now()), Err(Refused::Altered), "{other:?}");
    }
    let elsewhere = Statement { cluster_id: "other", ..STATEMENT };
    assert!(matches!(trust.verify(&elsewhere, &seal, now()), Err(Refused::Foreign(_))));
}

#[test]
fn no_byte_of_a_seal_can_be_changed() {
    let authority = authority();
    let trust = authority.trust().unwrap();
    let seal = authority.issue_signer("store", now()).unwrap().seal(&STATEMENT);
    for at in 0..seal.signature.len() {
        let mut altered = seal.clone();
        altered.signature[at] ^= 1;
        assert_eq!(trust.verify(&STATEMENT, &altered, now()), Err(Refused::Altered), "byte {at}");
    }
    // The authority's own signature has more than one encoding; what it signed has one.
    let (_, certificate) = X509Certificate::from_der(&seal.certificate).unwrap();
    let signed = certificate.tbs_certificate.as_ref();
    let begin = signed.as_ptr() as usize - seal.certificate.as_ptr() as usize;
    for at in begin..begin + signed.len() {
        let mut altered = seal.clone();
        altered.certificate[at] ^= 1;
        assert!(trust.verify(&STATEMENT, &altered, now()).is_err(), "byte {at} of the certificate");
    }
}

#[test]
fn what_was_kept_stays_good_after_its_certificate() {
    let authority = authority();
    let trust = authority.trust().unwrap();
    let seal = authority.issue_signer("store", now()).unwrap().seal(&STATEMENT);
    let late = now() + Authority::SIGNER_VALIDITY;
    assert_eq!(trust.verify(&STATEMENT, &seal, late), Err(Refused::Expired));
    assert_eq!(trust.verify_kept(&STATEMENT, &seal), Ok(()));
    let stranger = Authority::generate(now()).unwrap().0.trust().unwrap();
    assert!(matches!(stranger.verify_kept(&STATEMENT, &seal), Err(Refused::Foreign(_))));
    assert_eq!(trust.verify_kept(&STATEMENT, &Seal::default()), Err(Refused::Unsigned));
}

#[test]
fn a_node_may_trust_an_authority_and_its_successor() {
    let (old, new) = (authority(), authority());
    let both = Trust::from_pem(&format!("{}{}", old.pem(), new.pem())).unwrap();
    for authority in [&old, &new] {
        let seal = authority.issue_signer("store", now()).unwrap().seal(&STATEMENT);
        assert_eq!(both.verify(&STATEMENT, &seal, now()), Ok(()));
    }
    for text in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(Trust::from_pem(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_signer_comes_back_and_is_replaced_in_time() {
    let authority = authority();
    let signer = authority.issue_signer("store", now()).unwrap();
    let again = Signer::decode(&signer.encode()).unwrap();
    assert_eq!((again.id(), again.seal(&STATEMENT)), (signer.id(), signer.seal(&STATEMENT)));
    assert!(!format!("{signer:?}").contains("key"), "the key stays out of logs");
    assert!(Signer::decode(&signer.encode()[1..]).is_none());

    let trust = authority.trust().unwrap();
    let due = signer.replace_at(&trust, "store");
    let half = now() + Authority::SIGNER_VALIDITY / 2;
    assert!(half - Duration::from_secs(600) < due && due <= half, "{due:?}");
    assert_eq!(signer.replace_at(&trust, "other"), UNIX_EPOCH, "of another store, at once");
    let stranger = self::authority().trust().unwrap();
    assert_eq!(signer.replace_at(&stranger, "store"), UNIX_EPOCH, "nor after the authority was replaced");
}
