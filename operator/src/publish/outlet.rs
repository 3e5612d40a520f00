//! Where this operator's statuses go: to files or to an API server.

use std::collections::BTreeMap;

use serde_json::Value;
use sluice_crds::Kind;
use sluice_index::ObjectKey;
use sluice_status::Notice;
use sluice_status::writer::Found;
use sluice_status::writer::directory::DirectoryWriter;
use sluice_status::writer::kubernetes::KubernetesWriter;

pub enum Writer {
    Directory(DirectoryWriter),
    Kubernetes(Box<KubernetesWriter>),
    #[cfg(test)]
    Nowhere,
}

impl Writer {
    /// The statuses that are there.
    pub async fn found(&self) -> anyhow::Result<BTreeMap<ObjectKey, Found>> {
        Ok(match self {
            Writer::Directory(writer) => writer.found()?,
            Writer::Kubernetes(writer) => writer.found().await?,
            #[cfg(test)]
            Writer::Nowhere => BTreeMap::new(),
        })
    }

    pub async fn write(&self, key: &ObjectKey, status: &Value) -> anyhow::Result<()> {
        match self {
            Writer::Directory(writer) => Ok(writer.write(key, status)?),
            Writer::Kubernetes(writer) => Ok(writer.write(key, status).await?),
            #[cfg(test)]
            Writer::Nowhere => Ok(()),
        }
    }

    /// Its uid; files have none.
    pub async fn create_node(&self, name: &str) -> anyhow::Result<String> {
        match self {
            Writer::Kubernetes(writer) => Ok(writer.create_node(name).await?),
            _ => Ok(String::new()),
        }
    }

    /// A policy's status went with the policy.
    pub async fn remove(&self, key: &ObjectKey) -> anyhow::Result<()> {
        match self {
            Writer::Directory(writer) => Ok(writer.remove(key)?),
            Writer::Kubernetes(writer) if key.kind == Kind::XdpNode.name() => {
                Ok(writer.delete_node(&key.name).await?)
            }
            _ => Ok(()),
        }
    }

    /// As an Event, or where there is no API server in the log.
    pub async fn tell(&self, notice: &Notice) -> anyhow::Result<()> {
        match self {
            Writer::Kubernetes(writer) => Ok(writer.tell(notice).await?),
            _ => {
                let Notice { object, warning, reason, action, note, .. } = notice;
                tracing::info!(%object, warning, reason, action, "{note}");
                Ok(())
            }
        }
    }

    pub fn write_problems(&self, problems: &[String]) {
        if let Writer::Directory(writer) = self
            && let Err(error) = writer.write_problems(problems)
        {
            tracing::warn!(%error, "the list of problems is not written");
        }
    }

    /// Another replica decides: what this one's files say is not true for long. An API server's statuses are that one's.
    pub fn retire(&self) {
        if let Writer::Directory(writer) = self
            && let Err(error) = writer.clear()
        {
            tracing::error!(%error, "statuses that are not true any more cannot be removed");
        }
    }
}
