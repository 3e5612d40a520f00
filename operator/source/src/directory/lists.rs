//! Files of prefixes that address sets name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluice_crds::{ConfigMapList, MAX_FEED_BYTES, XdpAddressSet};
use sluice_index::{Object, Problem};
use sluice_policy::{ListFormat, ListRef};
use sluice_sets::{ListState, read_list};

use super::file::{Stamp, read_bytes};

/// What was last read of each file.
#[derive(Debug, Default)]
pub struct Lists {
    files: BTreeMap<String, (Option<Stamp>, ListState)>,
}

impl Lists {
    /// Reads what changed of the files that these objects name, from `folder` on.
    pub fn read<'a>(
        &mut self,
        folder: &Path,
        objects: impl Iterator<Item = &'a Object>,
    ) -> BTreeMap<ListRef, ListState> {
        let sets: Vec<&XdpAddressSet> = objects.filter_map(set).collect();
        let wanted: BTreeSet<&str> =
            sets.iter().flat_map(|set| &set.spec.files).map(|file| file.as_str()).collect();
        self.files.retain(|file, _| wanted.contains(file.as_str()));
        let mut states = BTreeMap::new();
        for file in wanted {
            let (stamp, state) = self.files.entry(file.to_owned()).or_default();
            read(&folder.join(file), stamp, state);
            states.insert(ListRef::File(file.to_owned()), state.clone());
        }
        for list in sets.iter().flat_map(|set| &set.spec.config_maps) {
            let ConfigMapList { namespace, name, key } = list.clone();
            let fault = "ConfigMaps are a cluster's, and there is none here: write its list to a file and name that in files";
            let state = ListState { fault: Some(fault.to_owned()), ..ListState::default() };
            states.insert(ListRef::ConfigMap { namespace, name, key }, state);
        }
        states
    }

    /// Folders in which a file may change, besides `folder` itself.
    pub fn folders(&self, folder: &Path) -> BTreeSet<PathBuf> {
        let parents = self.files.keys().filter_map(|file| folder.join(file).parent().map(Path::to_owned));
        parents.filter(|parent| parent != folder).collect()
    }

    pub fn problems(&self, folder: &Path) -> Vec<Problem> {
        let problem = |(file, (_, state)): (&String, &(Option<Stamp>, ListState))| {
            let message = state.fault.clone()?;
            Some(Problem { place: folder.join(file).display().to_string(), message })
        };
        self.files.iter().filter_map(problem).collect()
    }
}

fn set(object: &Object) -> Option<&XdpAddressSet> {
    match object {
        Object::Set(set) => Some(set),
        Object::Filter(_) | Object::Balancer(_) => None,
    }
}

fn read(file: &Path, known: &mut Option<Stamp>, state: &mut ListState) {
    let stamp = Stamp::of(file);
    if stamp.is_some() && stamp == *known {
        return;
    }
    *known = stamp;
    let read = read_bytes(file, MAX_FEED_BYTES).map_err(|problem| problem.message);
    match read.and_then(|bytes| read_list(&bytes, ListFormat::Plain).map_err(|fault| fault.to_string())) {
        Ok(list) => *state = ListState { good: Some(Arc::new(list)), ..ListState::default() },
        Err(fault) => state.fault = Some(fault),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn naming(files: &[&str]) -> Object {
        let mut set = XdpAddressSet::new("set", Default::default());
        set.spec.files = files.iter().map(|file| (*file).into()).collect();
        Object::Set(set)
    }

    #[test]
    fn a_file_that_breaks_keeps_its_last_good_reading_and_names_the_line() {
        let place = tempfile::tempdir().expect("a directory");
        let (folder, file) = (place.path(), place.path().join("lists/a.txt"));
        fs::create_dir(folder.join("lists")).expect("made");
        fs::write(&file, "192.0.2.0/24\n198.51.100.7 # one\n").expect("written");
        let (mut lists, objects) = (Lists::default(), [naming(&["lists/a.txt", "missing.txt"])]);
        let key = |name: &str| ListRef::File(name.to_owned());
        let states = lists.read(folder, objects.iter());
        let good = states[&key("lists/a.txt")].good.clone().expect("read");
        assert_eq!((good.entries, &states[&key("lists/a.txt")].fault), (2, &None));
        assert!(states[&key("missing.txt")].fault.is_some());
        assert_eq!(lists.folders(folder), [folder.join("lists")].into());
        fs::write(&file, "192.0.2.0/24\nnonsense\n").expect("written");
        let states = lists.read(folder, objects.iter());
        let state = &states[&key("lists/a.txt")];
        assert_eq!(state.good.as_ref(), Some(&good));
        assert!(state.fault.as_ref().expect("a fault").starts_with("line 2: \"nonsense\""));
        let problems: Vec<String> = lists.problems(folder).iter().map(ToString::to_string).collect();
        assert!(problems[0].contains("lists/a.txt: line 2"), "{problems:?}");
        assert!(lists.read(folder, [].into_iter()).is_empty() && lists.files.is_empty());
    }
}
