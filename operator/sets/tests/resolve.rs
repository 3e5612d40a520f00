//! What becomes of sets when what they are made of changes, fails or refers to itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use sluice_policy::{ListFormat, ListRef, SetDefinition, SetEntry};
use sluice_sets::{ListState, Resolution, Unresolved, read_list, resolve};

type All = BTreeMap<String, Resolution>;

fn net(text: &str) -> IpNet {
    text.parse().expect("a prefix")
}

fn set(entries: &[&str], sets: &[&str], except: &[&str]) -> SetDefinition {
    SetDefinition {
        entries: entries.iter().map(|text| SetEntry { prefix: net(text), expires: None }).collect(),
        sets: sets.iter().map(|name| (*name).to_owned()).collect(),
        except: except.iter().map(|text| net(text)).collect(),
        ..SetDefinition::default()
    }
}

fn of_file(name: &str) -> SetDefinition {
    SetDefinition { lists: vec![ListRef::File(name.to_owned())], ..SetDefinition::default() }
}

fn resolved(
    sets: &[(&str, &SetDefinition)],
    files: &BTreeMap<&str, ListState>,
    before: &All,
    now: i64,
) -> All {
    let definitions = sets.iter().copied().collect();
    let list = |_: &SetDefinition, wanted: &ListRef| match wanted {
        ListRef::File(name) => files.get(name.as_str()).cloned(),
        _ => None,
    };
    resolve(&definitions, &list, before, now)
}

fn prefixes(all: &All, name: &str) -> Vec<String> {
    let contents = all[name].contents.as_ref().expect("it has contents");
    contents.addresses.iter().map(|net| net.to_string()).collect()
}

fn good(text: &str) -> ListState {
    let list = read_list(text.as_bytes(), ListFormat::Plain).expect("a list");
    ListState { good: Some(Arc::new(list)), ..ListState::default() }
}

#[test]
fn a_set_is_its_entries_lists_and_sets_without_the_exceptions() {
    let inner = set(&["198.51.100.0/24"], &[], &[]);
    let mut outer =
        set(&["192.0.2.0/24", "2001:db8::/32"], &["inner"], &["192.0.2.0/25", "198.51.100.128/25"]);
    outer.lists.push(ListRef::File("more.txt".to_owned()));
    let files = [("more.txt", good("203.0.113.7\n203.0.113.7\n"))].into();
    let all = resolved(&[("inner", &inner), ("outer", &outer)], &files, &All::new(), 0);
    let wanted = ["192.0.2.128/25", "198.51.100.0/25", "203.0.113.7/32", "2001:db8::/32"];
    assert_eq!(prefixes(&all, "outer"), wanted);
    assert_eq!(all["outer"].contents.as_ref().expect("contents").entries, 5);
}

#[test]
fn a_circle_is_named_and_everybody_in_it_keeps_what_it_has() {
    let plain = set(&["192.0.2.0/24"], &[], &[]);
    let (a, c) = (set(&["198.51.100.0/24"], &["b"], &[]), set(&["203.0.113.0/24"], &["a"], &[]));
    let before = resolved(&[("a", &a), ("b", &plain)], &BTreeMap::new(), &All::new(), 0);
    let b = set(&["192.0.2.0/24", "10.0.0.0/8"], &["c"], &[]);
    let all = resolved(&[("a", &a), ("b", &b), ("c", &c)], &BTreeMap::new(), &before, 0);
    let cycle = |names: [&str; 4]| Some(Unresolved::Cycle(names.map(str::to_owned).to_vec()));
    assert_eq!(all["a"].unresolved, cycle(["a", "b", "c", "a"]));
    assert_eq!(all["b"].unresolved, cycle(["b", "c", "a", "b"]));
    assert_eq!(prefixes(&all, "b"), ["192.0.2.0/24"], "of the version before");
    assert!(all["c"].contents.is_none(), "it never had any");
    let said = all["a"].unresolved.as_ref().expect("refused").to_string();
    assert!(said.starts_with("is made of itself: a -> b -> c -> a: remove"), "{said}");
    let own = set(&[], &["own"], &[]);
    let all = resolved(&[("own", &own)], &BTreeMap::new(), &All::new(), 0);
    assert_eq!(all["own"].unresolved, Some(Unresolved::Cycle(vec!["own".to_owned(), "own".to_owned()])));
}

#[test]
fn an_unknown_set_is_refused_with_the_nearest_name() {
    let (scanners, user) = (set(&[], &[], &[]), set(&["192.0.2.0/24"], &["scaners"], &[]));
    let all = resolved(&[("scanners", &scanners), ("user", &user)], &BTreeMap::new(), &All::new(), 0);
    let said = all["user"].unresolved.as_ref().expect("refused").to_string();
    assert_eq!(said, "names the set \"scaners\", and there is none of that name: did you mean scanners?");
    assert!(all["user"].contents.is_none(), "half a set is none");
}

#[test]
fn a_list_that_was_never_read_makes_no_contents_and_one_that_breaks_later_keeps_them() {
    let set = of_file("a.txt");
    let (name, sets) = ("a.txt", [("set", &set)]);
    let broken = ListState { fault: Some("line 3: no prefix".to_owned()), ..ListState::default() };
    let files = [(name, broken)].into();
    let all = resolved(&sets, &files, &All::new(), 0);
    assert!(all["set"].contents.is_none());
    let said = all["set"].unresolved.as_ref().expect("refused").to_string();
    assert_eq!(said, "a.txt: line 3: no prefix");
    let mut state = good("192.0.2.0/24");
    let read = resolved(&sets, &[(name, state.clone())].into(), &all, 0);
    assert_eq!(prefixes(&read, "set"), ["192.0.2.0/24"]);
    state.fault = Some("line 1: no prefix".to_owned());
    let after = resolved(&sets, &[(name, state)].into(), &read, 0);
    assert_eq!((prefixes(&after, "set"), after["set"].faults.len()), (prefixes(&read, "set"), 1));
    assert!(after["set"].unresolved.is_none());
    // A restarted operator that cannot read it has what is in force.
    let restarted = resolved(&sets, &BTreeMap::new(), &after, 0);
    assert_eq!(prefixes(&restarted, "set"), ["192.0.2.0/24"]);
    assert!(restarted["set"].unresolved.is_some());
}

#[test]
fn an_entry_leaves_when_its_time_has_come() {
    let mut set = set(&["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"], &[], &[]);
    (set.entries[1].expires, set.entries[2].expires) = (Some(2000), Some(1000));
    let sets = [("set", &set)];
    let at = |now| resolved(&sets, &BTreeMap::new(), &All::new(), now);
    assert_eq!((prefixes(&at(999), "set").len(), at(999)["set"].next_expiry), (3, Some(1000)));
    assert_eq!(prefixes(&at(1000), "set"), ["192.0.2.0/24", "198.51.100.0/24"]);
    assert_eq!(at(1000)["set"].next_expiry, Some(2000));
    assert_eq!((prefixes(&at(2000), "set").len(), at(2000)["set"].next_expiry), (1, None));
}

#[test]
fn contents_are_made_anew_only_when_a_part_changed() {
    let (inner, outer) = (of_file("a.txt"), set(&["192.0.2.0/24"], &["inner"], &[]));
    let sets = [("inner", &inner), ("outer", &outer)];
    let files = [("a.txt", good("198.51.100.0/24"))].into();
    let first = resolved(&sets, &files, &All::new(), 0);
    let contents = |all: &All, name: &str| all[name].contents.clone().expect("contents");
    let again = resolved(&sets, &files, &first, 5);
    assert!(Arc::ptr_eq(&contents(&first, "outer"), &contents(&again, "outer")));
    // The same addresses, written differently and read anew.
    let files = [("a.txt", good("198.51.100.7/24"))].into();
    let read = resolved(&sets, &files, &again, 5);
    assert!(Arc::ptr_eq(&contents(&again, "outer"), &contents(&read, "outer")));
    let files = [("a.txt", good("198.51.101.0/24"))].into();
    let changed = resolved(&sets, &files, &read, 5);
    assert!(!Arc::ptr_eq(&contents(&read, "outer"), &contents(&changed, "outer")));
    assert_ne!(contents(&read, "outer").shards().0, contents(&changed, "outer").shards().0);
}
