//! A token, or a certificate that is about to end, for a new certificate.

use pem::Pem;
use rcgen::{CertificateParams, KeyPair};
use sluice_proto::v1::EnrollRequest;
use sluice_proto::v1::enrollment_client::EnrollmentClient;
use tonic::transport::Channel;

use crate::{ClientError, Config, Identity, dial};

/// A new key, which never leaves this node, and the request to have it certified.
pub(crate) struct Request {
    key: KeyPair,
    csr: Vec<u8>,
}

impl Request {
    pub fn new(config: &Config) -> Result<Request, ClientError> {
        let key = KeyPair::generate().map_err(damaged)?;
        let request =
            CertificateParams::new([config.node.clone()]).and_then(|params| params.serialize_request(&key));
        Ok(Request { csr: request.map_err(damaged)?.der().to_vec(), key })
    }
}

/// The token of this moment; they are replaced where the cluster makes them.
pub(crate) async fn token(config: &Config) -> Result<String, ClientError> {
    Ok(dial::read(&config.token).await?.trim().to_owned())
}

/// Has the key certified for a token; for the certificate that the channel shows if that is empty.
///
/// # Errors
/// [`ClientError::Enroll`] carries the operator's words; [`ClientError::Certificate`] if it certified another node.
pub(crate) async fn enroll(
    channel: Channel,
    config: &Config,
    request: &Request,
    token: String,
) -> Result<Identity, ClientError> {
    let asked = EnrollRequest { token, csr: request.csr.clone() };
    let answer = EnrollmentClient::new(channel).enroll(asked).await;
    let answer = answer.map_err(ClientError::Enroll)?.into_inner();
    if answer.node != config.node {
        let (found, node) = (answer.node, &config.node);
        return Err(ClientError::Certificate(format!("the token is node `{found}`'s, and this is `{node}`")));
    }
    let certificate: String =
        answer.chain.into_iter().map(|der| pem::encode(&Pem::new("CERTIFICATE", der))).collect();
    let identity = Identity { certificate, private_key: request.key.serialize_pem() };
    identity.validity()?;
    Ok(identity)
}

fn damaged(error: rcgen::Error) -> ClientError {
    ClientError::Certificate(error.to_string())
}
