//! The links: one atomic update for each interface, and every step back where one fails.

use std::sync::Arc;

use sluice_plan::{Hook, NodePlan};

use super::member::Member;
use super::{Datapath, Staged};
use crate::error::{Error, Result};
use crate::link::Link;
use crate::marks::marks;
use crate::outcome::{Attachment, InterfaceOutcome, Problem};
use crate::owner;
use crate::readback::Mismatch;
use crate::select::{Place, Selection};

/// How to take one step back.
enum Undo {
    /// Swap this place's link back to the program that it ran.
    Swap(Place, Arc<Member>, Option<Arc<Member>>),
    Detach(Place),
}

impl Datapath {
    pub(super) fn swap_all(&mut self, staged: &Staged) -> Result<Vec<InterfaceOutcome>> {
        self.forget_dead_links();
        let mut undo = Vec::new();
        let mut outcomes = Vec::new();
        for (selection, member) in &staged.selections {
            match self.swap_one(&staged.plan, selection, member, &mut undo) {
                Ok(outcome) => outcomes.push(outcome),
                Err(error) => {
                    self.roll_back(undo);
                    return Err(error);
                }
            }
        }
        Ok(outcomes)
    }

    /// An interface that takes no program is an outcome; one whose link does not do as told is an error.
    fn swap_one(
        &mut self,
        plan: &NodePlan,
        selection: &Selection,
        member: &Arc<Member>,
        undo: &mut Vec<Undo>,
    ) -> Result<InterfaceOutcome> {
        let interface = &selection.interface;
        // What the card does to packets matters in front of the stack, which undoes it.
        if let Some(refusal) = &interface.refusal
            && selection.variant.hook == Hook::Xdp
        {
            let error = Error::InterfaceRefused {
                interface: interface.name.clone(),
                reason: refusal.reason.clone(),
                detail: refusal.detail.clone(),
            };
            return Ok(self.outcome(selection, Some(Problem::from(&error))));
        }
        // Before the first packet is marked.
        if marks(plan, selection)?
            && let Err(error) = self.marks.ensure(&interface.name, interface.ifindex)
        {
            return Ok(self.outcome(selection, Some(Problem::from(&error))));
        }
        if self.links.get(&selection.place()).is_some_and(|link| !link.satisfies(selection.attach)) {
            return self.change_mode(selection, member, undo);
        }
        let problem = match self.links.get(&selection.place()) {
            Some(link) => {
                self.swap_link(&interface.name, link, member, undo)?;
                None
            }
            None => self.attach(selection, member, undo).err(),
        };
        Ok(self.outcome(selection, problem.as_ref().map(Problem::from)))
    }

    fn swap_link(
        &self,
        interface: &str,
        link: &Link,
        member: &Arc<Member>,
        undo: &mut Vec<Undo>,
    ) -> Result<()> {
        let running = link.program_id()?;
        if running != member.program.id() {
            let old = self.member_by_id(running);
            link.replace(member.program.fd(), old.as_ref().map(|old| old.program.fd()))?;
            undo.push(Undo::Swap(link.place(), member.clone(), old));
        }
        let (found, expected) = (link.program_id()?, member.program.id());
        if found != expected {
            let (interface, mismatch) = (interface.to_owned(), Mismatch::OtherProgram { found, expected });
            return Err(Error::ReadBackMismatch { interface, mismatch });
        }
        link.ensure_pinned()
    }

    fn attach(&mut self, selection: &Selection, member: &Member, undo: &mut Vec<Undo>) -> Result<()> {
        let (name, ifindex) = (&selection.interface.name, selection.interface.ifindex);
        let dir = self.root.join("links");
        let link =
            Link::attach(&dir, member.program.fd(), name, ifindex, selection.variant.hook, selection.attach)
                .map_err(|error| owner::name(error, &self.root, ifindex))?;
        self.links.insert(selection.place(), link);
        undo.push(Undo::Detach(selection.place()));
        Ok(())
    }

    /// Native and generic exclude each other in the kernel, so this is the one change that packets can slip through;
    /// where the new mode is refused, the old one comes back.
    fn change_mode(
        &mut self,
        selection: &Selection,
        member: &Arc<Member>,
        undo: &mut Vec<Undo>,
    ) -> Result<InterfaceOutcome> {
        let Some(link) = self.links.remove(&selection.place()) else {
            return Ok(self.outcome(selection, None));
        };
        let (running, former) = (self.member_by_id(link.program_id()?), link.mode());
        link.detach()?;
        let Err(error) = self.attach(selection, member, undo) else {
            return Ok(self.outcome(selection, None));
        };
        if let Some(running) = running {
            let before = Selection { attach: former.into(), ..selection.clone() };
            self.attach(&before, &running, undo)?;
        }
        Ok(self.outcome(selection, Some(Problem::from(&error))))
    }

    fn outcome(&self, selection: &Selection, problem: Option<Problem>) -> InterfaceOutcome {
        let link = self.links.get(&selection.place());
        let attachment = link.and_then(|link| {
            let program_id = link.program_id().ok()?;
            Some(Attachment { program_id, mode: link.mode(), fallback: link.fallback(selection.attach) })
        });
        InterfaceOutcome {
            name: selection.interface.name.clone(),
            ifindex: selection.interface.ifindex,
            attachment,
            problem,
        }
    }

    /// Best effort in reverse order: an interface that does not go back is said so, and the next apply repairs it.
    fn roll_back(&mut self, undo: Vec<Undo>) {
        for step in undo.into_iter().rev() {
            let result = match step {
                Undo::Swap(place, new, Some(old)) => match self.links.get(&place) {
                    Some(link) => link.replace(old.program.fd(), Some(new.program.fd())),
                    None => Ok(()),
                },
                Undo::Swap(_, _, None) => Ok(()),
                Undo::Detach(place) => self.links.remove(&place).map_or(Ok(()), Link::detach),
            };
            if let Err(error) = result {
                tracing::error!(%error, "an interface does not go back to its former program");
            }
        }
    }

    fn forget_dead_links(&mut self) {
        let dead: Vec<Place> =
            self.links.iter().filter(|(_, link)| link.is_dead()).map(|(place, _)| *place).collect();
        for link in dead.iter().filter_map(|place| self.links.remove(place)) {
            link.forget();
        }
    }

    fn member_by_id(&self, id: u32) -> Option<Arc<Member>> {
        self.members.iter().find(|member| member.program.id() == id).cloned()
    }
}
