//! A token, or a certificate that is about to end, for a new certificate.

use pem::Pem;
use rcgen::{CertificateParams, KeyPair};
use sluice_proto::v1::EnrollRequest;
use sluice_proto::v1::enrollment_client::EnrollmentClient;
use tonic::transport::Channel;

use crate::{ClientError, Config, Identity, dial};

/// What vouches for this node.
pub(crate) enum Proof {
    Token(String),
    /// The channel shows the present certificate.
    Channel,
}

impl Proof {
    pub async fn token(config: &Config) -> Result<Proof, ClientError> {
        Ok(Proof::Token(dial::read(&config.token).await?.trim().to_owned()))
    }
}

/// Makes a new key, which never leaves this node, and has it certified.
///
/// # Errors
/// [`ClientError::Enroll`] carries the operator's words; [`ClientError::Certificate`] if it certified another node.
pub(crate) async fn enroll(channel: Channel, config: &Config, proof: Proof) -> Result<Identity, ClientError> {
    let token = match proof {
        Proof::Token(token) => token,
        Proof::Channel => String::new(),
    };
    let key = KeyPair::generate().map_err(damaged)?;
    let request =
        CertificateParams::new([config.node.clone()]).and_then(|params| params.serialize_request(&key));
    let csr = request.map_err(damaged)?.der().to_vec();
    let answer = EnrollmentClient::new(channel).enroll(EnrollRequest { token, csr }).await;
    let answer = answer.map_err(ClientError::Enroll)?.into_inner();
    if answer.node != config.node {
        let (found, node) = (answer.node, &config.node);
        return Err(ClientError::Certificate(format!("the token is node `{found}`'s, and this is `{node}`")));
    }
    let certificate: String =
        answer.chain.into_iter().map(|der| pem::encode(&Pem::new("CERTIFICATE", der))).collect();
    let identity = Identity { certificate, private_key: key.serialize_pem() };
    identity.validity()?;
    Ok(identity)
}

fn damaged(error: rcgen::Error) -> ClientError {
    ClientError::Certificate(error.to_string())
}
