//! The certificate authority.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519, PublicKeyData,
    SerialNumber,
};
use sluice_seal::{Signer, Trust};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::{NodeName, Peer, PkiError};

/// Signs for nodes, for the operator itself and for its administrators.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: Vec<u8>,
}

/// What an agent gets.
#[derive(Clone, Debug)]
pub struct NodeCertificate {
    /// DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    pub not_after: SystemTime,
}

/// PEM.
#[derive(Clone)]
pub struct KeyAndCertificate {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    /// A node renews at half of this; a stolen key is worth no more than it.
    pub const NODE_VALIDITY: Duration = Duration::from_secs(24 * 60 * 60);
    /// A stolen key that signs plans is worth no more than this; it is replaced at half of it.
    pub const SIGNER_VALIDITY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// A new authority; keep its key.
    pub fn generate(now: SystemTime) -> Result<(Authority, KeyAndCertificate), PkiError> {
        let key = KeyPair::generate().map_err(refused)?;
        let mut params = validity(now, 10 * YEAR);
        params.distinguished_name = subject("sluice-ca", "sluice");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(refused)?.pem();
        let pair = KeyAndCertificate { certificate, key: key.serialize_pem() };
        Ok((Self::from_pem(&pair.certificate, &pair.key)?, pair))
    }

    pub fn from_pem(certificate: &str, key: &str) -> Result<Authority, PkiError> {
        let unreadable = |part, reason: String| PkiError::Authority { part, reason };
        let key = KeyPair::from_pem(key).map_err(|error| unreadable("key", error.to_string()))?;
        let (_, pem) = x509_parser::pem::parse_x509_pem(certificate.as_bytes())
            .map_err(|error| unreadable("certificate", error.to_string()))?;
        let parsed = pem.parse_x509().map_err(|error| unreadable("certificate", error.to_string()))?;
        if !parsed.is_ca() {
            return Err(unreadable("certificate", "it may not sign others (CA:FALSE)".to_owned()));
        }
        if parsed.public_key().subject_public_key.data.as_ref() != key.der_bytes() {
            return Err(PkiError::KeyMismatch);
        }
        let issuer = Issuer::from_ca_cert_pem(certificate, key)
            .map_err(|error| unreadable("certificate", error.to_string()))?;
        Ok(Authority { issuer, pem: certificate.to_owned(), der: pem.contents })
    }

    /// Certificate in PEM: what agents and the CLI verify the operator against.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Signs the key of a DER request for `node`, good for as long as `valid`; everything else in the request is ignored.
    /// What `series` is, [`Holder`](crate::Holder) says.
    pub fn sign_node(
        &self,
        request: &[u8],
        node: &NodeName,
        series: u64,
        now: SystemTime,
        valid: Duration,
    ) -> Result<NodeCertificate, PkiError> {
        let request = CertificateSigningRequestParams::from_der(&request.into()).map_err(refused)?;
        let mut params = client(now, valid, node.as_str(), Peer::NODE);
        if series > 0 {
            params.distinguished_name.push(DnType::OrganizationalUnitName, series.to_string());
        }
        let leaf = params.signed_by(&request.public_key, &self.issuer).map_err(refused)?;
        let chain = vec![leaf.der().to_vec(), self.der.clone()];
        Ok(NodeCertificate { chain, not_after: now + valid })
    }

    /// A new key that signs the plans of this store.
    pub fn issue_signer(&self, cluster_id: &str, now: SystemTime) -> Result<Signer, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(refused)?;
        let mut params = validity(now, Self::SIGNER_VALIDITY);
        params.distinguished_name = subject(cluster_id, sluice_seal::ROLE);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let certificate = params.signed_by(&key, &self.issuer).map_err(refused)?;
        let signer = Signer::new(key.serialize_der(), certificate.der().to_vec());
        signer.ok_or_else(|| PkiError::Request("the new key does not fit its certificate".into()))
    }

    /// What nodes have that are given [`Authority::pem`].
    pub fn trust(&self) -> Result<Trust, PkiError> {
        Trust::from_pem(&self.pem)
            .map_err(|error| PkiError::Authority { part: "certificate", reason: error.to_string() })
    }

    /// A client certificate for the CLI.
    pub fn issue_admin(&self, name: &str, now: SystemTime) -> Result<KeyAndCertificate, PkiError> {
        self.issue(client(now, YEAR, name, Peer::ADMIN))
    }

    /// For a replica of the operator, as a server and towards other replicas; `names` are the DNS names and IP addresses
    /// that it is reached by.
    pub fn issue_operator(
        &self,
        names: &[String],
        now: SystemTime,
        valid: Duration,
    ) -> Result<KeyAndCertificate, PkiError> {
        let mut params = validity(now, valid);
        for name in names {
            let named = CertificateParams::new(vec![name.clone()]);
            let named = named.map_err(|_| PkiError::ServerName { found: name.clone() })?;
            params.subject_alt_names.extend(named.subject_alt_names);
        }
        params.distinguished_name = subject("sluice-operator", Peer::OPERATOR);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params)
    }

    /// Whether a PEM certificate is this authority's and good for at least `margin` more.
    pub(crate) fn vouches_for(&self, certificate: &str, now: SystemTime, margin: Duration) -> bool {
        let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(certificate.as_bytes()) else { return false };
        let (Ok(leaf), Ok((_, own))) = (pem.parse_x509(), X509Certificate::from_der(&self.der)) else {
            return false;
        };
        let until = SystemTime::UNIX_EPOCH + seconds(leaf.validity().not_after.timestamp());
        leaf.verify_signature(Some(own.public_key())).is_ok() && now + margin < until
    }

    fn issue(&self, params: CertificateParams) -> Result<KeyAndCertificate, PkiError> {
        let key = KeyPair::generate().map_err(refused)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(refused)?.pem();
        Ok(KeyAndCertificate { certificate, key: key.serialize_pem() })
    }
}

fn client(now: SystemTime, valid: Duration, name: &str, role: &str) -> CertificateParams {
    let mut params = validity(now, valid);
    params.distinguished_name = subject(name, role);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// Starts a little in the past, for peers whose clock is behind.
fn validity(now: SystemTime, valid: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = (now - Duration::from_secs(300).min(valid / 4)).into();
    params.not_after = (now + valid).into();
    params.use_authority_key_identifier_extension = true;
    // One key is certified more than once (renewal); a serial made from the key would repeat.
    params.serial_number = Some(SerialNumber::from_slice(&rand::random::<[u8; 16]>()));
    params
}

fn subject(name: &str, role: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, role);
    subject.push(DnType::CommonName, name);
    subject
}

fn refused(error: rcgen::Error) -> PkiError {
    PkiError::Request(error.to_string())
}

fn seconds(timestamp: i64) -> Duration {
    Duration::from_secs(timestamp.try_into().unwrap_or_default())
}

pub(crate) const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
