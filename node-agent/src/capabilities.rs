//! What this kernel can do, for Hello.

use std::fs;

use sluice_netdev::Facts;
use sluice_proto::v1::Capabilities;

/// Most follows from the kernel's release, since the agent runs on none that lacks what it needs.
pub fn of_kernel(facts: &Facts) -> Capabilities {
    let kernel = read("/proc/sys/kernel/osrelease");
    let at_least = |wanted: (u32, u32)| release(&kernel).is_none_or(|release| release >= wanted);
    Capabilities {
        native_xdp: facts.nics.iter().any(|nic| nic.xdp_features.is_some_and(|features| features.native())),
        bpf_link: at_least((5, 9)),
        bpf_loop: at_least((5, 17)),
        tcx: at_least((6, 6)),
        frags: at_least((5, 18)),
        kernel,
    }
}

/// Tells a restart of the agent from one of the machine.
pub fn boot_id() -> String {
    read("/proc/sys/kernel/random/boot_id")
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// `None` for one that is no `major.minor…`.
fn release(kernel: &str) -> Option<(u32, u32)> {
    let mut parts = kernel.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_as_numbers() {
        assert_eq!(release("6.18.44-fc-v669"), Some((6, 18)));
        assert_eq!(release("next"), None);
        assert!(release("6.6.1") < release("6.18.0"));
    }
}
