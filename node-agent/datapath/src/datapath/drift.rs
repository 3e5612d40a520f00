//! Noticing what somebody else did to interfaces, links, pins and sets.

use super::Datapath;
use crate::link::Link;
use crate::query;
use crate::select::LocalInterface;

/// Something that is not as the last apply left it; [`Datapath::interfaces_changed`] repairs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// The interface went, and the link with it.
    InterfaceGone {
        interface: String,
    },
    /// Which policies select it may be another matter now.
    InterfaceRenamed {
        interface: String,
        from: String,
    },
    /// Somebody detached the link.
    LinkGone {
        interface: String,
    },
    OtherProgram {
        interface: String,
        program_id: u32,
    },
    /// Without its pin the link ends with this process.
    LinkUnpinned {
        interface: String,
    },
    /// Packets would go without the mark of a rule.
    MarksGone {
        interface: String,
    },
    /// Without its pins the program could not be adopted after a restart.
    ProgramUnpinned {
        program_id: u32,
    },
    /// Without its pin a map that programs share would be made anew: counters and rates would begin at 0.
    SharedUnpinned,
    /// Somebody put another map where programs look up an address set.
    OtherSet {
        set: String,
    },
    /// The maps of an address set did not hold what was written to them.
    AlteredSet {
        set: String,
    },
    /// The plan in force was applied to other interfaces than there are.
    OtherInterfaces,
}

impl Drift {
    /// One word for metrics; `None` where nobody touched what is ours.
    pub fn what(&self) -> Option<&'static str> {
        Some(match self {
            Drift::InterfaceGone { .. } => "interface_gone",
            Drift::InterfaceRenamed { .. } => "interface_renamed",
            Drift::LinkGone { .. } => "program_detached",
            Drift::OtherProgram { .. } => "program_replaced",
            Drift::LinkUnpinned { .. } | Drift::ProgramUnpinned { .. } | Drift::SharedUnpinned => {
                "pin_removed"
            }
            Drift::MarksGone { .. } => "marks_detached",
            Drift::OtherSet { .. } => "set_replaced",
            Drift::AlteredSet { .. } => "set_altered",
            Drift::OtherInterfaces => return None,
        })
    }

    /// The interface or the address set; empty of what belongs to the whole node.
    pub fn place(&self) -> &str {
        match self {
            Drift::InterfaceGone { interface }
            | Drift::InterfaceRenamed { interface, .. }
            | Drift::LinkGone { interface }
            | Drift::OtherProgram { interface, .. }
            | Drift::LinkUnpinned { interface }
            | Drift::MarksGone { interface } => interface,
            Drift::OtherSet { set } | Drift::AlteredSet { set } => set,
            Drift::ProgramUnpinned { .. } | Drift::SharedUnpinned | Drift::OtherInterfaces => "",
        }
    }
}

impl Datapath {
    /// Asks every link and looks at every pin: a few system calls for each interface, to be done some times a second.
    pub fn drift(&self, interfaces: &[LocalInterface]) -> Vec<Drift> {
        let mut found: Vec<Drift> =
            self.links.values().filter_map(|link| self.drift_of(link, interfaces)).collect();
        let without_marks = self.marks.lost().filter(|ifindex| is_there(*ifindex));
        found.extend(without_marks.map(|ifindex| Drift::MarksGone { interface: self.name_of(ifindex) }));
        let unpinned = self.members.iter().filter(|member| !member.program.is_pinned());
        found.extend(unpinned.map(|member| Drift::ProgramUnpinned { program_id: member.program.id() }));
        if !self.shared.is_pinned() {
            found.push(Drift::SharedUnpinned);
        }
        found.extend(self.altered.iter().map(|set| Drift::AlteredSet { set: set.clone() }));
        // A map that does not answer has lost them all.
        let lost = self.shared.set_places().lost(&self.sets, &self.state.set_places);
        let lost = lost.unwrap_or_else(|_| self.sets.keys().next().map(String::as_str));
        let replaced = lost.filter(|set| !self.altered.contains(*set));
        found.extend(replaced.map(|set| Drift::OtherSet { set: set.to_owned() }));
        if self.current.is_some() && self.interfaces != interfaces {
            found.push(Drift::OtherInterfaces);
        }
        found
    }

    fn drift_of(&self, link: &Link, interfaces: &[LocalInterface]) -> Option<Drift> {
        let (ifindex, _) = link.place();
        let interface = self.name_of(ifindex);
        let Some(program_id) = link.program_id().ok().filter(|_| !link.is_dead()) else {
            let is_there = is_there(ifindex);
            return Some(if is_there {
                Drift::LinkGone { interface }
            } else {
                Drift::InterfaceGone { interface }
            });
        };
        if self.members.iter().all(|member| member.program.id() != program_id) {
            return Some(Drift::OtherProgram { interface, program_id });
        }
        if !link.is_pinned() {
            return Some(Drift::LinkUnpinned { interface });
        }
        let now = interfaces.iter().find(|now| now.ifindex == ifindex && now.name != interface)?;
        let known = self.interfaces.iter().any(|before| before.ifindex == ifindex);
        known.then(|| Drift::InterfaceRenamed { interface: now.name.clone(), from: interface })
    }

    /// As the last apply knew it.
    fn name_of(&self, ifindex: u32) -> String {
        let known = self.interfaces.iter().find(|interface| interface.ifindex == ifindex);
        known.map_or_else(|| format!("index {ifindex}"), |interface| interface.name.clone())
    }
}

/// A link is the same whether its interface went or somebody detached it.
fn is_there(ifindex: u32) -> bool {
    !query::attached(ifindex).is_err_and(|error| error.raw_os_error() == Some(libc::ENODEV))
}
