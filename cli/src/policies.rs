//! Policies from files, without an operator.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sluice_index::{Held, Policy};
use sluice_plan::Fleet;
use sluice_policy::{Balancer, Filter};
use sluice_source::directory::{Directory, parse_documents, parse_fleet};

use crate::args::PolicyFiles;

/// What was read; all of it passed the checks that an API server and the operator make.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    pub filters: Vec<Filter>,
    pub balancers: Vec<Balancer>,
    pub fleet: Fleet,
}

/// # Errors
/// Any problem in any file: all of them are named.
pub fn read(args: &PolicyFiles) -> anyhow::Result<Policies> {
    let mut policies = Policies::default();
    let mut problems = Vec::new();
    let mut seen = BTreeMap::new();
    for file in &args.files {
        for (key, object) in objects(file, &mut policies.fleet, &mut problems)? {
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
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    if policies.filters.is_empty() && policies.balancers.is_empty() {
        let files: Vec<String> = args.files.iter().map(|file| file.display().to_string()).collect();
        bail!(
            "{}: no policy in it: write XdpFilter or XdpLoadBalancer objects, or name another file",
            files.join(", ")
        );
    }
    Ok(policies)
}

type Objects = Vec<(sluice_index::ObjectKey, sluice_index::Object)>;

fn objects(file: &Path, fleet: &mut Fleet, problems: &mut Vec<String>) -> anyhow::Result<Objects> {
    if file.is_dir() {
        let desired = Directory::new(file).read().with_context(|| file.display().to_string())?;
        problems.extend(desired.problems.iter().map(ToString::to_string));
        *fleet = desired.fleet.unwrap_or_default();
        return Ok(desired.objects.into_iter().map(|(key, object)| (key, (*object).clone())).collect());
    }
    let (name, text) = text(file)?;
    match parse_documents(&name, &text) {
        Ok(documents) => Ok(documents.into_iter().map(|document| (document.key, document.object)).collect()),
        Err(found) => {
            problems.extend(found.iter().map(ToString::to_string));
            Ok(Vec::new())
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
