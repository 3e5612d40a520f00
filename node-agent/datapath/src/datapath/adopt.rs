//! Taking over what an earlier process left attached.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use sluice_plan::NodePlan;

use super::Datapath;
use super::member::{Member, Terms};
use super::stage::Allotted;
use crate::error::{Context, Result};
use crate::load::config_of;
use crate::names::Names;
use crate::outcome::Applied;
use crate::program::Program;
use crate::select::{LocalInterface, select};
use crate::state::State;
use crate::tables;

impl Datapath {
    /// Puts the plan confirmed last in force at start. Programs that are pinned, of this build, and hold exactly this
    /// plan on these terms are kept: nothing is loaded and no link touched. Everything else is repaired.
    pub fn adopt(&mut self, plan: &NodePlan, interfaces: &[LocalInterface]) -> Result<Applied> {
        self.recognise(plan, interfaces)?;
        self.apply(plan, interfaces)
    }

    /// Gives terms to the pinned programs that prove to hold them.
    fn recognise(&mut self, plan: &NodePlan, interfaces: &[LocalInterface]) -> Result<()> {
        tables::check(plan)?;
        let hash = plan.hash();
        let names = Names::of(plan)?;
        let State { slots, regions, set_places, .. } = &self.state.clone();
        if names.all().iter().any(|key| slots.get(key).is_none())
            || names.limits.iter().any(|key| regions.get(key).is_none())
            || names.sets.iter().any(|key| set_places.get(key).is_none())
        {
            return Ok(());
        }
        self.local.write_peers(&self.shared.peers, &plan.failsafe.control_endpoints)?;
        for selection in select(plan, interfaces, &self.local.decaps(plan)).into_iter().flatten() {
            let allotted = Allotted { slots, regions, set_places };
            let spec = self.spec(plan, &names, &allotted, &selection.variant);
            let config = config_of(plan, &spec)?;
            let Some(tag) = self.state.trusted_tag(spec.hook, &config) else { continue };
            let terms = Terms { plan: hash, spec, config, tag };
            self.recognise_one(plan, terms, &selection.interface.name);
        }
        Ok(())
    }

    fn recognise_one(&mut self, plan: &NodePlan, terms: Terms, interface: &str) {
        if self.members.iter().any(|member| member.serves(terms.plan, &terms.spec)) {
            return;
        }
        for at in 0..self.members.len() {
            if self.members[at].terms.is_some() {
                continue;
            }
            match terms.read_back(&self.members[at].program, plan, &self.shared, interface) {
                Ok(_) => {
                    let Some(member) = Arc::get_mut(&mut self.members[at]) else { continue };
                    member.terms = Some(terms);
                    return;
                }
                Err(error) => tracing::info!(%error, "a pinned program is not the plan's"),
            }
        }
    }
}

/// The programs pinned in `dir`, and the number behind the highest directory in use. One that cannot be opened whole is
/// left out: the next commit removes its pins.
pub fn pinned(dir: &Path) -> Result<(Vec<Arc<Member>>, u64)> {
    let mut members = Vec::new();
    let mut next = 0;
    for entry in fs::read_dir(dir).context(|| format!("listing {}", dir.display()))? {
        let path = entry.context(|| format!("listing {}", dir.display()))?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.parse::<u64>().ok());
        next = number.map_or(next, |number| next.max(number + 1));
        match Program::open(&path) {
            Ok(program) => members.push(Arc::new(Member::new(program, None))),
            Err(error) => tracing::warn!(%error, "pins of a program are incomplete"),
        }
    }
    Ok((members, next))
}
