//! ConfigMaps that address sets name: each is watched alone, so that no other is read or needs to be readable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::Api;
use kube::runtime::watcher as watch_objects;
use kube::runtime::watcher::{self, Event};
use sluice_crds::ConfigMapList;
use sluice_policy::{ListFormat, ListRef};
use sluice_sets::{ListState, read_list};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::follow::events;

/// Namespace and name.
type Name = (String, String);

pub struct ConfigMaps {
    client: Client,
    changed: mpsc::Sender<()>,
    followed: BTreeMap<Name, Followed>,
    lists: BTreeMap<ConfigMapList, (Found, ListState)>,
}

/// What is known of one.
#[derive(Clone, Debug, Default)]
enum Found {
    #[default]
    Unread,
    Unreadable(String),
    Absent,
    Data(Arc<BTreeMap<String, Vec<u8>>>),
}

struct Followed {
    found: watch::Receiver<Found>,
    task: JoinHandle<()>,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ConfigMaps {
    pub fn new(client: Client, changed: mpsc::Sender<()>) -> ConfigMaps {
        ConfigMaps { client, changed, followed: BTreeMap::new(), lists: BTreeMap::new() }
    }

    /// The state of each list; from now on these are followed, and no others.
    pub fn states(&mut self, wanted: &BTreeSet<ConfigMapList>) -> BTreeMap<ListRef, ListState> {
        let name = |list: &ConfigMapList| (list.namespace.clone(), list.name.clone());
        let names: BTreeSet<Name> = wanted.iter().map(name).collect();
        self.followed.retain(|name, _| names.contains(name));
        self.lists.retain(|list, _| wanted.contains(list));
        for name in names {
            let follow = || follow(self.client.clone(), &name, self.changed.clone());
            self.followed.entry(name.clone()).or_insert_with(follow);
        }
        for list in wanted {
            let found = self.followed[&name(list)].found.borrow().clone();
            let (before, state) = self.lists.entry(list.clone()).or_default();
            if !before.same(&found) {
                read(&found, list, state);
                *before = found;
            }
        }
        let state = |(list, (_, state)): (&ConfigMapList, &(Found, ListState))| {
            let ConfigMapList { namespace, name, key } = list.clone();
            (ListRef::ConfigMap { namespace, name, key }, state.clone())
        };
        self.lists.iter().map(state).collect()
    }
}

impl Found {
    fn same(&self, other: &Found) -> bool {
        match (self, other) {
            (Found::Unread, Found::Unread) | (Found::Absent, Found::Absent) => true,
            (Found::Unreadable(one), Found::Unreadable(two)) => one == two,
            (Found::Data(one), Found::Data(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

/// A fault leaves the last good reading as it is.
fn read(found: &Found, wanted: &ConfigMapList, state: &mut ListState) {
    match list(found, wanted.key.as_deref()) {
        Ok(bytes) => match read_list(&bytes, ListFormat::Plain) {
            Ok(list) => *state = ListState { good: Some(Arc::new(list)), ..ListState::default() },
            Err(fault) => state.fault = Some(fault.to_string()),
        },
        Err(fault) => state.fault = Some(fault),
    }
}

fn list(found: &Found, key: Option<&str>) -> Result<Vec<u8>, String> {
    let data = match found {
        Found::Unread => return Err("has not been read yet".to_owned()),
        Found::Unreadable(why) => return Err(why.clone()),
        Found::Absent => return Err("there is no such ConfigMap: make it, or remove its name".to_owned()),
        Found::Data(data) => data,
    };
    let Some(key) = key else {
        return Ok(data.values().cloned().collect::<Vec<_>>().join(&b'\n'));
    };
    let keys = || data.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    data.get(key).cloned().ok_or_else(|| format!("has no key of that name: write one of {}", keys()))
}

fn follow(client: Client, (namespace, name): &Name, changed: mpsc::Sender<()>) -> Followed {
    let (sender, found) = watch::channel(Found::default());
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let api: Api<ConfigMap> = Api::namespaced(client, namespace);
    let mut stream = Box::pin(events(move || watch_objects(api.clone(), config.clone())));
    let task = tokio::spawn(async move {
        let mut listing = None;
        while let Some(event) = stream.next().await {
            let now = match event {
                Ok(Event::Init) => {
                    listing = None;
                    continue;
                }
                Ok(Event::InitApply(object)) => {
                    listing = Some(object);
                    continue;
                }
                Ok(Event::InitDone) => listing.take().map_or(Found::Absent, data),
                Ok(Event::Apply(object)) => data(object),
                Ok(Event::Delete(_)) => Found::Absent,
                Err(error) => match refused(&error) {
                    Some(why) => Found::Unreadable(why),
                    // What was read stays until the API server is back.
                    None => continue,
                },
            };
            sender.send_replace(now);
            let _ = changed.try_send(());
        }
    });
    Followed { found, task }
}

fn refused(error: &watcher::Error) -> Option<String> {
    let (watcher::Error::InitialListFailed(kube::Error::Api(status))
    | watcher::Error::WatchStartFailed(kube::Error::Api(status))) = error
    else {
        return None;
    };
    (status.code == 403).then(|| {
        "the operator may not read it: name its namespace in addressSets.configMapNamespaces of the chart"
            .to_owned()
    })
}

fn data(object: ConfigMap) -> Found {
    let text = object.data.unwrap_or_default().into_iter().map(|(key, text)| (key, text.into_bytes()));
    let binary = object.binary_data.unwrap_or_default().into_iter().map(|(key, bytes)| (key, bytes.0));
    Found::Data(Arc::new(text.chain(binary).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(key: Option<&str>) -> ConfigMapList {
        let key = key.map(str::to_owned);
        ConfigMapList { namespace: "security".to_owned(), name: "lists".to_owned(), key }
    }

    fn found(entries: &[(&str, &str)]) -> Found {
        let entry = |(key, text): &(&str, &str)| ((*key).to_owned(), text.as_bytes().to_vec());
        Found::Data(Arc::new(entries.iter().map(entry).collect()))
    }

    #[test]
    fn one_key_or_all_of_them_are_a_list_and_a_fault_keeps_what_was_read() {
        let both = found(&[("a", "192.0.2.0/24"), ("b", "198.51.100.7")]);
        let (mut all, mut one) = (ListState::default(), ListState::default());
        read(&both, &wanted(None), &mut all);
        read(&both, &wanted(Some("b")), &mut one);
        let entries = |state: &ListState| state.good.as_ref().expect("read").entries;
        assert_eq!((entries(&all), entries(&one)), (2, 1));
        for (found, key, says) in [
            (found(&[("a", "192.0.2.0/24")]), Some("b"), "write one of a"),
            (found(&[("b", "no list")]), Some("b"), "line 1: \"no list\""),
            (Found::Absent, None, "there is no such ConfigMap"),
            (Found::Unread, None, "not been read yet"),
        ] {
            read(&found, &wanted(key), &mut one);
            assert!(one.fault.as_ref().expect("a fault").contains(says), "{one:?}");
            assert_eq!(entries(&one), 1);
        }
        read(&both, &wanted(Some("b")), &mut one);
        assert_eq!(one.fault, None);
    }
}
