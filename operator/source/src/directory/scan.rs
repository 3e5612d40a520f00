//! Reading the whole directory, file by file, with the memory of each file's last good reading.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluice_index::{Desired, Object, ObjectKey, Problem};
use sluice_plan::Fleet;

use super::file::{Stamp, read_text};
use super::lists::Lists;
use super::parse::{Document, MAX_FILE_BYTES, parse_documents, parse_fleet};

const FLEET_FILE: &str = "fleet.yaml";

/// A directory and what was last read of it.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    files: BTreeMap<PathBuf, FileState>,
    lists: Lists,
    /// `None` while it was never read.
    fleet: Option<Fleet>,
    /// Set by the first reading: files that break or come later hold nothing that was in force before.
    started: bool,
}

#[derive(Debug, Default)]
struct FileState {
    /// Modification time, length and inode of the reading; another means read again.
    stamp: Option<Stamp>,
    good: Vec<(ObjectKey, Arc<Object>)>,
    /// It was broken when this process started, so what it holds in force is not known.
    unread: bool,
    problems: Vec<Problem>,
}

impl Directory {
    pub fn new(path: impl Into<PathBuf>) -> Directory {
        Directory {
            path: path.into(),
            files: BTreeMap::new(),
            lists: Lists::default(),
            fleet: None,
            started: false,
        }
    }

    /// Reads what changed since the last call.
    ///
    /// # Errors
    /// The directory itself cannot be listed; the caller then keeps the last desired state.
    pub fn read(&mut self) -> io::Result<Desired> {
        let found = policy_files(&self.path)?;
        self.files.retain(|file, _| found.contains(file));
        let mut problems = Vec::new();
        if !found.iter().any(|file| is_fleet(file)) {
            self.fleet = Some(Fleet::default());
        }
        for file in found {
            if is_fleet(&file) {
                problems.extend(self.read_fleet(&file));
            } else {
                let state = self.files.entry(file.clone()).or_default();
                state.read(&file);
                state.unread |= !self.started && !state.problems.is_empty();
            }
        }
        self.started = true;
        let (objects, duplicates) = self.merge();
        problems.extend(self.files.values().flat_map(|state| state.problems.iter().cloned()));
        problems.extend(duplicates);
        let lists = self.lists.read(&self.path, objects.values().map(AsRef::as_ref));
        problems.extend(self.lists.problems(&self.path));
        let partial = self.files.values().any(|state| state.unread);
        let fleet = self.fleet.clone();
        Ok(Desired { synced: true, objects, lists, partial, problems, fleet, ..Desired::default() })
    }

    /// Folders other than its own in which files that address sets name may change.
    pub fn list_folders(&self) -> BTreeSet<PathBuf> {
        self.lists.folders(&self.path)
    }

    fn read_fleet(&mut self, file: &Path) -> Vec<Problem> {
        let read = read_text(file, MAX_FILE_BYTES).map_err(|problem| vec![problem]);
        match read.and_then(|text| parse_fleet(file, &text)) {
            Ok(fleet) => {
                self.fleet = Some(fleet);
                Vec::new()
            }
            Err(problems) => problems,
        }
    }

    /// One object of one name: the first file in order has it, a later one is reported.
    fn merge(&self) -> (BTreeMap<ObjectKey, Arc<Object>>, Vec<Problem>) {
        let mut owners: BTreeMap<&ObjectKey, &Path> = BTreeMap::new();
        let (mut objects, mut problems) = (BTreeMap::new(), Vec::new());
        for (file, state) in &self.files {
            for (key, object) in &state.good {
                if let Some(owner) = owners.get(key) {
                    let message =
                        format!("{key} is already in {}: rename or remove one of them", owner.display());
                    problems.push(Problem { place: file.display().to_string(), message });
                    continue;
                }
                owners.insert(key, file);
                objects.insert(key.clone(), object.clone());
            }
        }
        (objects, problems)
    }
}

impl FileState {
    fn read(&mut self, file: &Path) {
        let stamp = Stamp::of(file);
        if stamp.is_some() && stamp == self.stamp {
            return;
        }
        self.stamp = stamp;
        let parsed = read_text(file, MAX_FILE_BYTES)
            .map_err(|problem| vec![problem])
            .and_then(|text| parse_documents(file, &text));
        match parsed {
            Ok(documents) => {
                self.good =
                    documents.into_iter().map(|Document { key, object }| (key, Arc::new(object))).collect();
                self.problems.clear();
                self.unread = false;
            }
            Err(problems) => self.problems = problems,
        }
    }
}

fn is_fleet(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name == FLEET_FILE)
}

/// Files directly in the directory, in order; hidden ones and editors' leftovers are none.
fn policy_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let hidden = file.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let extension = file.extension().and_then(|extension| extension.to_str());
        if !hidden && matches!(extension, Some("yaml" | "yml" | "json")) && !file.is_dir() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(name: &str) -> String {
        format!(
            "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: {name}}}\nspec: {{interfaces: {{names: [eth0]}}, rules: []}}\n"
        )
    }

    fn names(desired: &Desired) -> Vec<&str> {
        desired.objects.keys().map(|key| key.name.as_str()).collect()
    }

    #[test]
    fn a_file_that_breaks_keeps_its_last_good_objects() {
        let place = tempfile::tempdir().expect("a directory");
        let file = place.path().join("a.yaml");
        fs::write(&file, filter("edge")).expect("written");
        let mut directory = Directory::new(place.path());
        assert_eq!(names(&directory.read().expect("listed")), ["edge"]);
        fs::write(&file, "kind: [broken").expect("written");
        let broken = directory.read().expect("listed");
        assert_eq!(names(&broken), ["edge"]);
        assert_eq!(broken.problems.len(), 1);
        fs::write(&file, filter("core")).expect("written");
        let mended = directory.read().expect("listed");
        assert_eq!((names(&mended), mended.problems.len()), (vec!["core"], 0));
        fs::remove_file(&file).expect("removed");
        assert!(directory.read().expect("listed").objects.is_empty());
    }

    #[test]
    fn a_file_that_is_broken_at_the_start_makes_absence_mean_nothing() {
        let place = tempfile::tempdir().expect("a directory");
        let (old, new) = (place.path().join("old.yaml"), place.path().join("new.yaml"));
        fs::write(&old, "kind: [broken").expect("written");
        let mut directory = Directory::new(place.path());
        assert!(directory.read().expect("listed").partial);
        fs::write(&old, filter("edge")).expect("written");
        assert!(!directory.read().expect("listed").partial);
        fs::write(&old, "kind: [broken").expect("written");
        fs::write(&new, "kind: [broken").expect("written");
        assert!(!directory.read().expect("listed").partial, "their last good readings are known");
    }

    #[test]
    fn a_fleet_file_is_default_where_there_is_none_and_unknown_where_it_is_broken() {
        let place = tempfile::tempdir().expect("a directory");
        let file = place.path().join(FLEET_FILE);
        fs::write(&file, "failsafe: [broken").expect("written");
        let mut directory = Directory::new(place.path());
        assert_eq!(directory.read().expect("listed").fleet, None);
        fs::remove_file(&file).expect("removed");
        assert_eq!(directory.read().expect("listed").fleet, Some(Fleet::default()));
    }

    #[test]
    fn two_objects_of_one_name_name_both_files() {
        let place = tempfile::tempdir().expect("a directory");
        fs::write(place.path().join("a.yaml"), filter("edge")).expect("written");
        fs::write(place.path().join("b.yaml"), filter("edge")).expect("written");
        let desired = Directory::new(place.path()).read().expect("listed");
        assert_eq!(desired.objects.len(), 1);
        let problem = desired.problems[0].to_string();
        assert!(problem.contains("b.yaml") && problem.contains("a.yaml"), "{problem}");
    }

    #[test]
    fn large_files_and_links_to_themselves_are_reported_and_not_followed() {
        let place = tempfile::tempdir().expect("a directory");
        fs::write(place.path().join("big.yaml"), vec![b'#'; 10 << 20]).expect("written");
        std::os::unix::fs::symlink("loop.yaml", place.path().join("loop.yaml")).expect("linked");
        let problems = Directory::new(place.path()).read().expect("listed").problems;
        assert!(problems[0].message.contains("10 MiB"), "{problems:?}");
        assert!(problems[1].message.contains("leads back to itself"), "{problems:?}");
    }
}
