//! Reaching the operator: by its admin certificate in directory mode, by port-forward and the user's token in a cluster.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sluice_proto::OPERATOR_NAME;
use sluice_proto::v1::admin_client::AdminClient;
use tonic::codegen::InterceptedService;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use crate::args::Connection;

pub mod cluster;

pub type Operator = AdminClient<InterceptedService<Channel, Bearer>>;

/// Adds the user's token where there is one.
#[derive(Clone, Debug, Default)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

pub async fn connect(connection: &Connection) -> anyhow::Result<Operator> {
    let pki = connection.pki.clone().or_else(|| connection.data.as_ref().map(|data| data.join("pki")));
    match pki {
        Some(pki) => directory_mode(&connection.operator, &pki).await,
        None => cluster::connect(connection).await,
    }
}

async fn directory_mode(address: &str, pki: &Path) -> anyhow::Result<Operator> {
    let ca = read(pki.join("ca.crt"))?;
    let identity = Identity::from_pem(read(pki.join("admin.crt"))?, read(pki.join("admin.key"))?);
    let tls = tls(&ca).identity(identity);
    let endpoint =
        Endpoint::from_shared(format!("https://{address}")).context("--operator: write HOST:PORT")?;
    let channel = endpoint.tls_config(tls)?.connect().await;
    let channel = channel
        .with_context(|| format!("no operator at {address}: is it running, and is --operator right?"))?;
    Ok(AdminClient::with_interceptor(channel, Bearer::default()))
}

/// The operator's certificate carries one name wherever it runs.
fn tls(ca: &str) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)).domain_name(OPERATOR_NAME)
}

fn bearer(token: &str) -> anyhow::Result<Bearer> {
    match format!("Bearer {}", token.trim()).parse() {
        Ok(token) => Ok(Bearer(Some(token))),
        Err(_) => bail!("the user's token has characters that no header may have"),
    }
}

fn read(file: PathBuf) -> anyhow::Result<String> {
    std::fs::read_to_string(&file)
        .with_context(|| format!("{}: give the operator's data directory with --data", file.display()))
}
