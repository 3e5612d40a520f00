//! A token for a certificate.

use pem::Pem;
use rcgen::{CertificateParams, KeyPair};
use sluice_proto::v1::EnrollRequest;
use sluice_proto::v1::enrollment_client::EnrollmentClient;
use tonic::transport::Channel;

use crate::{ClientError, Config, Identity, dial};

/// Makes a new key, which never leaves this node, and has it certified.
///
/// # Errors
/// [`ClientError::Enroll`] carries the operator's words; [`ClientError::Certificate`] if it certified another node.
pub(crate) async fn enroll(channel: Channel, config: &Config) -> Result<Identity, ClientError> {
    let token = dial::read(&config.token).await?.trim().to_owned();
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
