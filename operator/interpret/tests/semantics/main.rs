//! Each semantic of the API, on a packet.

mod actions;
mod audit;
mod build;
mod failsafe;
mod fragments;
mod layer2;
mod layer3;
mod layer4;
mod malformed;
mod services;
