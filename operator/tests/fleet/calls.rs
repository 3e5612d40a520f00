//! What an operator is asked without an agent: by its administrator, or by who has a node's key.

use std::path::Path;
use std::time::Duration;

use pem::{Pem, encode};
use rcgen::{CertificateParams, KeyPair};
use sluice_proto::OPERATOR_NAME;
use sluice_proto::v1::admin_client::AdminClient;
use sluice_proto::v1::agent_message::Kind;
use sluice_proto::v1::distribution_client::DistributionClient;
use sluice_proto::v1::enrollment_client::EnrollmentClient;
use sluice_proto::v1::{AgentMessage, EnrollRequest, EnrollResponse, Hello, RevokeRequest, ServerMessage};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Status, Streaming};

use crate::operator::PATIENCE;

/// An operator's address, and the authority that it has.
pub struct Port<'a> {
    pub address: String,
    pub pki: &'a Path,
}

/// Open while this value lives.
pub struct Stream {
    _say: mpsc::Sender<AgentMessage>,
    pub heard: Streaming<ServerMessage>,
}

impl Port<'_> {
    /// Once the operator listens.
    pub async fn channel(&self, identity: Option<&Identity>) -> Channel {
        let mut tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.read("ca.crt")))
            .domain_name(OPERATOR_NAME);
        if let Some(identity) = identity {
            tls = tls.identity(identity.clone());
        }
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address)).expect("an address");
        let endpoint = endpoint.tls_config(tls).expect("certificates");
        let until = Instant::now() + PATIENCE;
        loop {
            match endpoint.connect().await {
                Ok(channel) => return channel,
                Err(error) => assert!(Instant::now() < until, "{error:?}"),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn admin(&self) -> AdminClient<Channel> {
        let identity = Identity::from_pem(self.read("admin.crt"), self.read("admin.key"));
        AdminClient::new(self.channel(Some(&identity)).await)
    }

    pub async fn revoke(&self, node: &str) -> Result<bool, Status> {
        let revoked = self.admin().await.revoke(RevokeRequest { node: node.to_owned() }).await?;
        Ok(revoked.into_inner().joins_by_token)
    }

    /// Has a key certified for a token.
    pub async fn enroll(&self, token: &str, csr: Vec<u8>) -> Result<EnrollResponse, Status> {
        let mut client = EnrollmentClient::new(self.channel(None).await);
        client.enroll(EnrollRequest { token: token.into(), csr }).await.map(tonic::Response::into_inner)
    }

    /// What a node is given for a token.
    pub async fn identity(&self, token: &str) -> Identity {
        let (key, csr) = request();
        let answer = self.enroll(token, csr).await.expect("let in");
        let chain: String =
            answer.chain.into_iter().map(|der| encode(&Pem::new("CERTIFICATE", der))).collect();
        Identity::from_pem(chain, key.serialize_pem())
    }

    /// Asks for another certificate with this one.
    pub async fn renew(&self, identity: &Identity) -> Result<EnrollResponse, Status> {
        let mut client = EnrollmentClient::new(self.channel(Some(identity)).await);
        let request = EnrollRequest { token: String::new(), csr: request().1 };
        client.enroll(request).await.map(tonic::Response::into_inner)
    }

    /// Greets as the node, and waits for the operator's first word.
    pub async fn sync(&self, identity: &Identity, node: &str) -> Result<Stream, Status> {
        self.greet(identity, node, Hello::default()).await
    }

    /// The same of a node that enforces something.
    pub async fn greet(&self, identity: &Identity, node: &str, hello: Hello) -> Result<Stream, Status> {
        let (say, said) = mpsc::channel(1);
        let hello = Hello { node: node.to_owned(), plan_schemas: sluice_plan::Schema::numbers(), ..hello };
        say.send(AgentMessage { kind: Some(Kind::Hello(hello)) }).await.expect("room");
        let mut client = DistributionClient::new(self.channel(Some(identity)).await);
        let mut heard = client.sync(ReceiverStream::new(said)).await?.into_inner();
        heard.message().await?;
        Ok(Stream { _say: say, heard })
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.pki.join(name)).expect("a file")
    }
}

/// A key, and the request to certify it.
pub fn request() -> (KeyPair, Vec<u8>) {
    let key = KeyPair::generate().expect("a key");
    let csr = CertificateParams::default().serialize_request(&key).expect("a request").der().to_vec();
    (key, csr)
}
