//! Fields of the IP header as text.

use crate::numbers::{Numbers, number_type};

number_type! {
    /// The length of an IP packet in bytes, its header included: `"64"`, `"0-63"`, or `"1501-"` without an end.
    LengthRange, Numbers {
        noun: "a length", last: u16::MAX, names: &[], open: true, examples: "\"64\", \"0-63\" or \"1501-\""
    }
}

number_type! {
    /// A TTL (IPv4) or hop limit (IPv6): `"1"`, `"0-1"`, or `"65-"` without an end.
    TtlRange, Numbers { noun: "a TTL", last: 255, names: &[], open: true, examples: "\"1\", \"0-1\" or \"65-\"" }
}

number_type! {
    /// A differentiated services code point: a name as IANA has it, `"46"`, or a range, `"8-15"`.
    DscpRange, Numbers {
        noun: "a code point", last: 63, names: &DSCP, open: false, examples: "\"46\", \"8-15\" or a name (EF, AF41, CS0)"
    }
}

number_type! {
    /// Explicit congestion notification (RFC 3168): Not-ECT, ECT(1), ECT(0), CE, or `"0"` to `"3"`.
    EcnRange, Numbers {
        noun: "an ECN code point", last: 3, names: &ECN, open: false,
        examples: "Not-ECT, ECT(1), ECT(0), CE, \"0\" or \"1-3\""
    }
}

/// IANA, Differentiated Services Field Codepoints.
#[rustfmt::skip]
const DSCP: [(&str, u16); 24] = [
    ("CS0", 0), ("LE", 1), ("CS1", 8), ("AF11", 10), ("AF12", 12), ("AF13", 14), ("CS2", 16), ("AF21", 18), ("AF22", 20),
    ("AF23", 22), ("CS3", 24), ("AF31", 26), ("AF32", 28), ("AF33", 30), ("CS4", 32), ("AF41", 34), ("AF42", 36),
    ("AF43", 38), ("CS5", 40), ("VOICE-ADMIT", 44), ("NQB", 45), ("EF", 46), ("CS6", 48), ("CS7", 56),
];

const ECN: [(&str, u16); 4] = [("Not-ECT", 0), ("ECT(1)", 1), ("ECT(0)", 2), ("CE", 3)];
