//! What XDP failed at behind a program's back, as the kernel's trace points tell it: an array of counts by what and why.

/// By action: a program that aborted, an action that the kernel does not know, or one that the driver could not do.
pub const EXCEPTION_ACTIONS: u32 = 0;
/// Frames that did not leave on the interface that they came in on (XDP_TX), by errno; 0: its queue is full.
pub const EXCEPTION_TRANSMIT: u32 = EXCEPTION_ACTIONS + ERRNOS;
/// Frames that did not leave on another interface, likewise.
pub const EXCEPTION_FORWARD: u32 = EXCEPTION_TRANSMIT + ERRNOS;
/// Frames that could not be redirected, by errno.
pub const EXCEPTION_REDIRECT: u32 = EXCEPTION_FORWARD + ERRNOS;
pub const EXCEPTIONS: u32 = EXCEPTION_REDIRECT + ERRNOS;

/// Elements of each kind, a power of two. Errnos end at 133; what is above counts as the last.
pub const ERRNOS: u32 = 256;
