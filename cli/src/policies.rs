//! Policies from files, without an operator.

mod sets;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sluice_address_set::AddressSet;
use sluice_index::{Held, Object, ObjectKey, Policy, check_sets};
use sluice_plan::Fleet;
use sluice_policy::{Balancer, Filter, ListRef};
use sluice_sets::ListState;
use sluice_source::directory::{Directory, Lists, parse_documents, parse_fleet};

use crate::args::PolicyFiles;
use sets::SetFiles;

/// What was read; all of it passed the checks that an API server and the operator make.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    pub filters: Vec<Filter>,
    pub balancers: Vec<Balancer>,
    /// Contents of the address sets, by name.
    pub sets: BTreeMap<String, AddressSet>,
    pub fleet: Fleet,
}

/// # Errors
/// Any problem in any file: all of them are named.
pub fn read(args: &PolicyFiles) -> anyhow::Result<Policies> {
    let mut policies = Policies::default();
    let mut problems = Vec::new();
    let mut seen = BTreeMap::new();
    let mut sets = SetFiles::default();
    for file in &args.files {
        let Found { objects, lists } = objects(file, &mut policies.fleet, &mut problems)?;
        for (key, object) in objects {
            if let Some(first) = seen.insert(key.clone(), file) {
                problems.push(format!(
                    "{}: {key} is in {} already: one name is one object, so rename or remove one of them",
                    file.display(),
                    first.display()
                ));
            }
            let held = Held::admit(None, &key, &object);
            problems.extend(held.refusals.iter().map(|refusal| format!("{}: {refusal}", file.display())));
            match held.good {
                Some(Policy::Filter(filter)) => policies.filters.push(filter),
                Some(Policy::Balancer(balancer)) => policies.balancers.push(balancer),
                Some(Policy::Set(definition)) => sets.add(definition, &lists),
                None => {}
            }
        }
    }
    if let Some(file) = &args.fleet {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        match parse_fleet(file, &text) {
            Ok(fleet) => policies.fleet = fleet,
            Err(found) => problems.extend(found.iter().map(ToString::to_string)),
        }
    }
    policies.sets = sets.contents(args.fetch, &policies.fleet, &mut problems)?;
    // Of a set without contents it is said already why.
    let known = sets.names().map(|name| (name, true)).collect();
    let refused = policies.filters.iter().filter_map(|filter| Some((filter, check_sets(filter, &known)?)));
    problems.extend(refused.map(|(filter, refused)| format!("XdpFilter/{}: {refused}", filter.object.name)));
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    if policies.filters.is_empty() && policies.balancers.is_empty() && policies.sets.is_empty() {
        let files: Vec<String> = args.files.iter().map(|file| file.display().to_string()).collect();
        bail!(
            "{}: no policy in it: write XdpFilter or XdpLoadBalancer objects, or name another file",
            files.join(", ")
        );
    }
    Ok(policies)
}

#[derive(Default)]
struct Found {
    objects: Vec<(ObjectKey, Object)>,
    /// What the sets among them draw from.
    lists: BTreeMap<ListRef, ListState>,
}

fn objects(file: &Path, fleet: &mut Fleet, problems: &mut Vec<String>) -> anyhow::Result<Found> {
    if file.is_dir() {
        let desired = Directory::new(file).read().with_context(|| file.display().to_string())?;
        problems.extend(desired.problems.iter().map(ToString::to_string));
        *fleet = desired.fleet.unwrap_or_default();
        let objects = desired.objects.into_iter().map(|(key, object)| (key, (*object).clone()));
        return Ok(Found { objects: objects.collect(), lists: desired.lists });
    }
    let (name, text) = text(file)?;
    match parse_documents(&name, &text) {
        Ok(documents) => {
            let objects: Vec<_> =
                documents.into_iter().map(|document| (document.key, document.object)).collect();
            let folder = name.parent().unwrap_or(Path::new(""));
            let lists = Lists::default().read(folder, objects.iter().map(|(_, object)| object));
            Ok(Found { objects, lists })
        }
        Err(found) => {
            problems.extend(found.iter().map(ToString::to_string));
            Ok(Found::default())
        }
    }
}

fn text(file: &Path) -> anyhow::Result<(PathBuf, String)> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input")?;
        return Ok((PathBuf::from("<stdin>"), text));
    }
    Ok((file.to_owned(), std::fs::read_to_string(file).with_context(|| file.display().to_string())?))
}
