//! Putting a staged plan in force: freeze, read back, swap, and go back where a step fails.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::AsFd;
use std::sync::Arc;

use sluice_plan::Hook;

use super::member::{Member, Terms};
use super::{Current, Datapath, Staged, running_xdp};
use crate::counters;
use crate::error::{Context, Error, Result};
use crate::link::Link;
use crate::marks::{filter_marks, marks};
use crate::outcome::{Applied, InterfaceOutcome, PolicyOutcome, Problem};
use crate::readback::{Mismatch, ReadBack};
use crate::select::{Conflict, Place, Selection, missing};
use crate::slots::SlotKey;
use crate::unmarked::Unmarked;
use crate::{program, sets};

impl Datapath {
    /// Freezes the tables, reads every element back, and only then swaps each interface by one link update. After an
    /// error, the former plan runs everywhere.
    pub fn commit(&mut self, staged: Staged) -> Result<Applied> {
        // What packets met until now is true of the programs that run now.
        let looked = self.find_unmarked();
        let read_back = tracing::info_span!("read-back");
        let read_back = looked.and_then(|_| read_back.in_scope(|| self.read_back(&staged)));
        let result = read_back.and_then(|read_back| {
            let outcomes = tracing::info_span!("swap").in_scope(|| self.swap_all(&staged))?;
            Ok((read_back, outcomes))
        });
        match result {
            Ok((read_back, outcomes)) => {
                tracing::info_span!("retire").in_scope(|| self.finish(staged, read_back, outcomes))
            }
            Err(error) => {
                drop(staged);
                self.clean_up();
                Err(error)
            }
        }
    }

    /// Removes what a plan that was not put in force left behind. The error that led here is the one to tell.
    pub(super) fn clean_up(&mut self) {
        self.offered.clear();
        let (places, owned) = (self.shared.set_places(), &self.state.set_places);
        if let Err(error) = places.put(&self.sets, owned).and_then(|()| places.keep(owned)) {
            tracing::error!(%error, "an address set of the plan in force is not as it was");
        }
        if let Err(error) = self.remove_unused_pins() {
            tracing::warn!(%error, "pins of a refused plan stay until the next one");
        }
    }

    /// Frozen tables cannot change after they were read, so what is read here is what will run.
    fn read_back(&mut self, staged: &Staged) -> Result<Option<ReadBack>> {
        let mut read = None;
        let mut done = BTreeSet::new();
        for (selection, member) in &staged.selections {
            if !done.insert(member.program.id()) {
                continue;
            }
            member.program.freeze()?;
            member.program.ensure_pinned()?;
            let terms = member.terms.as_ref().expect("a staged program has terms");
            let found =
                terms.read_back(&member.program, &staged.plan, &self.shared, &selection.interface.name)?;
            read = read.or(Some(found));
        }
        if let Some(set) = self.shared.set_places().lost(&staged.sets, &staged.set_places)?
            && let Some((selection, _)) = staged.selections.first()
        {
            let (interface, set) = (selection.interface.name.clone(), set.to_owned());
            return Err(Error::ReadBackMismatch { interface, mismatch: Mismatch::OtherSet { set } });
        }
        Ok(read)
    }

    fn finish(
        &mut self,
        staged: Staged,
        read_back: Option<ReadBack>,
        outcomes: Vec<InterfaceOutcome>,
    ) -> Result<Applied> {
        let took = staged.begun.elapsed();
        self.unmarked.renew(self.shared.stats.as_fd(), running_xdp(&self.links))?;
        let policies = policies(&staged, &outcomes, &self.unmarked)?;
        let members: Vec<_> = staged.selections.iter().map(|(_, member)| member.clone()).collect();
        let facts = members.iter().filter_map(|member| member.program.facts().ok());
        let program = facts.max_by_key(|facts| facts.verified_instructions);
        let ns_per_packet = members.iter().filter_map(|member| member.ns_per_packet()).max();
        let keep = staged.keep();
        let marking = staged.marking(&outcomes)?;
        self.current = Some(Current { plan: staged.plan, hash: staged.hash });
        self.interfaces = staged.interfaces;
        let terms = members.iter().filter_map(|member: &Arc<Member>| member.terms.as_ref());
        // Interfaces may share a program.
        let programs: BTreeSet<_> = terms.map(Terms::identity).collect();
        self.state.programs = programs.into_iter().collect();
        self.state.slots = staged.slots;
        self.state.regions = staged.regions;
        self.state.set_places = staged.set_places;
        self.sets = staged.sets;
        self.altered.clear();
        self.offered.clear();
        self.detach_all_but(&keep)?;
        self.marks.retain(&marking)?;
        self.keep_running(members)?;
        self.free_slots(&staged.owners, &staged.limiting)?;
        self.narrow_peers()?;
        self.remove_unused_pins()?;
        let sets = self.sets.iter().map(|(name, set)| (name.clone(), set.outcome())).collect();
        let (interfaces, loaded) = (outcomes, staged.loaded);
        Ok(Applied { read_back, interfaces, policies, sets, program, ns_per_packet, loaded, took })
    }

    fn detach_all_but(&mut self, keep: &BTreeSet<Place>) -> Result<()> {
        let gone: Vec<Place> = self.links.keys().copied().filter(|place| !keep.contains(place)).collect();
        for link in gone.iter().filter_map(|place| self.links.remove(place)).collect::<Vec<_>>() {
            link.detach()?;
        }
        Ok(())
    }

    /// Programs of the plan in force, and former ones that an interface still runs because it refused the new. Where the
    /// last interface went, they wait for the next: one that is made anew must not be open for as long as loading takes.
    fn keep_running(&mut self, current: Vec<Arc<Member>>) -> Result<()> {
        let running = self.running()?;
        let waiting = self.plan_hash().filter(|_| current.is_empty());
        let mut kept = current;
        for member in self.members.drain(..) {
            let known = kept.iter().any(|other| other.program.id() == member.program.id());
            let waits = waiting.is_some() && member.plan_hash() == waiting;
            if (running.contains(&member.program.id()) || waits) && !known {
                kept.push(member);
            }
        }
        kept.sort_by_key(|member| member.program.id());
        kept.dedup_by_key(|member| member.program.id());
        self.members = kept;
        self.members.iter().try_for_each(|member| member.program.ensure_pinned())
    }

    /// A slot is free once no program counts in it any more, and a region once none takes from it.
    fn free_slots(&mut self, owners: &BTreeSet<SlotKey>, limiting: &BTreeSet<SlotKey>) -> Result<()> {
        let hash = self.plan_hash();
        if self.members.iter().any(|member| member.plan_hash() != hash) {
            return Ok(());
        }
        self.shared.drops.gather(&self.state.slots)?;
        counters::zero(self.shared.counters.as_fd(), &self.state.slots.retain(owners))?;
        self.state.regions.retain(limiting);
        self.state.set_places.retain(&self.sets.keys().map(|name| sets::key(name)).collect());
        self.shared.set_places().keep(&self.state.set_places)
    }

    fn narrow_peers(&self) -> Result<()> {
        let endpoints =
            self.current.as_ref().map_or(&[][..], |current| &current.plan.failsafe.control_endpoints);
        self.local.write_peers(&self.shared.peers, endpoints)
    }

    fn remove_unused_pins(&self) -> Result<()> {
        let used: BTreeSet<_> = self.members.iter().map(|member| member.program.dir()).collect();
        let dir = self.root.join("programs");
        for entry in fs::read_dir(&dir).context(|| format!("listing {}", dir.display()))? {
            let path = entry.context(|| format!("listing {}", dir.display()))?.path();
            if !used.contains(path.as_path()) {
                program::remove_dir(&path)?;
            }
        }
        Ok(())
    }

    fn running(&self) -> Result<BTreeSet<u32>> {
        self.links.values().map(Link::program_id).collect()
    }
}

impl Staged {
    /// Interfaces that some policy selects, whether it can be put in force there or not.
    fn keep(&self) -> BTreeSet<Place> {
        let selected = self.selections.iter().map(|(selection, _)| selection.place());
        selected.chain(self.conflicts.iter().map(Conflict::place)).collect()
    }
}

impl Staged {
    /// Interfaces where rules mark, and those that still run what they ran before, which may.
    fn marking(&self, outcomes: &[InterfaceOutcome]) -> Result<BTreeSet<u32>> {
        let mut marking: BTreeSet<u32> =
            self.conflicts.iter().map(|conflict| conflict.interface.ifindex).collect();
        for ((selection, _), outcome) in self.selections.iter().zip(outcomes) {
            let has_marks = selection.variant.hook == Hook::Xdp;
            if has_marks && outcome.problem.is_some() || marks(&self.plan, selection)? {
                marking.insert(selection.interface.ifindex);
            }
        }
        Ok(marking)
    }
}

fn policies(
    staged: &Staged,
    outcomes: &[InterfaceOutcome],
    unmarked: &Unmarked,
) -> Result<Vec<PolicyOutcome>> {
    let Staged { plan, interfaces, selections, conflicts, .. } = staged;
    let refused: Vec<_> = conflicts
        .iter()
        .map(|conflict| InterfaceOutcome {
            name: conflict.interface.name.clone(),
            ifindex: conflict.interface.ifindex,
            attachment: None,
            problem: Some(Problem::from(&conflict.error())),
        })
        .collect();
    let met = |selected: &dyn Fn(&Selection) -> bool, wanted: &sluice_plan::Interfaces| {
        let with_outcome = selections.iter().zip(outcomes);
        let mut met: Vec<_> = with_outcome
            .filter(|((selection, _), _)| selected(selection))
            .map(|(_, outcome)| outcome)
            .collect();
        let hit = |refused: &&InterfaceOutcome| {
            interfaces.iter().any(|i| i.ifindex == refused.ifindex && crate::select::selects(wanted, i))
        };
        met.extend(refused.iter().filter(hit));
        met
    };
    let filters = plan.filters.parts.iter().enumerate().map(|(position, part)| {
        let met = met(&|selection| selection.filters.contains(&position), &part.interfaces);
        let outcome = PolicyOutcome::new(&part.policy, &missing(&part.interfaces, interfaces), &met);
        let without = met.iter().filter(|outcome| unmarked.is_at(outcome.ifindex));
        Ok(if filter_marks(plan, part)? { outcome.without_marks(without.copied()) } else { outcome })
    });
    let balancers = plan.balancers.parts.iter().enumerate().map(|(position, part)| {
        let met = met(&|selection| selection.balancers.contains(&position), &part.interfaces);
        let missing = if part.balances { missing(&part.interfaces, interfaces) } else { Vec::new() };
        Ok(PolicyOutcome::new(&part.policy, &missing, &met))
    });
    filters.chain(balancers).collect()
}
