//! A whole operator and agents without a kernel.

mod agent;
mod calls;
mod ends;
mod joins;
mod limits;
mod operator;
mod replicas;
mod revocations;
mod rollouts;
mod trio;
mod whys;
