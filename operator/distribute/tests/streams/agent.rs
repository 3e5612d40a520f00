//! An agent that says what a test has it say.

use std::time::SystemTime;

use rcgen::{CertificateParams, KeyPair};
use sluice_pki::{KeyAndCertificate, NodeName, Tokens};
use sluice_plan::{Epoch, Hash, Schema, fleet_hash};
use sluice_proto::v1::agent_message::Kind as Said;
use sluice_proto::v1::distribution_client::DistributionClient;
use sluice_proto::v1::enrollment_client::EnrollmentClient;
use sluice_proto::v1::server_message::Kind;
use sluice_proto::v1::{
    self, AgentMessage, EnrollRequest, EnrollResponse, Have, Hello, ResourceVerdict, ServerMessage, Update,
    VerdictStage, Verdicts,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Status, Streaming};

use super::operator::{Operator, PATIENCE};

pub struct Stream {
    pub say: mpsc::Sender<AgentMessage>,
    heard: Streaming<ServerMessage>,
}

/// Enrolls with the node's token.
pub async fn join(operator: &Operator, node: &str) -> KeyAndCertificate {
    let token = operator.tokens.token(&NodeName::parse(node).unwrap(), SystemTime::now() + Tokens::VALIDITY);
    let key = KeyPair::generate().unwrap();
    let response = enroll(operator, None, &token, &key).await.unwrap();
    assert_eq!(response.node, node);
    certificate(&response, &key)
}

pub async fn enroll(
    operator: &Operator,
    identity: Option<&KeyAndCertificate>,
    token: &str,
    key: &KeyPair,
) -> Result<EnrollResponse, Status> {
    let csr = CertificateParams::default().serialize_request(key).unwrap().der().to_vec();
    let request = EnrollRequest { token: token.into(), csr };
    let mut client = EnrollmentClient::new(channel(operator, identity).await);
    client.enroll(request).await.map(tonic::Response::into_inner)
}

pub fn certificate(response: &EnrollResponse, key: &KeyPair) -> KeyAndCertificate {
    let pem = |der: &Vec<u8>| pem::encode(&pem::Pem::new("CERTIFICATE", der.clone()));
    let certificate = response.chain.iter().map(pem).collect();
    KeyAndCertificate { certificate, key: key.serialize_pem() }
}

pub async fn channel(operator: &Operator, identity: Option<&KeyAndCertificate>) -> Channel {
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(operator.authority.pem()))
        .domain_name("localhost");
    if let Some(pair) = identity {
        tls = tls.identity(Identity::from_pem(&pair.certificate, &pair.key));
    }
    let endpoint = Endpoint::from_shared(format!("https://{}", operator.address)).unwrap();
    endpoint.tls_config(tls).unwrap().connect().await.unwrap()
}

impl Stream {
    /// Enrolls, connects and says Hello as a node that enforces nothing.
    pub async fn fresh(operator: &Operator, node: &str) -> Stream {
        let identity = join(operator, node).await;
        Stream::open(operator, Some(&identity), hello(node)).await.unwrap()
    }

    pub async fn open(
        operator: &Operator,
        identity: Option<&KeyAndCertificate>,
        hello: Hello,
    ) -> Result<Stream, Status> {
        let (say, said) = mpsc::channel(16);
        say.send(AgentMessage { kind: Some(Said::Hello(hello)) }).await.unwrap();
        let mut client = DistributionClient::new(channel(operator, identity).await);
        let heard = client.sync(ReceiverStream::new(said)).await?.into_inner();
        Ok(Stream { say, heard })
    }

    /// The next message, heartbeats included.
    pub async fn next(&mut self) -> Kind {
        self.message().await.unwrap().expect("the stream goes on")
    }

    async fn message(&mut self) -> Result<Option<Kind>, Status> {
        let heard = timeout(PATIENCE, self.heard.message()).await.expect("a message in time");
        Ok(heard?.and_then(|message| message.kind))
    }

    /// The next message that is no heartbeat.
    pub async fn hear(&mut self) -> Result<Option<Kind>, Status> {
        loop {
            match self.message().await? {
                Some(Kind::Heartbeat(_)) => {}
                other => return Ok(other),
            }
        }
    }

    pub async fn update(&mut self) -> Update {
        match self.hear().await.unwrap() {
            Some(Kind::Update(update)) => update,
            other => panic!("an update was expected: {other:?}"),
        }
    }

    /// What it has, which is `plan`.
    pub async fn is_asked(&mut self, plan: &str) {
        let asked = self.hear().await.unwrap();
        assert!(matches!(asked, Some(Kind::AskHave(_))), "{asked:?}");
        let resources = [("plan".to_owned(), Hash::of(plan.as_bytes()).0.to_vec())].into();
        self.say.send(AgentMessage { kind: Some(Said::Have(Have { resources })) }).await.unwrap();
    }

    /// The status that the stream ends with.
    pub async fn refusal(&mut self) -> Status {
        self.hear().await.expect_err("the stream is refused")
    }

    pub async fn go_away(&mut self) -> v1::GoAway {
        match self.hear().await.unwrap() {
            Some(Kind::GoAway(go_away)) => go_away,
            other => panic!("a GoAway was expected: {other:?}"),
        }
    }

    pub async fn confirm(&self, update: &Update, plan: &str) {
        let hash = Hash::of(plan.as_bytes()).0.to_vec();
        let stage = VerdictStage::Programmed.into();
        let resource = ResourceVerdict { key: "plan".into(), hash, stage, ..Default::default() };
        let verdicts = Verdicts { nonce: update.nonce, epoch: update.epoch, resources: vec![resource] };
        self.say.send(AgentMessage { kind: Some(Said::Verdicts(verdicts)) }).await.unwrap();
    }
}

pub fn hello(node: &str) -> Hello {
    Hello { node: node.into(), plan_schemas: Schema::numbers(), ..Default::default() }
}

/// As of a node that enforces `plan`.
pub fn hello_with(node: &str, plan: &str, epoch: Epoch, cluster_id: &str) -> Hello {
    let Epoch { incarnation, term, index } = epoch;
    Hello {
        fleet_hash: fleet_hash([("plan", Hash::of(plan.as_bytes()))]).0.to_vec(),
        last_epoch: Some(v1::Epoch { incarnation, term, index }),
        cluster_id: cluster_id.into(),
        ..hello(node)
    }
}

/// `EPOCH PLAN`; `-` for no bytes.
pub fn brief(update: &Update) -> String {
    let plan = update.set.first().map_or("-".into(), |resource| String::from_utf8_lossy(&resource.bytes));
    format!("{} {plan}", update.epoch.unwrap().index)
}
