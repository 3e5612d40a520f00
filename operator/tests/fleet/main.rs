//! A whole operator and agents without a kernel.

mod agent;
mod joins;
mod limits;
mod operator;
mod replicas;
mod rollouts;
mod trio;
