//! Loading a plan beside the one in force.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use sluice_abi::{LIMIT_REGIONS, MAX_SLOTS, SET_PLACES};
use sluice_plan::{Hash, NodePlan};

use super::member::{Member, Terms};
use super::{Current, Datapath};
use crate::counters;
use crate::error::{Error, Result};
use crate::limits;
use crate::load::LoadSpec;
use crate::names::Names;
use crate::program::{NEXT_HOPS, Program};
use crate::select::{Conflict, LocalInterface, Selection, Variant, select};
use crate::sets::{self, KernelSets};
use crate::shared::load_replacing_pins;
use crate::slots::{SlotKey, SlotTable};
use crate::{self_test, tables};

/// A plan whose programs are loaded, pinned and self-tested, and run nowhere yet. Not committing it leaves pins behind
/// that the next commit removes.
pub struct Staged {
    pub(super) plan: NodePlan,
    pub(super) hash: Hash,
    pub(super) interfaces: Vec<LocalInterface>,
    /// With the program that each interface gets.
    pub(super) selections: Vec<(Selection, Arc<Member>)>,
    pub(super) conflicts: Vec<Conflict>,
    pub(super) slots: SlotTable,
    /// Owners of slots under this plan.
    pub(super) owners: BTreeSet<SlotKey>,
    pub(super) regions: SlotTable,
    /// Owners of regions under this plan.
    pub(super) limiting: BTreeSet<SlotKey>,
    pub(super) sets: KernelSets,
    pub(super) set_places: SlotTable,
    pub(super) loaded: usize,
    pub(super) begun: Instant,
}

/// What is whose on this node.
pub(super) struct Allotted<'a> {
    pub slots: &'a SlotTable,
    pub regions: &'a SlotTable,
    pub set_places: &'a SlotTable,
}

impl Staged {
    /// Directories with the pins of the programs that the plan gets, tables included.
    pub fn pins(&self) -> Vec<&std::path::Path> {
        self.selections.iter().map(|(_, member)| member.program.dir()).collect()
    }
}

impl Datapath {
    /// Loads one program for each set of policies that some interface needs, unless one is there already, and sends
    /// test packets through it. What is in force stays so.
    pub fn stage(&mut self, plan: &NodePlan, interfaces: &[LocalInterface]) -> Result<Staged> {
        self.try_stage(plan, interfaces).inspect_err(|_| self.clean_up())
    }

    fn try_stage(&mut self, plan: &NodePlan, interfaces: &[LocalInterface]) -> Result<Staged> {
        self.keep_shared()?;
        let begun = Instant::now();
        tables::check(plan)?;
        let hash = plan.hash();
        let names = Names::of(plan)?;
        let owners = names.all();
        let mut slots = self.state.slots.clone();
        let given = slots.allocate(&owners, MAX_SLOTS);
        let given = given.map_err(|wanted| Error::CounterSlotsExhausted { wanted })?;
        counters::zero(self.shared.counters.as_fd(), &given)?;
        let limiting = names.limiting();
        let mut regions = self.state.regions.clone();
        let given = regions.allocate(&limiting, LIMIT_REGIONS);
        for region in given.map_err(|wanted| Error::LimitRegionsExhausted { wanted })? {
            limits::clear(self.shared.tokens.as_fd(), region)?;
        }
        let (sets, set_places) = self.place_sets(plan, &names)?;
        self.widen_peers(plan)?;

        let mut staged = Staged {
            plan: plan.clone(),
            hash,
            interfaces: interfaces.to_vec(),
            selections: Vec::new(),
            conflicts: Vec::new(),
            slots,
            owners,
            regions,
            limiting,
            sets,
            set_places,
            loaded: 0,
            begun,
        };
        for selected in select(plan, interfaces, &self.local.decaps(plan)) {
            match selected {
                Ok(selection) => {
                    let Staged { slots, regions, set_places, .. } = &staged;
                    let allotted = Allotted { slots, regions, set_places };
                    let spec = self.spec(plan, &names, &allotted, &selection.variant);
                    let member = self.member(&mut staged, spec, &selection.interface.name)?;
                    staged.selections.push((selection, member));
                }
                Err(conflict) => staged.conflicts.push(*conflict),
            }
        }
        Ok(staged)
    }

    /// At once: programs in force meet a set as it was or as it will be, and both are answers.
    fn place_sets(&self, plan: &NodePlan, names: &Names) -> Result<(KernelSets, SlotTable)> {
        let mut known = self.sets.clone();
        known.extend(self.offered.clone());
        let sets = sets::of_plan(plan, &known)?;
        let mut places = self.state.set_places.clone();
        let given = places.allocate(&names.sets.iter().cloned().collect(), SET_PLACES);
        given.map_err(|wanted| Error::SetPlacesExhausted { wanted })?;
        tracing::info_span!("place-sets").in_scope(|| self.shared.set_places().put(&sets, &places))?;
        Ok((sets, places))
    }

    fn member(&mut self, staged: &mut Staged, spec: LoadSpec, interface: &str) -> Result<Arc<Member>> {
        let serves = |member: &&Arc<Member>| member.serves(staged.hash, &spec);
        let of_this_stage = staged.selections.iter().map(|(_, member)| member);
        if let Some(member) = self.members.iter().chain(of_this_stage).find(serves) {
            return Ok(member.clone());
        }
        staged.loaded += 1;
        self.load(staged, spec, interface).map(Arc::new)
    }

    fn load(&mut self, staged: &Staged, spec: LoadSpec, interface: &str) -> Result<Member> {
        let Staged { plan, hash, sets, .. } = staged;
        let loading = tracing::info_span!("load", interface).entered();
        let loaded = load_replacing_pins(plan, &spec)?;
        self.program_bounds.check(&loaded.facts()?, interface)?;
        let dir = self.root.join("programs").join(self.next_dir.to_string());
        self.next_dir += 1;
        let program = Program::pin(&loaded, &dir)?;
        let terms = Terms { plan: *hash, spec, config: *loaded.config(), tag: program.tag() };
        self.local.write_next_hops(program.map(NEXT_HOPS), plan)?;
        drop(loading);
        tracing::info_span!("self-test", interface)
            .in_scope(|| self_test::run(&loaded, plan, sets, interface))?;
        Ok(Member::new(program, Some(terms)))
    }

    pub(super) fn spec(
        &self,
        plan: &NodePlan,
        names: &Names,
        allotted: &Allotted<'_>,
        variant: &Variant,
    ) -> LoadSpec {
        // Every owner has its own: they were allocated from these names.
        let of = |table: &SlotTable, keys: &[SlotKey]| keys.iter().filter_map(|key| table.get(key)).collect();
        let slots = |keys| of(allotted.slots, keys);
        LoadSpec {
            hook: variant.hook,
            mask: variant.entries,
            balancers: variant.balancers,
            entry_slots: slots(&names.entries),
            vip_slots: slots(&names.vips),
            target_slots: slots(&names.targets),
            limit_regions: of(allotted.regions, &names.limits),
            set_places: of(allotted.set_places, &names.sets),
            limit_seed: self.state.limit_seed,
            decap: if variant.decap { self.local.decap_peers(plan) } else { Vec::new() },
            pins: Some(self.root.clone()),
        }
    }

    /// Peers of the plan in force and of the new one: neither may lose its connections while both run.
    fn widen_peers(&self, plan: &NodePlan) -> Result<()> {
        let both = [self.current.as_ref().map(|Current { plan, .. }| plan), Some(plan)];
        let endpoints: Vec<_> =
            both.into_iter().flatten().flat_map(|plan| plan.failsafe.control_endpoints.clone()).collect();
        self.local.write_peers(&self.shared.peers, &endpoints)
    }
}
