//! An operator without a cluster: its administrator's certificate lets in.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow};
use sluice_proto::v1::admin_client::AdminClient;
use tonic::transport::{Endpoint, Error, Identity};

use super::{Bearer, Operator, tls};

/// Beside the operator's `pki`: where it listens, if that is not the usual address.
pub const ADDRESS_FILE: &str = "address";
const USUAL_ADDRESS: &str = "127.0.0.1:9443";
const PATIENCE: Duration = Duration::from_secs(5);

pub async fn connect(address: Option<&str>, pki: &Path, data: Option<&Path>) -> anyhow::Result<Operator> {
    let written = data.and_then(|data| std::fs::read_to_string(data.join(ADDRESS_FILE)).ok());
    let address = address.or(written.as_deref().map(str::trim)).unwrap_or(USUAL_ADDRESS);
    let ca = read(pki, "ca.crt")?;
    let identity = Identity::from_pem(read(pki, "admin.crt")?, read(pki, "admin.key")?);
    let endpoint = Endpoint::from_shared(format!("https://{address}"))
        .with_context(|| format!("--operator {address}: write HOST:PORT"))?
        .connect_timeout(PATIENCE)
        .timeout(PATIENCE)
        .tls_config(tls(&ca).identity(identity))
        .with_context(|| {
            format!("{}: admin.crt and admin.key: copy both from the operator", pki.display())
        })?;
    let channel = endpoint.connect().await.map_err(|error| no_answer(&error, address, pki))?;
    Ok(AdminClient::with_interceptor(channel, Bearer::default()))
}

/// Says apart who answers nothing and who answers wrongly.
fn no_answer(error: &Error, address: &str, pki: &Path) -> anyhow::Error {
    let mut causes = anyhow::Chain::new(error);
    let untrusted = |cause: &(dyn std::error::Error + 'static)| {
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>())
    };
    if causes.any(untrusted) {
        let ca = pki.join("ca.crt");
        return anyhow!(
            "what listens at {address} is not the operator that {} is of: is --operator right, and --data or --pki? \
             ({})",
            ca.display(),
            root(error)
        );
    }
    anyhow!("no operator at {address}: is it running, and is --operator right? ({})", root(error))
}

fn root(error: &Error) -> String {
    anyhow::Chain::new(error).last().map(ToString::to_string).unwrap_or_default()
}

fn read(pki: &Path, name: &str) -> anyhow::Result<String> {
    let file = pki.join(name);
    std::fs::read_to_string(&file).map_err(|error| {
        let way_out = match error.kind() {
            ErrorKind::PermissionDenied => {
                "run this as root, or copy ca.crt, admin.crt and admin.key to a directory of yours and give it as --pki"
            }
            _ => "give the operator's data directory with --data",
        };
        anyhow!("{}: {error}: {way_out}", file.display())
    })
}
