//! The differential test notices a single wrong entry, row, bound or parser branch: what it agrees on, it has looked
//! at. Needs root.

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand::rngs::StdRng;
use sluice_abi::{
    Bound32, Bound64, Bound128, Dimension, Entry, EntryAction, Node as TreeNode, RecordV4, Row, dimension,
    leaf, record_flags,
};
use sluice_datapath::load::Patch;
use sluice_e2e::oracle::{
    Mismatch, Node, compare_patched, one_of_each, one_of_each_among_many, one_of_each_set, ports_alone,
};
use sluice_e2e::packets::{Generator, Named, corpus};
use sluice_plan::{LargeTables, NodePlan};

/// Opcodes of eBPF (RFC 9669), 64 bits wide, with a constant.
const AND: u8 = 0x57;
const IF_EQUAL: u8 = 0x15;
const IF_UNEQUAL: u8 = 0x55;
const IF_ABOVE: u8 = 0x25;

#[test]
fn what_is_not_changed_agrees() {
    if skipped() {
        return;
    }
    let Setting { node, packets } = setting();
    let tally = compare_patched(&node, &node.plan, &[], &packets).expect("no disagreement");
    assert!(tally.verdicts > 200, "{tally:?}");
}

#[test]
fn every_parser_branch_is_noticed() {
    if skipped() {
        return;
    }
    let setting = setting();
    let parse = |opcode, from, to| Patch { function: "parse", opcode, from, to };
    let walk = |opcode, from, to| Patch { function: "walk", opcode, from, to };
    // Where plain packets are read in one go.
    let plain = |opcode, from, to| Patch { function: "sluice_xdp", opcode, from, to };
    let details = |opcode, from, to| Patch { function: "look_up", opcode, from, to };
    let option = |opcode, from, to| Patch { function: "7options4step", opcode, from, to };
    let branches = [
        ("802.1Q", parse(IF_EQUAL, 0x8100, 0x8101)),
        ("802.1ad", parse(IF_UNEQUAL, 0x88a8, 0x88a9)),
        ("the tag before it", parse(IF_EQUAL, 0x9100, 0x9101)),
        ("the EtherType of IPv4", parse(IF_UNEQUAL, 0x0800, 0x0801)),
        ("the EtherType of IPv6", parse(IF_EQUAL, 0x86dd, 0x86de)),
        ("the version of IPv4", parse(IF_UNEQUAL, 0x40, 0x50)),
        ("the version of IPv6", parse(IF_UNEQUAL, 0x60, 0x70)),
        ("options of IPv4", parse(AND, 0x3c, 0x14)),
        ("the fragment offset", parse(AND, 0x1fff, 0x1ffe)),
        ("TCP", parse(IF_EQUAL, 6, 7)),
        ("UDP", parse(IF_EQUAL, 17, 18)),
        ("a UDP length below its header's", parse(IF_ABOVE, 7, 0)),
        ("the fragment header", walk(IF_EQUAL, 44, 45)),
        ("the authentication header", walk(IF_EQUAL, 51, 52)),
        ("a routing header that was stepped over", walk(IF_EQUAL, 43, 255)),
        ("the tag before VLAN ids", details(IF_EQUAL, 0x8100, 0x8101)),
        ("a source route among options", option(IF_EQUAL, 131, 132)),
        ("padding among options", option(IF_EQUAL, 1, 0xff)),
        ("options in what is read in one go", plain(IF_UNEQUAL, 0x45, 0x46)),
        // The compiler clears the bits above, too.
        ("fragments in what is read in one go", plain(AND, !0xc0, 0x0040)),
    ];
    for (branch, patch) in branches {
        setting.assert_noticed(&setting.node.plan, &[patch], branch);
    }
}

#[test]
fn every_entry_with_the_other_action_is_noticed() {
    if skipped() {
        return;
    }
    let setting = setting();
    for index in 0..count::<Entry>(&setting.node.plan.filters.tables.entries) {
        let mut plan = setting.node.plan.clone();
        change::<Entry>(&mut plan.filters.tables.entries, index, |entry| {
            let drops = entry.action == EntryAction::Drop as u8;
            entry.action = if drops { EntryAction::Pass } else { EntryAction::Drop } as u8;
        });
        setting.assert_noticed(&plan, &[], &format!("the action of entry {index}"));
    }
}

/// All bits of the row: what matched does not, and the other way round.
#[test]
fn every_row_is_noticed() {
    if skipped() {
        return;
    }
    let setting = setting();
    let tables = &setting.node.plan.filters.tables;
    let entries = count::<Entry>(&tables.entries);
    let unnoticed = |row: &usize| {
        let mut plan = setting.node.plan.clone();
        let all = (1u64 << entries) - 1;
        change::<Row>(&mut plan.filters.tables.rows, *row, |row| row[0] ^= all);
        !setting.notices(&plan, &[])
    };
    let unnoticed: Vec<usize> = (0..count::<Row>(&tables.rows)).filter(unnoticed).collect();
    assert!(unnoticed.is_empty(), "rows {unnoticed:?} were changed and nothing disagreed");
}

#[test]
fn every_bound_is_noticed() {
    if skipped() {
        return;
    }
    let setting = setting();
    for (index, bounds) in setting.node.plan.filters.tables.bounds.iter().enumerate() {
        let bounds = match index {
            dimension::SOURCE_V6 | dimension::DESTINATION_V6 => count::<Bound128>(bounds),
            dimension::SOURCE_MAC | dimension::DESTINATION_MAC => count::<Bound64>(bounds),
            _ => count::<Bound32>(bounds),
        };
        // The first begins at zero, below which there is nothing.
        for bound in 1..bounds {
            let mut plan = setting.node.plan.clone();
            let table = &mut plan.filters.tables.bounds[index];
            // Its values are looked up in the row of the interval before.
            match index {
                dimension::SOURCE_V6 | dimension::DESTINATION_V6 => {
                    let row = element::<Bound128>(table, bound - 1).row;
                    change::<Bound128>(table, bound, |bound| bound.row = row);
                }
                dimension::SOURCE_MAC | dimension::DESTINATION_MAC => {
                    let row = element::<Bound64>(table, bound - 1).row;
                    change::<Bound64>(table, bound, |bound| bound.row = row);
                }
                _ => {
                    let row = element::<Bound32>(table, bound - 1).row;
                    change::<Bound32>(table, bound, |bound| bound.row = row);
                }
            }
            setting.assert_noticed(&plan, &[], &format!("bound {bound} of dimension {index}"));
        }
    }
}

#[test]
fn a_port_range_that_ends_too_early_is_noticed() {
    if skipped() {
        return;
    }
    let setting = setting();
    let mut plan = setting.node.plan.clone();
    let bounds = &mut plan.filters.tables.bounds[dimension::DESTINATION_PORT];
    let end = (0..count::<Bound32>(bounds)).find(|index| element::<Bound32>(bounds, *index).start == 8101);
    change::<Bound32>(bounds, end.expect("8000-8100 ends at 8101"), |bound| bound.start -= 1);
    setting.assert_noticed(&plan, &[], "the last port of a range");
}

#[test]
fn rows_of_packets_without_the_field_are_noticed() {
    if skipped() {
        return;
    }
    let setting = setting();
    for index in [dimension::DESTINATION_PORT, dimension::TCP_FLAGS] {
        let mut plan = setting.node.plan.clone();
        change::<Dimension>(&mut plan.filters.tables.dimensions, index, |dimension| dimension.special = 0);
        assert!(plan != setting.node.plan, "dimension {index} has such rows");
        setting.assert_noticed(&plan, &[], &format!("the special rows of dimension {index}"));
    }
}

/// Among a thousand rules: what a record asks for and does.
#[test]
fn every_record_is_noticed() {
    if skipped() {
        return;
    }
    let setting = Setting { node: one_of_each_among_many().expect("the policies compile"), ..setting() };
    let large = &setting.node.plan.filters.tables.large;
    // Those of the rules that packets are made for come first in each leaf, and they have low numbers.
    let known = |entry: u16| usize::from(entry) < setting.node.world.filters[0].rules.len();
    let changed = |change: &dyn Fn(&mut LargeTables)| {
        let mut plan = setting.node.plan.clone();
        change(&mut plan.filters.tables.large);
        plan
    };
    let records = count::<RecordV4>(&large.records_v4);
    let of_rule = |index: &usize| known(element::<RecordV4>(&large.records_v4, *index).record.entry);
    let mut entries = BTreeSet::new();
    for index in (0..records).filter(of_rule) {
        let record = element::<RecordV4>(&large.records_v4, index).record;
        if !entries.insert(record.entry) {
            continue;
        }
        let entry = record.entry;
        // Everywhere the rule stands, so that it does not matter which leaf a packet comes to.
        let everywhere = |by: &dyn Fn(&mut RecordV4)| {
            changed(&|large: &mut LargeTables| {
                for index in 0..records {
                    change::<RecordV4>(&mut large.records_v4, index, |record| {
                        if record.record.entry == entry {
                            by(record);
                        }
                    });
                }
            })
        };
        let plan = everywhere(&|record| record.record.flags ^= record_flags::DROPS);
        setting.assert_noticed(&plan, &[], &format!("the action of entry {entry}"));
        let plan = everywhere(&|record| (record.first_source, record.last_source) = (1, 0));
        setting.assert_noticed(&plan, &[], &format!("the sources of entry {entry}"));
        // The last bit of the wide word belongs to nobody, and no interface has it in its mask.
        let plan = everywhere(&|record| record.record.column = 63);
        setting.assert_noticed(&plan, &[], &format!("the column of entry {entry}"));
    }
    assert!(entries.len() >= 5, "only {entries:?} are narrow");
    let plan = changed(&|large| large.roots = leaf::EMPTY.to_ne_bytes().repeat(large.roots.len() / 4));
    setting.assert_noticed(&plan, &[], "trees that are not there");
}

/// Where the ports alone say which rule it is: where nodes cut, and which child is taken.
#[test]
fn every_node_is_noticed() {
    if skipped() {
        return;
    }
    let setting = Setting { node: ports_alone().expect("the policy compiles"), ..setting() };
    let large = &setting.node.plan.filters.tables.large;
    for index in 0..count::<TreeNode>(&large.nodes) {
        let mut plan = setting.node.plan.clone();
        change::<TreeNode>(&mut plan.filters.tables.large.nodes, index, |node| node.low += 1 << node.shift);
        setting.assert_noticed(&plan, &[], &format!("where node {index} cuts"));
    }
    let mut plan = setting.node.plan.clone();
    plan.filters.tables.large.children.rotate_left(size_of::<u32>());
    setting.assert_noticed(&plan, &[], "which child is taken");
}

/// The row of each address set on each side, that of none of them, and what the kernel makes of a set's bounds.
#[test]
fn every_set_is_noticed() {
    if skipped() {
        return;
    }
    let setting = Setting { node: one_of_each_set().expect("the policies compile"), ..setting() };
    let tables = &setting.node.plan.filters.tables;
    let sides = [
        (dimension::SOURCE_SETS, dimension::DIRECT_SOURCE_SETS),
        (dimension::DESTINATION_SETS, dimension::DIRECT_DESTINATION_SETS),
    ];
    for (side, first) in sides {
        let Dimension { intervals: used, special } = element(&tables.dimensions, side);
        for (bit, name) in (0..).zip(&setting.node.plan.sets).filter(|(bit, _)| used >> bit & 1 == 1) {
            let mut plan = setting.node.plan.clone();
            change::<u32>(&mut plan.filters.tables.direct, (first + bit) as usize, |row| *row = special);
            let is_empty = setting.node.world.sets[name].is_empty();
            assert_eq!(setting.notices(&plan, &[]), !is_empty, "set {name} on side {side}");
        }
    }
    for (what, function) in [("an IPv4 set", "is_in_v4"), ("an IPv6 set", "is_in_v6")] {
        let patch = Patch { function, opcode: AND, from: 1, to: 2 };
        setting.assert_noticed(&setting.node.plan, &[patch], &format!("the parity of bounds of {what}"));
    }
}

struct Setting {
    node: Node,
    packets: Vec<Named>,
}

fn setting() -> Setting {
    let mut packets = corpus();
    let mut generator = Generator::new(StdRng::seed_from_u64(1));
    packets
        .extend((0..2000).map(|number| Named { name: format!("random {number}"), frame: generator.frame() }));
    Setting { node: one_of_each().expect("the policies compile"), packets }
}

impl Setting {
    fn assert_noticed(&self, plan: &NodePlan, patches: &[Patch], what: &str) {
        assert!(self.notices(plan, patches), "{what} was changed and nothing disagreed");
    }

    fn notices(&self, plan: &NodePlan, patches: &[Patch]) -> bool {
        match compare_patched(&self.node, plan, patches, &self.packets) {
            Ok(_) => false,
            Err(error) => {
                error.downcast::<Mismatch>().expect("a disagreement, and no other error");
                true
            }
        }
    }
}

fn count<T>(bytes: &[u8]) -> usize {
    bytes.len() / size_of::<T>()
}

fn element<T: bytemuck::Pod>(bytes: &[u8], index: usize) -> T {
    bytemuck::pod_read_unaligned(&bytes[index * size_of::<T>()..][..size_of::<T>()])
}

fn change<T: bytemuck::Pod>(bytes: &mut [u8], index: usize, by: impl FnOnce(&mut T)) {
    let mut changed: T = element(bytes, index);
    by(&mut changed);
    bytes[index * size_of::<T>()..][..size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&changed));
}

fn skipped() -> bool {
    std::env::var_os("SLUICE_SKIP_PRIVILEGED").is_some_and(|value| value == "1")
}
