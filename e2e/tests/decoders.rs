//! Everything that is read from the network, given what is nearly right: it says no, at once, and takes no more memory than
//! what it was given is worth. `make soak` does it longer; `make fuzz-decoders` looks for more by what it covers.
#![allow(clippy::unwrap_used, reason = "a helper's panic is the test's failure")]

#[path = "decoders/mutate.rs"]
mod mutate;
#[path = "../../fuzz/src/lib.rs"]
mod readers;
#[path = "decoders/targets.rs"]
mod targets;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mutate::mutated;
use nix::sys::resource::{Resource, setrlimit};
use rand::SeedableRng;
use rand::rngs::StdRng;
use targets::{Target, targets};

/// Mutations of each example of each target.
const MUTATIONS: u64 = 1_500;
/// More than the process has before the first is read: no example is a hundredth of it.
const MEMORY: u64 = 192 << 20;
/// For one reading, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(2);

/// One test, in a process of its own: the bound on memory is the process's, and whoever passes it ends.
#[test]
fn what_is_nearly_right_is_refused_within_bounds() {
    let targets = targets();
    assert_eq!(
        targets.iter().map(|target| target.name).collect::<BTreeSet<_>>(),
        fuzzed(),
        "fuzz/fuzz_targets"
    );
    write_examples(&targets);
    bound_memory();
    let mutations = std::env::var("SLUICE_MUTATIONS").ok().and_then(|number| number.parse().ok());
    for target in targets {
        let (mut taken, mut longest) = (0, Duration::ZERO);
        let mutations = mutations.unwrap_or(MUTATIONS);
        for seed in 0..mutations {
            let example = &target.examples[seed as usize % target.examples.len()];
            let input = mutated(&mut StdRng::seed_from_u64(seed), example, &target.examples);
            let begun = Instant::now();
            let read = catch_unwind(AssertUnwindSafe(|| (target.read)(&input)));
            longest = longest.max(begun.elapsed());
            let named = || format!("{}, seed {seed}: {}", target.name, hex::encode(&input));
            taken += u64::from(read.unwrap_or_else(|_| panic!("{}", named())));
            assert!(longest < PATIENCE, "{longest:?} for {}", named());
        }
        println!("{}: {taken} of {mutations} taken, {longest:?} at most", target.name);
        for example in &target.examples {
            assert!((target.read)(example), "{}: the example itself is taken", target.name);
        }
    }
}

/// Names of the fuzz targets.
fn fuzzed() -> BTreeSet<&'static str> {
    let rows = include_str!("../../fuzz/Cargo.toml").split("[[bin]]").skip(1);
    rows.map(|row| row.split('"').nth(1).unwrap()).collect()
}

/// For `fuzz/run.sh`, which begins with them.
fn write_examples(targets: &[Target]) {
    let Some(place) = std::env::var_os("SLUICE_EXAMPLES").map(PathBuf::from) else { return };
    for target in targets {
        std::fs::create_dir_all(place.join(target.name)).unwrap();
        for (number, example) in target.examples.iter().enumerate() {
            std::fs::write(place.join(target.name).join(number.to_string()), example).unwrap();
        }
    }
}

fn bound_memory() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let kib: u64 = size.trim().trim_end_matches(" kB").parse().unwrap();
    let bound = (kib << 10) + MEMORY;
    setrlimit(Resource::RLIMIT_AS, bound, bound).unwrap();
    let beyond = Vec::<u8>::new().try_reserve_exact(MEMORY as usize);
    assert!(beyond.is_err(), "the bound holds");
}
