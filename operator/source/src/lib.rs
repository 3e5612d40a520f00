//! Where the desired state comes from: a directory of YAML files or the Kubernetes API. Both publish the whole
//! [`Desired`](sluice_index::Desired) state in a watch channel at every change.

pub mod directory;
mod gather;
pub mod kubernetes;
