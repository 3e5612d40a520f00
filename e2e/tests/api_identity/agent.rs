//! What an agent says to be admitted, without an agent.

use rcgen::{CertificateParams, KeyPair};
use sluice_proto::v1::agent_message::Kind;
use sluice_proto::v1::distribution_client::DistributionClient;
use sluice_proto::v1::enrollment_client::EnrollmentClient;
use sluice_proto::v1::{
    AgentMessage, EnrollRequest, Hello, Report, SampleBatch, ServerMessage, server_message,
};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Identity;
use tonic::{Status, Streaming};

use crate::server::Operator;

pub struct Agent<'a> {
    operator: &'a Operator,
    runtime: Runtime,
}

pub struct Admitted {
    pub node: String,
    identity: Identity,
}

/// Open while this value lives.
pub struct Stream {
    say: mpsc::Sender<AgentMessage>,
    heard: Streaming<ServerMessage>,
}

impl Agent<'_> {
    pub fn at(operator: &Operator) -> Agent<'_> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Agent { operator, runtime: runtime.unwrap() }
    }

    /// Exchanges a token for a certificate.
    pub fn enroll(&self, token: &str) -> Result<Admitted, Status> {
        let key = KeyPair::generate().unwrap();
        let csr = CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
        let request = EnrollRequest { token: token.to_owned(), csr };
        let answer = self.runtime.block_on(async {
            EnrollmentClient::new(self.operator.channel(None).await)
                .enroll(request)
                .await
                .map(tonic::Response::into_inner)
        })?;
        let pem = |der: &Vec<u8>| pem::encode(&pem::Pem::new("CERTIFICATE", der.clone()));
        let chain: String = answer.chain.iter().map(pem).collect();
        Ok(Admitted { node: answer.node, identity: Identity::from_pem(chain, key.serialize_pem()) })
    }

    /// Greets as `node` and waits for the first word of the operator.
    pub fn sync(&self, admitted: &Admitted, node: &str) -> Result<Stream, Status> {
        self.runtime.block_on(async {
            let (say, said) = mpsc::channel(4);
            let hello = Hello {
                node: node.to_owned(),
                plan_schemas: sluice_plan::Schema::numbers(),
                ..Hello::default()
            };
            say.send(AgentMessage { kind: Some(Kind::Hello(hello)) }).await.unwrap();
            let mut client = DistributionClient::new(self.operator.channel(Some(&admitted.identity)).await);
            let mut heard = client.sync(ReceiverStream::new(said)).await?.into_inner();
            heard.message().await?;
            Ok(Stream { say, heard })
        })
    }

    pub fn report(&self, stream: &mut Stream, report: Report) {
        let message = AgentMessage { kind: Some(Kind::Report(report)) };
        self.runtime.block_on(stream.say.send(message)).unwrap();
    }

    /// Waits until the operator asks for samples of drops, and sends these.
    pub fn send_samples(&self, stream: &mut Stream, samples: SampleBatch) {
        self.runtime.block_on(async {
            while !asks_for_samples(&stream.heard.message().await.unwrap().unwrap()) {}
            stream.say.send(AgentMessage { kind: Some(Kind::Samples(samples)) }).await.unwrap();
        });
    }
}

fn asks_for_samples(message: &ServerMessage) -> bool {
    matches!(&message.kind, Some(server_message::Kind::Sample(request)) if request.for_ms > 0)
}
