//! Each semantic of the API, on a packet.
#![expect(clippy::unwrap_used, reason = "the helpers parse what the tests write")]

mod actions;
mod audit;
mod build;
mod established;
mod explained;
mod failsafe;
mod fragments;
mod layer2;
mod layer3;
mod layer4;
mod malformed;
mod network;
mod payload;
mod rates;
mod services;
