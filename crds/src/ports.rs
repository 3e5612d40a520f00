use crate::numbers::{Numbers, number_type};

number_type! {
    /// A port, `"53"`, or a range with both ends included, `"8000-8100"`.
    PortRange, Numbers { noun: "a port", last: u16::MAX, names: &[], open: false, examples: "\"53\" or \"8000-8100\"" }
}
