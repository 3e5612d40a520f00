//! The authority on a real directory.
#![allow(clippy::unwrap_used, reason = "a helper's panic is the test's failure")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, KeyPair};
use sluice_pki::{Authority, Directory, Holder, NodeName, Peer, PkiError};

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn the_name_is_the_callers_whatever_the_request_says() {
    let authority = Authority::generate(now()).unwrap().0;
    let signed = authority.sign_node(&request("edge-2"), &node("edge-1"), 0, now(), DAY).unwrap();
    assert_eq!(
        Peer::from_der(&signed.chain[0]).unwrap(),
        Peer::Node(Holder { node: "edge-1".into(), series: 0 })
    );
    let later = authority.sign_node(&request("edge-2"), &node("edge-1"), 57, now(), DAY).unwrap();
    assert_eq!(
        Peer::from_der(&later.chain[0]).unwrap(),
        Peer::Node(Holder { node: "edge-1".into(), series: 57 })
    );
    assert_eq!(signed.not_after, now() + DAY);
    assert_eq!(signed.chain.len(), 2);
}

#[test]
fn two_certificates_of_one_key_have_two_serials() {
    let authority = Authority::generate(now()).unwrap().0;
    let request = request("edge-1");
    let serial = |der: &[u8]| x509_parser::parse_x509_certificate(der).unwrap().1.raw_serial().to_vec();
    let first = authority.sign_node(&request, &node("edge-1"), 0, now(), DAY).unwrap();
    let second = authority.sign_node(&request, &node("edge-1"), 0, now(), DAY).unwrap();
    assert_ne!(serial(&first.chain[0]), serial(&second.chain[0]));
}

#[test]
fn a_request_that_is_altered_is_refused() {
    let authority = Authority::generate(now()).unwrap().0;
    let mut altered = request("edge-1");
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    let refused = authority.sign_node(&altered, &node("edge-1"), 0, now(), DAY).unwrap_err();
    assert!(matches!(refused, PkiError::Request(_)), "{refused}");
    assert!(authority.sign_node(b"", &node("edge-1"), 0, now(), DAY).is_err());
}

#[test]
fn a_directory_keeps_its_authority_and_hides_its_keys() {
    let data = tempfile::tempdir().unwrap();
    let first = Directory::open(data.path(), now()).unwrap();
    let again = Directory::open(data.path(), now() + DAY).unwrap();
    assert_eq!(first.authority.pem(), again.authority.pem());
    let token = first.tokens.token(&node("edge-1"), now() + DAY);
    assert_eq!(again.tokens.check(&token, now()).unwrap().node, node("edge-1"));
    let pki = data.path().join("pki");
    let mode = |name: &str| fs::metadata(pki.join(name)).unwrap().permissions().mode() & 0o777;
    for key in ["ca.key", "token.key", "admin.key"] {
        assert_eq!(mode(key), 0o600, "{key}");
    }
    assert_eq!(mode("ca.crt"), 0o644);
    assert_eq!(fs::metadata(&pki).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(first.ca_file(), pki.join("ca.crt"));
}

#[test]
fn the_administrators_certificate_is_renewed_in_time_and_not_before() {
    let data = tempfile::tempdir().unwrap();
    let read = || fs::read_to_string(data.path().join("pki/admin.crt")).unwrap();
    Directory::open(data.path(), now()).unwrap();
    let first = read();
    let der = x509_parser::pem::parse_x509_pem(first.as_bytes()).unwrap().1.contents;
    assert_eq!(Peer::from_der(&der).unwrap(), Peer::Admin("admin".into()));
    Directory::open(data.path(), now() + 200 * DAY).unwrap();
    assert_eq!(read(), first);
    Directory::open(data.path(), now() + 300 * DAY).unwrap();
    assert_ne!(read(), first);
}

#[test]
fn an_authority_is_a_matching_pair_that_may_sign() {
    let (_, one) = Authority::generate(now()).unwrap();
    let (authority, other) = Authority::generate(now()).unwrap();
    assert!(Authority::from_pem(&one.certificate, &one.key).is_ok());
    let mixed = Authority::from_pem(&one.certificate, &other.key).map(|_| ()).unwrap_err();
    assert!(matches!(mixed, PkiError::KeyMismatch), "{mixed}");
    let leaf = authority.issue_admin("admin", now()).unwrap();
    let refused = Authority::from_pem(&leaf.certificate, &leaf.key).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("CA:FALSE"), "{refused}");
    assert!(Authority::from_pem("", "").is_err());
}

#[test]
fn a_lost_or_foreign_key_is_named_with_its_file() {
    let data = tempfile::tempdir().unwrap();
    Directory::open(data.path(), now()).unwrap();
    let key = data.path().join("pki/ca.key");
    fs::write(&key, Authority::generate(now()).unwrap().1.key).unwrap();
    let refused = Directory::open(data.path(), now()).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("pki/ca.crt") && refused.contains("does not belong"), "{refused}");
    fs::remove_file(&key).unwrap();
    let refused = Directory::open(data.path(), now()).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("pki/ca.key"), "{refused}");
    assert!(!key.exists(), "a new authority is never made beside an old certificate");
}

#[test]
fn server_names_are_dns_names_and_addresses() {
    let authority = Authority::generate(now()).unwrap().0;
    let names = ["localhost", "10.0.0.1", "fd00::1"].map(String::from);
    let issued = authority.issue_operator(&names, now(), DAY).unwrap();
    let pem = x509_parser::pem::parse_x509_pem(issued.certificate.as_bytes()).unwrap().1;
    let leaf = pem.parse_x509().unwrap();
    assert_eq!(leaf.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 3);
    let peer = Peer::from_der(&pem.contents).unwrap();
    assert_eq!(peer, Peer::Operator("sluice-operator".into()), "a client to other replicas, and no node");
    let refused = authority.issue_operator(&["exämple".into()], now(), DAY).map(|_| ()).unwrap_err();
    assert!(matches!(refused, PkiError::ServerName { .. }), "{refused}");
}

fn request(name: &str) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "sluice:admin");
    params.serialize_request(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

fn node(name: &str) -> NodeName {
    NodeName::parse(name).unwrap()
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000)
}
