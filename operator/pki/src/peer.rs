//! The identity in a client certificate.

use tonic::Request;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::PkiError;

/// Who is on the other end. TLS has verified the chain; this reads the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    Node(Holder),
    /// Directory mode's CLI.
    Admin(String),
    /// A replica of the operator.
    Operator(String),
}

/// Whom a node's certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub node: String,
    /// The certificates of a node are of one series until they are revoked; those that are made after that are of a later
    /// one. 0 of nodes that nothing was ever revoked of.
    pub series: u64,
}

impl Peer {
    /// Organizations of client certificates.
    pub(crate) const NODE: &str = "sluice:node";
    pub(crate) const ADMIN: &str = "sluice:admin";
    pub(crate) const OPERATOR: &str = "sluice:operator";

    /// None for a caller without a certificate.
    pub fn of<T>(request: &Request<T>) -> Result<Option<Peer>, PkiError> {
        let Some(chain) = request.peer_certs() else { return Ok(None) };
        chain.first().map(|leaf| Peer::from_der(leaf)).transpose()
    }

    pub fn from_der(certificate: &[u8]) -> Result<Peer, PkiError> {
        let unreadable = |reason: &str| PkiError::Peer(reason.to_owned());
        let (_, leaf) =
            X509Certificate::from_der(certificate).map_err(|error| unreadable(&error.to_string()))?;
        let subject = leaf.subject();
        let one =
            |mut values: Box<dyn Iterator<Item = &x509_parser::x509::AttributeTypeAndValue<'_>> + '_>| {
                let value = values.next().and_then(|value| value.as_str().ok()).map(str::to_owned);
                value.filter(|_| values.next().is_none())
            };
        let name =
            one(Box::new(subject.iter_common_name())).ok_or_else(|| unreadable("no single common name"))?;
        let role =
            one(Box::new(subject.iter_organization())).ok_or_else(|| unreadable("no single organization"))?;
        match role.as_str() {
            Peer::NODE => {
                let series = subject.iter_organizational_unit().next().map_or(Ok("0"), |unit| unit.as_str());
                let series = series.ok().and_then(|series| series.parse().ok());
                let series = series.ok_or_else(|| unreadable("the organizational unit is no series"))?;
                Ok(Peer::Node(Holder { node: name, series }))
            }
            Peer::ADMIN => Ok(Peer::Admin(name)),
            Peer::OPERATOR => Ok(Peer::Operator(name)),
            other => Err(unreadable(&format!("organization {other:?} is no role"))),
        }
    }
}
