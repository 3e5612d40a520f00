//! Server-side apply of status subresources, by one field manager.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Api, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use kube::core::ApiResource;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use sluice_crds::{API_VERSION, GROUP, Kind, VERSION};
use sluice_index::ObjectKey;
use tokio::time::timeout;

use super::Found;
use crate::notice::Notice;

/// Of the API server's answer to a field that the definition of a kind does not have.
const UNDECLARED: &str = ": field not declared in schema";
const FIELD_MANAGER: &str = "sluice-operator";
/// The client has no timeout of its own for calls that are no watch.
const CALL: Duration = Duration::from_secs(5);

/// As Events name who tells.
const CONTROLLER: &str = "sluice.dev/operator";
/// Objects that are listed at once.
const PAGE: u32 = 500;

#[derive(Clone)]
pub struct KubernetesWriter {
    client: Client,
    recorder: Recorder,
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
        let recorder = Recorder::new(client.clone(), Reporter::from(CONTROLLER));
        KubernetesWriter { client, recorder }
    }

    /// Every status that the API server holds.
    pub async fn found(&self) -> Result<BTreeMap<ObjectKey, Found>, WriteError> {
        let mut all = BTreeMap::new();
        for kind in Kind::ALL {
            let api = self.api(&ObjectKey::new(kind, "", ""));
            let mut page = ListParams::default().limit(PAGE);
            loop {
                let list = timeout(CALL, api.list(&page)).await??;
                for object in list.items {
                    let key =
                        ObjectKey::new(kind, &object.namespace().unwrap_or_default(), &object.name_any());
                    let uid = object.uid().unwrap_or_default();
                    let status = object.data.get("status").cloned().unwrap_or_default();
                    all.insert(key, Found { uid, status });
                }
                match list.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => page.continue_token = Some(token),
                    None => break,
                }
            }
        }
        Ok(all)
    }

    /// As an Event; like ones within some minutes are one series.
    pub async fn tell(&self, notice: &Notice) -> Result<(), WriteError> {
        let Notice { object, uid, warning, reason, action, note } = notice;
        let regarding = ObjectReference {
            api_version: Some(API_VERSION.to_owned()),
            kind: Some(object.kind.clone()),
            name: Some(object.name.clone()),
            namespace: Some(object.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            uid: Some(uid.clone()).filter(|uid| !uid.is_empty()),
            ..ObjectReference::default()
        };
        let event = Event {
            type_: if *warning { EventType::Warning } else { EventType::Normal },
            reason: reason.clone(),
            note: Some(note.clone()),
            action: action.clone(),
            secondary: None,
        };
        Ok(timeout(CALL, self.recorder.publish(&event, &regarding)).await??)
    }

    /// An object that is gone meanwhile is no error. What definitions of an earlier version do not know is left out: they may
    /// be upgraded later than the operator, and the rest of the status is true without it.
    pub async fn write(&self, key: &ObjectKey, status: &Value) -> Result<(), WriteError> {
        let mut status = status.clone();
        loop {
            let applied = self.apply(key, &status).await;
            let Err(WriteError::Api(kube::Error::Api(refused))) = &applied else { return applied };
            let Some(unknown) = undeclared(&refused.message) else { return applied };
            let (parent, field) = unknown.rsplit_once('/').unwrap_or(("", unknown.as_str()));
            let parent = status.pointer_mut(parent).and_then(Value::as_object_mut);
            if parent.and_then(|parent| parent.remove(field)).is_none() {
                return applied;
            }
            tracing::debug!(object = %key, field = unknown, "not in the definition that is installed: left out");
        }
    }

    async fn apply(&self, key: &ObjectKey, status: &Value) -> Result<(), WriteError> {
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

    /// XdpNode objects are the operator's own: made when an agent first reports. Its uid.
    pub async fn create_node(&self, name: &str) -> Result<String, WriteError> {
        let key = ObjectKey::new(Kind::XdpNode, "", name);
        let body =
            json!({"apiVersion": API_VERSION, "kind": key.kind, "metadata": {"name": name}, "spec": {}});
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let made = timeout(CALL, self.api(&key).patch(name, &parameters, &Patch::Apply(&body))).await??;
        Ok(made.uid().unwrap_or_default())
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

/// JSON pointer, within the status, to the first field that the API server does not know.
fn undeclared(message: &str) -> Option<String> {
    let (before, _) = message.split_once(UNDECLARED)?;
    let (_, path) = before.rsplit_once(".status.")?;
    // Those of an item of a list are named by the item's keys.
    (!path.contains('[')).then(|| format!("/{}", path.replace('.', "/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_the_definition_lacks_is_found_in_the_answer() {
        let said = |path: &str| {
            format!(
                "failed to create typed patch object (/plain; sluice.dev/v1alpha1, Kind=XdpFilter): {path}: field not declared in schema"
            )
        };
        assert_eq!(undeclared(&said(".status.interfaces")).as_deref(), Some("/interfaces"));
        assert_eq!(undeclared(&said(".status.nodes.new")).as_deref(), Some("/nodes/new"));
        assert_eq!(undeclared(&said(r#".status.conditions[type="Ready"].new"#)), None);
        assert_eq!(undeclared("the object has been modified"), None);
    }
}
