//! Server-side apply of status subresources, by one field manager.

use std::time::Duration;

use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::core::ApiResource;
use serde_json::{Value, json};
use sluice_crds::{API_VERSION, GROUP, Kind, VERSION};
use sluice_index::ObjectKey;
use tokio::time::timeout;

const FIELD_MANAGER: &str = "sluice-operator";
/// The client has no timeout of its own for calls that are no watch.
const CALL: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub struct KubernetesWriter {
    client: Client,
}

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("the API server did not answer within {CALL:?}")]
    Timeout(#[from] tokio::time::error::Elapsed),
    #[error("{0}")]
    Api(#[from] kube::Error),
}

impl KubernetesWriter {
    pub fn new(client: Client) -> KubernetesWriter {
        KubernetesWriter { client }
    }

    /// An object that is gone meanwhile is no error.
    pub async fn write(&self, key: &ObjectKey, status: &Value) -> Result<(), WriteError> {
        let body = json!({
            "apiVersion": API_VERSION,
            "kind": key.kind,
            "metadata": {"name": key.name},
            "status": status,
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let api = self.api(key);
        let patch = Patch::Apply(&body);
        gone_is_fine(timeout(CALL, api.patch_status(&key.name, &parameters, &patch)).await?.map(drop))
    }

    /// XdpNode objects are the operator's own: made when an agent first reports.
    pub async fn create_node(&self, name: &str) -> Result<(), WriteError> {
        let key = ObjectKey::new(Kind::XdpNode, "", name);
        let body =
            json!({"apiVersion": API_VERSION, "kind": key.kind, "metadata": {"name": name}, "spec": {}});
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        timeout(CALL, self.api(&key).patch(name, &parameters, &Patch::Apply(&body))).await??;
        Ok(())
    }

    pub async fn delete_node(&self, name: &str) -> Result<(), WriteError> {
        let key = ObjectKey::new(Kind::XdpNode, "", name);
        gone_is_fine(timeout(CALL, self.api(&key).delete(name, &DeleteParams::default())).await?.map(drop))
    }

    fn api(&self, key: &ObjectKey) -> Api<DynamicObject> {
        let plural =
            key.kind.parse::<Kind>().map_or_else(|kind| kind.to_lowercase(), |kind| kind.plural().to_owned());
        let resource =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, VERSION, &key.kind), &plural);
        if key.namespace.is_empty() {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), &key.namespace, &resource)
        }
    }
}

fn gone_is_fine(result: Result<(), kube::Error>) -> Result<(), WriteError> {
    match result {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => Ok(other?),
    }
}
