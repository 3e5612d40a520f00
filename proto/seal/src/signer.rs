use std::time::SystemTime;

use ring::signature::Ed25519KeyPair;
use serde::{Deserialize, Serialize};
use sluice_plan::{Hash, decode, encode};

use crate::trust::Facts;
use crate::{Seal, Statement, Trust};

/// Signs for the operator.
pub struct Signer {
    pair: Ed25519KeyPair,
    stored: Stored,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    /// PKCS #8.
    key: Vec<u8>,
    /// DER.
    certificate: Vec<u8>,
}

impl Signer {
    /// `None` if the key is not an Ed25519 one in PKCS #8, or not the certificate's.
    pub fn new(key: Vec<u8>, certificate: Vec<u8>) -> Option<Signer> {
        use ring::signature::KeyPair;
        let pair = Ed25519KeyPair::from_pkcs8(&key).ok()?;
        let facts = Facts::read(&certificate)?;
        let is_its = facts.key == pair.public_key().as_ref();
        is_its.then_some(Signer { pair, stored: Stored { key, certificate } })
    }

    /// With the secret key.
    pub fn encode(&self) -> Vec<u8> {
        encode(&self.stored)
    }

    pub fn decode(bytes: &[u8]) -> Option<Signer> {
        let Stored { key, certificate } = decode(bytes).ok()?;
        Signer::new(key, certificate)
    }

    /// Names the certificate.
    pub fn id(&self) -> Hash {
        Hash::of(&self.stored.certificate)
    }

    pub fn certificate(&self) -> &[u8] {
        &self.stored.certificate
    }

    pub fn signature(&self, statement: &Statement<'_>) -> Vec<u8> {
        self.pair.sign(&statement.bytes()).as_ref().to_vec()
    }

    pub fn seal(&self, statement: &Statement<'_>) -> Seal {
        Seal { certificate: self.stored.certificate.clone(), signature: self.signature(statement) }
    }

    /// When another one should take its place, so that both are good for as long as each other's updates are on their
    /// way: at half of its life, and at once if nodes that trust `trust` take nothing of it for this store.
    pub fn replace_at(&self, trust: &Trust, cluster_id: &str) -> SystemTime {
        match trust.certified(&self.stored.certificate, cluster_id) {
            Ok(facts) => facts.half_life(),
            Err(_) => SystemTime::UNIX_EPOCH,
        }
    }
}

impl std::fmt::Debug for Signer {
    /// Without the key: this may end in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("id", &self.id()).finish_non_exhaustive()
    }
}
