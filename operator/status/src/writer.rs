//! Where a status goes: to the Kubernetes API or to files.

pub mod directory;
pub mod kubernetes;
