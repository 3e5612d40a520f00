//! What the end-to-end tests share.

pub mod bench;
pub mod capture;
pub mod clients;
pub mod cluster;
pub mod fleet;
pub mod frames;
pub mod http;
pub mod netns;
pub mod oracle;
pub mod packets;
pub mod process;
mod room;
pub mod scale;
pub mod sender;
pub mod traffic;
