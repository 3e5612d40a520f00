//! Pages whose examples are run: what they say comes out does.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use sluice_e2e::process::program;

use crate::run::quiet;

const WRITING_FILTERS: &str = include_str!("../../../docs/writing-filters.md");
const LIMITS: &str = include_str!("../../../docs/limits.md");
const ROLLOUTS: &str = include_str!("../../../docs/rollouts.md");
const ADDRESS_SETS: &str = include_str!("../../../docs/address-sets.md");

/// A fenced block: the language and the file that it is saved as, and its lines.
struct Block<'p> {
    info: Vec<&'p str>,
    text: String,
}

#[test]
fn writing_filters_says_what_comes_out() {
    let (files, commands) = follow(WRITING_FILTERS);
    assert!(files >= 10 && commands >= 10, "{files} files, {commands} commands");
}

#[test]
fn address_sets_says_what_comes_out() {
    let (files, commands) = follow(ADDRESS_SETS);
    assert!(files >= 8 && commands >= 5, "{files} files, {commands} commands");
}

#[test]
fn rollouts_says_what_comes_out() {
    let (files, commands) = follow(ROLLOUTS);
    assert!(files >= 1 && commands >= 1, "{files} files, {commands} commands");
}

#[test]
fn limits_says_the_bounds_that_are_checked() {
    let program = sluice_datapath::ProgramBounds::default();
    let of_a_kernel = [
        format!("walks for a program | {} |", grouped(program.verified_instructions.into())),
        format!("machine code of a program | {} bytes |", grouped(program.jited_bytes.into())),
    ];
    let rows = [
        ("rules of a filter", sluice_crds::MAX_RULES as u64),
        ("prefixes, ports, protocols or ICMP types in a list of a rule", sluice_crds::MAX_ENTRIES as u64),
        (
            "Ethernet addresses, EtherTypes, lengths, TTLs or DSCPs in a list of a rule",
            sluice_crds::MAX_FEW_ENTRIES as u64,
        ),
        ("patterns of payload of a rule", sluice_crds::MAX_PAYLOADS as u64),
        ("packets per second of a rule's rate", sluice_crds::MAX_PACKETS_PER_SECOND),
        ("bytes per second of a rule's rate", sluice_crds::MAX_BYTES_PER_SECOND),
        ("address sets that a side of a rule, or a set, names", sluice_crds::MAX_SET_NAMES as u64),
        ("steps of a rollout", sluice_crds::MAX_STEPS as u64),
        ("addresses of a load balancer", sluice_crds::MAX_ADDRESSES as u64),
        ("ports of a load balancer", sluice_crds::MAX_PORTS as u64),
        ("backends of a load balancer", sluice_crds::MAX_BACKENDS as u64),
        ("`entries` of an address set", sluice_crds::MAX_SET_ENTRIES as u64),
        ("ConfigMaps of an address set", sluice_crds::MAX_SET_CONFIG_MAPS as u64),
        ("files of an address set", sluice_crds::MAX_SET_FILES as u64),
        ("feeds of an address set", sluice_crds::MAX_SET_FEEDS as u64),
        ("bytes of a feed", sluice_crds::MAX_FEED_BYTES),
        ("`except` of an address set", sluice_crds::MAX_SET_EXCEPT as u64),
        ("prefixes of an address set", sluice_address_set::MAX_PREFIXES as u64),
        ("filters", sluice_compile::MAX_FILTERS as u64),
        ("moments at which filters end, that it keeps at a time", sluice_proto::MAX_SUCCESSORS as u64),
        ("rules and default actions", sluice_abi::MAX_ENTRIES as u64),
        ("rules that packets go on from", sluice_compile::MAX_CONTINUING_RULES as u64),
        ("ranges of Ethernet addresses", sluice_compile::MAX_MAC_RANGES as u64),
        ("different patterns of payload", sluice_abi::MAX_PATTERNS as u64),
        ("address sets", sluice_abi::MAX_SETS as u64),
        ("load balancers", sluice_abi::MAX_BALANCERS as u64),
        ("ring slots", sluice_compile::MAX_RING_SLOTS as u64),
        ("counters", sluice_abi::MAX_SLOTS.into()),
    ];
    let rows = rows.map(|(what, bound)| format!("\n| {what} | {} |\n", grouped(bound)));
    for row in rows.iter().chain(&of_a_kernel) {
        assert!(LIMITS.contains(row.as_str()), "docs/limits.md has no {row}");
    }
}

/// As `1,000,000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let group = |(at, digit): (usize, char)| {
        let comma = (at > 0 && (digits.len() - at).is_multiple_of(3)).then_some(',');
        comma.into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(group).collect()
}

/// Saves what a page says is a file, runs what it says is a command, and counts both.
fn follow(page: &str) -> (usize, usize) {
    let place = tempfile::tempdir().unwrap();
    let kubectl = place.path().join("kubectl");
    let plugin = program("kubectl-sluice").unwrap();
    std::fs::write(&kubectl, format!("#!/bin/sh\nshift\nexec {} \"$@\"\n", plugin.display())).unwrap();
    std::fs::set_permissions(&kubectl, PermissionsExt::from_mode(0o755)).unwrap();
    let (mut files, mut commands) = (0, 0);
    for block in blocks(page) {
        match block.info[..] {
            ["yaml" | "text", file] => {
                let file = place.path().join(file);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, block.text).unwrap();
                files += 1;
            }
            // Told of a fleet that no page has.
            ["shown"] => {}
            ["console"] => commands += run_all(place.path(), &block.text),
            _ => panic!("a block of {:?} is not run by anything", block.info),
        }
    }
    (files, commands)
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let text: String =
            lines.by_ref().take_while(|line| *line != "```").flat_map(|line| [line, "\n"]).collect();
        blocks.push(Block { info: info.split_whitespace().collect(), text });
    }
    blocks
}

/// Each line behind a `$` is a command; the lines up to the next are what it prints.
fn run_all(place: &Path, text: &str) -> usize {
    let mut commands = 0;
    for one in text.split("$ kubectl ").skip(1) {
        let (command, expected) = one.split_once('\n').unwrap();
        let path = format!("{}:{}", place.display(), std::env::var("PATH").unwrap());
        let mut shell = quiet(Command::new("sh"));
        shell.arg("-c").arg(format!("kubectl {command}")).current_dir(place).env("PATH", path);
        let Output { stdout, stderr, .. } = shell.output().unwrap();
        let found = String::from_utf8([stdout, stderr].concat()).unwrap();
        assert_eq!(found, expected, "$ kubectl {command}");
        commands += 1;
    }
    commands
}
