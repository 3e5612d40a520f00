//! Which of a plan's policies apply on which of this node's interfaces.

use std::ffi::CString;

use sluice_abi::{BALANCER_WORDS, WORDS};
use sluice_plan::{AttachMode, Hook, Interfaces, NodePlan};

use crate::error::Error;
use crate::tables::{mask, set_bit};

/// An interface of this node, as the agent knows it from netlink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalInterface {
    pub name: String,
    pub ifindex: u32,
    /// A default route leaves by it.
    pub default_route: bool,
    /// Bytes of the largest IP packet.
    pub mtu: u32,
    /// Why nothing may be attached to it: what the card does to packets.
    pub refusal: Option<Refusal>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A condition's reason, one word.
    pub reason: String,
    /// With the command that mends it.
    pub detail: String,
}

/// What one interface has to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    pub interface: LocalInterface,
    pub variant: Variant,
    pub attach: AttachMode,
    /// Positions of the filters and of the balancers in the plan.
    pub filters: Vec<usize>,
    pub balancers: Vec<usize>,
}

/// What tells one program of a generation from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variant {
    pub hook: Hook,
    /// Bits of the rows that belong to the filters that select the interface.
    pub entries: [u64; WORDS],
    pub balancers: [u64; BALANCER_WORDS],
    /// The interface may carry tunnels to backends on this node.
    pub decap: bool,
}

/// Attach modes that exclude each other on one interface, and the names of the filters that ask for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    pub interface: LocalInterface,
    pub native: String,
    pub generic: String,
}

impl Selection {
    /// Of the one link that it needs.
    pub fn place(&self) -> Place {
        (self.interface.ifindex, self.variant.hook)
    }
}

/// Index and hook of an interface.
pub type Place = (u32, Hook);

const HOOKS: [Hook; 3] = [Hook::Xdp, Hook::TcIngress, Hook::TcEgress];

impl Conflict {
    /// Only XDP has modes.
    pub fn place(&self) -> Place {
        (self.interface.ifindex, Hook::Xdp)
    }

    pub fn error(&self) -> Error {
        Error::AttachModeConflict {
            interface: self.interface.name.clone(),
            native: self.native.clone(),
            generic: self.generic.clone(),
        }
    }
}

/// Interfaces that at least one policy selects. `decaps` says of which balancers this node is a backend.
pub fn select(
    plan: &NodePlan,
    interfaces: &[LocalInterface],
    decaps: &[bool],
) -> Vec<std::result::Result<Selection, Box<Conflict>>> {
    interfaces
        .iter()
        // Test runs count apart by the loopback's index, so nothing may ever run there.
        .filter(|interface| interface.ifindex != 1)
        .flat_map(|interface| HOOKS.map(|hook| (interface, hook)))
        .filter_map(|(interface, hook)| {
            let filters = positions(
                plan.filters
                    .parts
                    .iter()
                    .map(|part| part.hook == hook && selects(&part.interfaces, interface)),
            );
            let balancers = positions(plan.balancers.parts.iter().zip(decaps).map(|(part, decap)| {
                hook == Hook::Xdp && (part.balances || *decap) && selects(&part.interfaces, interface)
            }));
            (!filters.is_empty() || !balancers.is_empty())
                .then(|| selection(plan, interface, hook, filters, balancers, decaps))
        })
        .collect()
}

/// What a policy asks for and this node does not have: each missing name, or that nothing matches at all.
pub fn missing(wanted: &Interfaces, interfaces: &[LocalInterface]) -> Vec<Error> {
    let absent = |name: &&String| !interfaces.iter().any(|interface| interface.name == **name);
    let names = wanted.names.iter().filter(absent);
    let mut errors: Vec<_> = names.map(|name| Error::InterfaceMissing { interface: name.clone() }).collect();
    if errors.is_empty() && !interfaces.iter().any(|interface| selects(wanted, interface)) {
        errors.push(Error::NothingSelected { selection: describe(wanted) });
    }
    errors
}

fn selection(
    plan: &NodePlan,
    interface: &LocalInterface,
    hook: Hook,
    filters: Vec<usize>,
    balancers: Vec<usize>,
    decaps: &[bool],
) -> std::result::Result<Selection, Box<Conflict>> {
    let mut variant =
        Variant { hook, decap: balancers.iter().any(|position| decaps[*position]), ..Variant::default() };
    variant.entries = mask(plan, |position| filters.contains(&position));
    for position in balancers.iter().filter(|position| plan.balancers.parts[**position].balances) {
        set_bit(&mut variant.balancers, *position);
    }
    let with = |mode| {
        filters.iter().map(|position| &plan.filters.parts[*position]).find(move |part| part.attach == mode)
    };
    let attach = match (with(AttachMode::Native), with(AttachMode::Generic)) {
        (Some(native), Some(generic)) => {
            let (native, generic) = (native.policy.name.clone(), generic.policy.name.clone());
            return Err(Box::new(Conflict { interface: interface.clone(), native, generic }));
        }
        (Some(_), None) => AttachMode::Native,
        (None, Some(_)) => AttachMode::Generic,
        (None, None) => AttachMode::Auto,
    };
    Ok(Selection { interface: interface.clone(), variant, attach, filters, balancers })
}

fn positions(selected: impl Iterator<Item = bool>) -> Vec<usize> {
    selected.enumerate().filter_map(|(position, selected)| selected.then_some(position)).collect()
}

pub fn selects(wanted: &Interfaces, interface: &LocalInterface) -> bool {
    (wanted.default_route && interface.default_route)
        || wanted.names.contains(&interface.name)
        || wanted.patterns.iter().any(|pattern| matches(pattern, &interface.name))
}

fn describe(wanted: &Interfaces) -> String {
    let mut parts = Vec::new();
    if !wanted.patterns.is_empty() {
        parts.push(format!("the patterns {}", wanted.patterns.join(", ")));
    }
    if wanted.default_route {
        parts.push("the default route".into());
    }
    if parts.is_empty() { "the selection".into() } else { parts.join(" or ") }
}

/// fnmatch(3): `*`, `?`, `[a-z]`, `[!a-z]` on the whole name.
fn matches(pattern: &str, name: &str) -> bool {
    let (Ok(pattern), Ok(name)) = (CString::new(pattern), CString::new(name)) else { return false };
    // SAFETY: both are NUL-terminated strings that outlive the call.
    unsafe { libc::fnmatch(pattern.as_ptr(), name.as_ptr(), 0) == 0 }
}

#[cfg(test)]
mod tests {
    use sluice_plan::{FilterPart, Filters, PolicyRef};

    use super::*;

    fn part(
        name: &str,
        entries: std::ops::Range<u16>,
        interfaces: Interfaces,
        attach: AttachMode,
    ) -> FilterPart {
        let policy = PolicyRef { name: name.into(), ..PolicyRef::default() };
        FilterPart {
            policy,
            interfaces,
            attach,
            hook: Hook::Xdp,
            audit: false,
            first: entries.start,
            end: entries.end,
            rules: Vec::new(),
        }
    }

    fn interface(name: &str, ifindex: u32, default_route: bool) -> LocalInterface {
        LocalInterface { name: name.into(), ifindex, default_route, mtu: 1500, refusal: None }
    }

    fn named(names: &[&str]) -> Interfaces {
        Interfaces { names: names.iter().map(|name| name.to_string()).collect(), ..Interfaces::default() }
    }

    fn patterns(patterns: &[&str]) -> Interfaces {
        Interfaces {
            patterns: patterns.iter().map(|name| name.to_string()).collect(),
            ..Interfaces::default()
        }
    }

    fn plan(parts: Vec<FilterPart>) -> NodePlan {
        NodePlan { filters: Filters { parts, ..Filters::default() }, ..NodePlan::default() }
    }

    #[test]
    fn names_patterns_and_the_default_route_select() {
        let default_route = Interfaces { default_route: true, ..Interfaces::default() };
        let plan = plan(vec![
            part("a", 0..2, named(&["eth0"]), AttachMode::Auto),
            part("b", 2..3, patterns(&["eth[0-9]"]), AttachMode::Native),
            part("c", 3..66, default_route, AttachMode::Auto),
        ]);
        let all = [interface("eth0", 2, false), interface("eth1", 3, true), interface("wlan0", 4, false)];
        let selected: Vec<_> =
            select(&plan, &all, &[]).into_iter().map(|s| s.expect("no conflict")).collect();
        assert_eq!(selected.len(), 2);
        assert_eq!((selected[0].interface.name.as_str(), selected[0].variant.entries[0]), ("eth0", 0b111));
        assert_eq!(selected[1].variant.entries[..2], [!0b11, 0b11]);
        assert_eq!(selected[1].attach, AttachMode::Native);
    }

    #[test]
    fn patterns_are_those_of_the_shell() {
        for (pattern, name, expected) in [
            ("eth*", "eth10", true),
            ("eth?", "eth10", false),
            ("ens[0-9]f?", "ens3f1", true),
            ("[!e]*", "eth0", false),
            ("eth", "eth0", false),
            ("vlan.*", "vlan.10", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn the_loopback_is_never_selected() {
        let plan = plan(vec![part("all", 0..1, patterns(&["*"]), AttachMode::Auto)]);
        assert!(select(&plan, &[interface("lo", 1, false)], &[]).is_empty());
    }

    #[test]
    fn modes_that_exclude_each_other_name_both_filters() {
        let plan = plan(vec![
            part("a", 0..1, named(&["eth0"]), AttachMode::Native),
            part("b", 1..2, named(&["eth0"]), AttachMode::Generic),
        ]);
        let conflict = select(&plan, &[interface("eth0", 2, false)], &[]).remove(0).expect_err("a conflict");
        let text = conflict.error().to_string();
        assert!(text.contains("Native by a") && text.contains("Generic by b"), "{text}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let have = [interface("eth0", 2, false)];
        let texts = |wanted| missing(&wanted, &have).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(texts(named(&["eth0"])).is_empty());
        assert!(texts(named(&["eth0", "eth7"]))[0].contains("eth7"));
        assert!(texts(patterns(&["ens*"]))[0].contains("ens*"));
    }
}
