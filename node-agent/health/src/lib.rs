//! Health checks of balancer backends: whether a TCP connection opens in time, again and again, with rise and fall.

mod check;
mod judge;
mod probe;
mod watch;

pub use check::{Check, Health};
pub use watch::watch;
