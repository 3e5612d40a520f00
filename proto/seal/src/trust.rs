//! Whom a node believes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::signature::{ED25519, UnparsedPublicKey};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::OID_SIG_ED25519;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;

use crate::{Seal, Statement};

/// Organization of the certificates of keys that sign plans. Their common name is the store's.
pub const ROLE: &str = "sluice:signer";

/// The authorities of the fleet, as `--ca` names them.
#[derive(Clone)]
pub struct Trust {
    /// DER.
    authorities: Vec<Vec<u8>>,
    /// The last certificate that one of them issued, and what it says: every update of a stream comes under the same one,
    /// and to look for its issuer costs more than all else that is verified.
    last: Arc<Mutex<Option<Issued>>>,
}

/// A certificate that an authority of the fleet issued.
struct Issued {
    certificate: Vec<u8>,
    facts: Facts,
}

#[derive(Debug, thiserror::Error)]
#[error("not a list of PEM certificates: {0}")]
pub struct Unreadable(String);

/// Why a statement is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("it is not signed: update the operator first, its agents after it")]
    Unsigned,
    #[error("its signer has {0}: copy ca.crt from this operator, or see who else answers at its address")]
    Foreign(&'static str),
    #[error(
        "its signer's certificate is not good at this time: compare this node's clock with the operator's"
    )]
    Expired,
    #[error("its signature is of another node, epoch or plan: it was altered, or meant for another node")]
    Altered,
}

impl Trust {
    pub fn from_pem(text: &str) -> Result<Trust, Unreadable> {
        let mut authorities = Vec::new();
        for pem in Pem::iter_from_buffer(text.as_bytes()) {
            let contents = pem.map_err(|error| Unreadable(error.to_string()))?.contents;
            X509Certificate::from_der(&contents).map_err(|error| Unreadable(error.to_string()))?;
            authorities.push(contents);
        }
        if authorities.is_empty() {
            Err(Unreadable("there is none".into()))
        } else {
            Ok(Trust { authorities, last: Arc::default() })
        }
    }

    /// Whether the statement is the operator's, by a certificate that is good at `now`.
    pub fn verify(&self, statement: &Statement<'_>, seal: &Seal, now: SystemTime) -> Result<(), Refused> {
        let facts = self.proven(statement, seal)?;
        if facts.begin <= now && now < facts.end { Ok(()) } else { Err(Refused::Expired) }
    }

    /// The same for what was verified when it came: its certificate may have ended since, and that makes nothing of it
    /// less true. A machine whose operator is away must start with what it had.
    pub fn verify_kept(&self, statement: &Statement<'_>, seal: &Seal) -> Result<(), Refused> {
        self.proven(statement, seal).map(drop)
    }

    fn proven(&self, statement: &Statement<'_>, seal: &Seal) -> Result<Facts, Refused> {
        if seal.signature.is_empty() {
            return Err(Refused::Unsigned);
        }
        let facts = self.certified(&seal.certificate, statement.cluster_id)?;
        let key = UnparsedPublicKey::new(&ED25519, &facts.key);
        key.verify(&statement.bytes(), &seal.signature).map_err(|_| Refused::Altered)?;
        Ok(facts)
    }

    /// What a certificate says that an authority of the fleet issued.
    fn issued(&self, certificate: &[u8]) -> Result<Facts, Refused> {
        // No code that can panic runs under the lock.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Issued { facts, .. }) = last.as_ref().filter(|issued| issued.certificate == certificate) {
            return Ok(facts.clone());
        }
        let facts = Facts::read(certificate).ok_or(Refused::Foreign("no certificate of an Ed25519 key"))?;
        if !self.authorities.iter().any(|authority| is_issued(certificate, authority)) {
            return Err(Refused::Foreign("another authority's certificate"));
        }
        *last = Some(Issued { certificate: certificate.to_vec(), facts: facts.clone() });
        Ok(facts)
    }

    /// Whether it is the certificate of a key that signs for this store.
    pub(crate) fn certified(&self, certificate: &[u8], cluster_id: &str) -> Result<Facts, Refused> {
        let facts = self.issued(certificate)?;
        // A node's or an administrator's key must not sign for the operator, nor one store's for another.
        if facts.role != ROLE || !facts.is_for_signing {
            return Err(Refused::Foreign("a certificate for something else"));
        }
        if facts.cluster_id != cluster_id {
            return Err(Refused::Foreign("another store's certificate"));
        }
        Ok(facts)
    }
}

fn is_issued(certificate: &[u8], authority: &[u8]) -> bool {
    let parsed = |der| X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate);
    let (Some(certificate), Some(authority)) = (parsed(certificate), parsed(authority)) else { return false };
    certificate.verify_signature(Some(authority.public_key())).is_ok()
}

/// What a signer's certificate says.
#[derive(Clone)]
pub(crate) struct Facts {
    pub key: Vec<u8>,
    cluster_id: String,
    role: String,
    is_for_signing: bool,
    begin: SystemTime,
    end: SystemTime,
}

impl Facts {
    /// `None` unless it is exactly one certificate, of an Ed25519 key.
    pub fn read(certificate: &[u8]) -> Option<Facts> {
        let (rest, parsed) = X509Certificate::from_der(certificate).ok()?;
        let key = parsed.public_key();
        if !rest.is_empty() || key.algorithm.algorithm != OID_SIG_ED25519 {
            return None;
        }
        let (mut names, mut roles) =
            (parsed.subject().iter_common_name(), parsed.subject().iter_organization());
        let (name, role) = (names.next()?.as_str().ok()?, roles.next()?.as_str().ok()?);
        let is_one = names.next().is_none() && roles.next().is_none();
        let at = |seconds: i64| UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or(0));
        is_one.then(|| Facts {
            key: key.subject_public_key.data.to_vec(),
            cluster_id: name.to_owned(),
            role: role.to_owned(),
            is_for_signing: is_for_signing(&parsed),
            begin: at(parsed.validity().not_before.timestamp()),
            end: at(parsed.validity().not_after.timestamp()),
        })
    }

    pub fn half_life(&self) -> SystemTime {
        self.begin + self.end.duration_since(self.begin).unwrap_or_default() / 2
    }
}

/// Purpose "code signing" and no other, which no side of TLS accepts.
fn is_for_signing(certificate: &X509Certificate<'_>) -> bool {
    certificate.extensions().iter().any(|extension| match extension.parsed_extension() {
        ParsedExtension::ExtendedKeyUsage(usage) => {
            usage.code_signing && !usage.any && !usage.client_auth && !usage.server_auth
        }
        _ => false,
    })
}
