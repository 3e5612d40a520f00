//! The operator's administration over mutual TLS.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use sluice_proto::OPERATOR_NAME;
use sluice_proto::v1::admin_client::AdminClient;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::netns::join;

/// Runs a call from inside the hub, with the administrator's certificate.
pub fn ask<T, F>(
    hub: String,
    data: PathBuf,
    port: u16,
    call: impl FnOnce(AdminClient<Channel>) -> F + Send + 'static,
) -> anyhow::Result<T>
where
    T: Send + 'static,
    F: Future<Output = anyhow::Result<T>>,
{
    let work = move || {
        join(&hub)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { call(AdminClient::new(channel(&data, port).await?)).await })
    };
    std::thread::spawn(work).join().map_err(|_| anyhow::anyhow!("the call panicked"))?
}

async fn channel(data: &Path, port: u16) -> anyhow::Result<Channel> {
    let read =
        |name: &str| std::fs::read_to_string(data.join("pki").join(name)).with_context(|| name.to_owned());
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(read("ca.crt")?))
        .identity(Identity::from_pem(read("admin.crt")?, read("admin.key")?))
        .domain_name(OPERATOR_NAME);
    let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{port}"))?.tls_config(tls)?;
    Ok(endpoint.timeout(Duration::from_secs(5)).connect().await?)
}
