use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use sluice_plan::{Hash, NodePlan};

use super::*;
use crate::{Drift, KernelSets, State};

const PERIOD: Duration = Duration::from_secs(60);

#[test]
fn every_set_is_read_within_the_period_and_one_at_a_time() {
    let names: Vec<String> = (0..64).map(|number| format!("set-{number}")).collect();
    let (mut turns, begun) = (Turns::default(), Instant::now());
    assert_eq!(turns.next(names.iter(), PERIOD, begun), None, "they were read when they were made");
    let mut last: BTreeMap<&str, Duration> = BTreeMap::new();
    for step in 1..1000 {
        let at = Duration::from_millis(250 * step);
        if let Some(name) = turns.next(names.iter(), PERIOD, begun + at) {
            let before = last.insert(name, at).unwrap_or_default();
            assert!(at - before <= PERIOD, "{name} after {:?}", at - before);
        }
    }
    let (end, all) = (Duration::from_millis(250 * 999), last.len());
    assert_eq!(all, 64);
    assert!(last.values().all(|at| end - *at <= PERIOD));
}

#[test]
fn a_set_that_is_not_what_was_written_is_noticed_and_made_anew() {
    if std::env::var_os("SLUICE_SKIP_PRIVILEGED").is_some_and(|value| value == "1") {
        return;
    }
    // Namespaces that end with the thread.
    let test = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
            .expect("namespaces need root; SLUICE_SKIP_PRIVILEGED=1 skips this test");
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
        let dir = tempfile::tempdir().expect("a directory");
        mount(Some("bpf"), dir.path(), Some("bpf"), MsFlags::empty(), none).expect("a bpf file system");
        altered_behind_our_back(Datapath::open(dir.path().join("sluice"), State::default()).expect("open"));
    });
    test.join().expect("the test passes");
}

fn altered_behind_our_back(mut datapath: Datapath) {
    let contents = ["192.0.2.0/24".parse::<ipnet::IpNet>().expect("a prefix")].into_iter().collect();
    let set = Arc::new(KernelSet::make_open(Hash([1; 32]), contents).expect("a set"));
    let sets: KernelSets = [("bad".to_owned(), set.clone())].into();
    datapath.offer_sets(sets);
    let plan = NodePlan { sets: vec!["bad".into()], ..NodePlan::default() };
    datapath.apply(&plan, &[]).expect("a plan with a set");
    let begun = Instant::now();
    let mut recheck = |after: Duration| {
        datapath.recheck_sets(PERIOD, begun + after).expect("it can be read");
        datapath.drift(&[])
    };
    assert_eq!(recheck(Duration::ZERO), []);
    set.alter().expect("the map is open");
    assert_eq!(recheck(PERIOD / 4), [], "it is not its turn");
    let altered = Drift::AlteredSet { set: "bad".into() };
    assert_eq!(recheck(PERIOD), [altered]);
    datapath.interfaces_changed(&[]).expect("repaired");
    assert_eq!(datapath.drift(&[]), []);
    let repaired = &datapath.sets()["bad"];
    assert!(repaired.is_intact().expect("it can be read") && !Arc::ptr_eq(repaired, &set));
}
