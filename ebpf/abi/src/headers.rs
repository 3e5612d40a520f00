//! Values of the dimensions that say which optional parts a header has.

/// What an IPv4 header has behind its first 20 bytes, `0..VALUES`: nothing, or 1 + the bits of the options in it.
pub mod ip_options {
    pub const NONE: u32 = 0;
    /// Longer than 20 bytes; the bits are above it.
    pub const PRESENT: u32 = 1;
    pub const VALUES: u32 = PRESENT + (1 << 8);

    pub const RECORD_ROUTE: u32 = 1;
    pub const TIMESTAMP: u32 = 1 << 1;
    pub const SECURITY: u32 = 1 << 2;
    pub const LSRR: u32 = 1 << 3;
    pub const STREAM_ID: u32 = 1 << 4;
    pub const SSRR: u32 = 1 << 5;
    pub const ROUTER_ALERT: u32 = 1 << 6;
    /// Any option but those above, and no padding.
    pub const OTHER: u32 = 1 << 7;
}

/// The extension headers behind an IPv6 header that are whole, one bit each.
pub mod extension_headers {
    pub const HOP_BY_HOP: u32 = 1;
    pub const ROUTING: u32 = 1 << 1;
    pub const FRAGMENT: u32 = 1 << 2;
    pub const AUTHENTICATION: u32 = 1 << 3;
    pub const DESTINATION_OPTIONS: u32 = 1 << 4;
    pub const MOBILITY: u32 = 1 << 5;
    pub const HIP: u32 = 1 << 6;
    pub const SHIM6: u32 = 1 << 7;
    pub const VALUES: u32 = 1 << 8;
}
