//! Reaching the operator: by its admin certificate where there is no cluster, by port-forward and the user's token in
//! one.

mod cluster;
mod directory;

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use sluice_proto::OPERATOR_NAME;
use sluice_proto::v1::admin_client::AdminClient;
use tonic::codegen::InterceptedService;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Code, Request, Response, Status};

use crate::args::Connection;

pub use cluster::client as cluster_client;
pub use directory::ADDRESS_FILE;

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

/// Where `standalone` and an operator without a cluster keep their data unless told otherwise.
const USUAL_DATA: [&str; 2] = ["/var/lib/sluice/operator", "/var/lib/sluice-operator"];

/// Which operator is meant.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Cluster,
    Directory { pki: PathBuf, data: Option<PathBuf> },
}

/// Data directory of an operator without a cluster, on this machine.
pub fn data_directory(connection: &Connection) -> Option<PathBuf> {
    match meant(connection) {
        Place::Directory { data, .. } => data,
        Place::Cluster => None,
    }
}

/// Whether the operator is one of a cluster.
pub fn is_cluster(connection: &Connection) -> bool {
    meant(connection) == Place::Cluster
}

pub async fn connect(connection: &Connection) -> anyhow::Result<Operator> {
    match meant(connection) {
        Place::Cluster => cluster::connect(connection).await,
        Place::Directory { pki, data } => {
            directory::connect(connection.operator.as_deref(), &pki, data.as_deref()).await
        }
    }
}

/// The answer, or what the operator or the way to it says instead.
pub fn answer<T>(result: Result<Response<T>, Status>) -> anyhow::Result<T> {
    let status = match result {
        Ok(response) => return Ok(response.into_inner()),
        Err(status) => status,
    };
    let transport =
        std::error::Error::source(&status).is_some_and(|source| source.is::<tonic::transport::Error>());
    Err(match status.code() {
        _ if transport => anyhow!(
            "the operator closed the connection: it does not know this client's certificate, or it is just ending"
        ),
        Code::Unauthenticated => anyhow!("the operator does not know you: {}", status.message()),
        Code::Unimplemented => {
            anyhow!("the operator is older than this command and cannot do that: `kubectl sluice version`")
        }
        _ => anyhow!("the operator says: {}", status.message()),
    })
}

fn meant(connection: &Connection) -> Place {
    place(connection, std::env::var_os("KUBECONFIG").is_some(), &USUAL_DATA.map(Path::new))
}

/// What is named decides; then KUBECONFIG; then what is found on this machine.
fn place(connection: &Connection, kubeconfig: bool, usual: &[&Path]) -> Place {
    let Connection { data, operator: _, pki, kubeconfig: file, context, namespace: _ } = connection;
    if file.is_some() || context.is_some() {
        return Place::Cluster;
    }
    if let Some(pki) = pki {
        return Place::Directory { pki: pki.clone(), data: data.clone() };
    }
    let found = || usual.iter().find(|data| data.join("pki").is_dir()).map(|data| data.to_path_buf());
    match data.clone().or_else(|| if kubeconfig { None } else { found() }) {
        Some(data) => Place::Directory { pki: data.join("pki"), data: Some(data) },
        None => Place::Cluster,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(data: &Path) -> Place {
        Place::Directory { pki: data.join("pki"), data: Some(data.to_owned()) }
    }

    #[test]
    fn what_is_named_wins_over_what_is_found() {
        let machine = tempfile::tempdir().expect("a directory");
        let (here, absent) = (machine.path().join("operator"), machine.path().join("absent"));
        std::fs::create_dir_all(here.join("pki")).expect("a directory");
        let usual = [absent.as_path(), here.as_path()];
        let none = Connection::default();
        assert_eq!(place(&none, false, &usual), directory(&here));
        assert_eq!(place(&none, true, &usual), Place::Cluster, "KUBECONFIG is set");
        assert_eq!(place(&none, false, &usual[..1]), Place::Cluster, "nothing on this machine");
        let named = Connection { data: Some("/elsewhere".into()), ..none.clone() };
        assert_eq!(place(&named, true, &usual), directory(Path::new("/elsewhere")));
        let context = Connection { context: Some("prod".into()), ..named };
        assert_eq!(place(&context, false, &usual), Place::Cluster);
    }

    #[test]
    fn an_answer_that_is_none_reads_as_a_sentence() {
        let said = |status| answer::<()>(Err(status)).expect_err("a refusal").to_string();
        assert_eq!(
            said(Status::permission_denied("jane may not list")),
            "the operator says: jane may not list"
        );
        assert!(said(Status::unauthenticated("give a token")).ends_with("know you: give a token"));
    }
}
