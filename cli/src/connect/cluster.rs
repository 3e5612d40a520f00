//! The operator of the kubeconfig's cluster, through the API server's port-forward.

mod token;

use anyhow::{Context, anyhow, bail};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config, ResourceExt};
use sluice_proto::v1::admin_client::AdminClient;
use tonic::transport::Endpoint;
use tower::service_fn;

use super::{Operator, bearer, tls};
use crate::args::Connection;

/// Port of the operator for agents and the CLI.
const PORT: u16 = 9443;
/// Published by the chart.
const CA_CONFIG_MAP: &str = "sluice-ca";

/// The cluster of the kubeconfig or, in a pod without one, the pod's own.
pub async fn client(connection: &Connection) -> anyhow::Result<Client> {
    let config = match kubeconfig(connection) {
        Ok(kubeconfig) => Config::from_custom_kubeconfig(kubeconfig, &options(connection)).await?,
        Err(error) if connection.kubeconfig.is_some() => return Err(error.into()),
        Err(_) => Config::incluster().context("neither a kubeconfig nor a pod's service account")?,
    };
    Ok(Client::try_from(config)?)
}

pub async fn connect(connection: &Connection) -> anyhow::Result<Operator> {
    let kubeconfig = kubeconfig(connection).map_err(|error| {
        anyhow!(
            "no cluster, and no operator on this machine: give --kubeconfig, or --data or --pki of an operator without \
             a cluster ({error})"
        )
    })?;
    let token = user_token(&kubeconfig, connection)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &options(connection)).await?;
    let client = Client::try_from(config)?;
    let namespace = &connection.namespace;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let map = maps.get(CA_CONFIG_MAP).await;
    let map = map
        .with_context(|| format!("the operator's CA (ConfigMap {CA_CONFIG_MAP} in namespace {namespace})"))?;
    let ca = map.data.and_then(|data| data.get("ca.crt").cloned());
    let ca =
        ca.with_context(|| format!("ConfigMap {CA_CONFIG_MAP} has no ca.crt: install the chart again"))?;
    let pods: Api<Pod> = Api::namespaced(client, namespace);
    let pod = operator_pod(&pods, namespace).await?;
    let connector = service_fn(move |_| {
        let (pods, pod) = (pods.clone(), pod.clone());
        async move {
            let mut forward = pods.portforward(&pod, &[PORT]).await.map_err(std::io::Error::other)?;
            let stream =
                forward.take_stream(PORT).ok_or_else(|| std::io::Error::other("no port-forward stream"))?;
            Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(stream))
        }
    });
    let endpoint = Endpoint::from_static("https://sluice-operator").tls_config(tls(&ca))?;
    let channel = endpoint.connect_with_connector(connector).await.context("port-forward to the operator")?;
    Ok(AdminClient::with_interceptor(channel, bearer(&token)?))
}

/// The named file, or what KUBECONFIG or ~/.kube/config say.
fn kubeconfig(connection: &Connection) -> Result<Kubeconfig, KubeconfigError> {
    match &connection.kubeconfig {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    }
}

fn options(connection: &Connection) -> KubeConfigOptions {
    KubeConfigOptions { context: connection.context.clone(), ..KubeConfigOptions::default() }
}

async fn operator_pod(pods: &Api<Pod>, namespace: &str) -> anyhow::Result<String> {
    let list = pods.list(&ListParams::default().labels("app.kubernetes.io/component=operator")).await?;
    let status = |pod: &Pod| pod.status.clone().unwrap_or_default();
    let is_running = |pod: &&Pod| status(pod).phase.as_deref() == Some("Running");
    let is_ready = |pod: &&Pod| {
        let conditions = status(pod).conditions.unwrap_or_default();
        conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    // Any of them knows the way to the one that decides; without that none is ready, and one may be told to go on alone.
    match list.items.iter().filter(is_running).min_by_key(|pod| !is_ready(pod)) {
        Some(pod) => Ok(pod.name_any()),
        None => bail!("no running operator pod in namespace {namespace}: is the chart installed there?"),
    }
}

/// SLUICE_TOKEN goes before what the kubeconfig has.
fn user_token(kubeconfig: &Kubeconfig, connection: &Connection) -> anyhow::Result<String> {
    match std::env::var("SLUICE_TOKEN").ok().filter(|token| !token.is_empty()) {
        Some(token) => Ok(token),
        None => token::of_user(kubeconfig, connection.context.as_deref()),
    }
}
