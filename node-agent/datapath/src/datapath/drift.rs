//! Noticing what somebody else did to links and pins.

use super::Datapath;
use crate::select::LocalInterface;

/// Something that is not as the last apply left it; [`Datapath::interfaces_changed`] repairs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// The interface went, or somebody detached the link.
    LinkGone {
        ifindex: u32,
    },
    OtherProgram {
        ifindex: u32,
        program_id: u32,
    },
    /// Without its pin the link ends with this process.
    LinkUnpinned {
        ifindex: u32,
    },
    /// Packets would go without the mark of a rule.
    MarksGone {
        ifindex: u32,
    },
    /// Without its pins the program could not be adopted after a restart.
    ProgramUnpinned {
        program_id: u32,
    },
    /// Somebody put another map where programs look up an address set.
    OtherSet {
        set: String,
    },
    /// The plan in force was applied to other interfaces than there are.
    OtherInterfaces,
}

impl Datapath {
    /// Asks every link and looks at every pin: a few system calls for each interface, to be done twice a second.
    pub fn drift(&self, interfaces: &[LocalInterface]) -> Vec<Drift> {
        let mut found = Vec::new();
        for ((ifindex, _), link) in &self.links {
            let ifindex = *ifindex;
            let running = link.program_id().ok().filter(|_| !link.is_dead());
            match running {
                None => found.push(Drift::LinkGone { ifindex }),
                Some(program_id) if self.members.iter().all(|member| member.program.id() != program_id) => {
                    found.push(Drift::OtherProgram { ifindex, program_id });
                }
                Some(_) if !link.pin_is_there() => found.push(Drift::LinkUnpinned { ifindex }),
                Some(_) => {}
            }
        }
        found.extend(self.marks.lost().map(|ifindex| Drift::MarksGone { ifindex }));
        let unpinned = self.members.iter().filter(|member| !member.program.is_pinned());
        found.extend(unpinned.map(|member| Drift::ProgramUnpinned { program_id: member.program.id() }));
        // A map that does not answer has lost them all.
        let lost = self.shared.set_places().lost(&self.sets, &self.state.set_places);
        let lost = lost.unwrap_or_else(|_| self.sets.keys().next().map(String::as_str));
        found.extend(lost.map(|set| Drift::OtherSet { set: set.to_owned() }));
        if self.current.is_some() && self.interfaces != interfaces {
            found.push(Drift::OtherInterfaces);
        }
        found
    }
}
