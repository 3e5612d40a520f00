//! When the kernel is asked for sockets.

use sluice_abi::{EntryAction::*, Straight, dimension::*, features, tests};
use sluice_datapath::load::LoadSpec;
use sluice_datapath::test_run::XdpAction;
use sluice_plan::NodePlan;

use super::frames::*;
use super::tables::Tables;
use super::{loaded_with, run};

const LETS_BE: usize = 0;
const CLOSED: usize = 1;

/// An entry for connections and one for everything, by rows and as constants.
fn plans() -> [NodePlan; 2] {
    let tables = || Tables::new(&[(Pass, 0), (Drop, 0)]);
    let rows = tables().direct(ESTABLISHED, (DIRECT_ESTABLISHED, 2), &[CLOSED], &[(1, &[LETS_BE, CLOSED])]);
    let mut straight = tables().plan();
    let always = Straight { tests: tests::APPLIES, ..Straight::default() };
    let connections = tests::APPLIES | tests::ESTABLISHED;
    let entries = [
        Straight { entry: LETS_BE as u16, action: Pass as u8, tests: connections, ..always },
        Straight { entry: CLOSED as u16, action: Drop as u8, ..always },
    ];
    straight.filters.tables.features |= features::STRAIGHT | features::dimension(ESTABLISHED);
    straight.filters.tables.straight = bytemuck::cast_slice(&entries).to_vec();
    [rows.plan(), straight]
}

/// The look-up that costs the most: where no filter of the interface lets connections be, it is not made.
#[test]
fn sockets_are_asked_for_where_an_entry_of_the_interface_wants_to_know() {
    for plan in plans() {
        for (entries, is_asked) in [(&[LETS_BE, CLOSED][..], true), (&[CLOSED], false)] {
            let mut spec = LoadSpec::everything(&plan);
            spec.mask = Default::default();
            entries.iter().for_each(|entry| spec.mask[0] |= 1 << entry);
            let loaded = loaded_with(&plan, spec);
            assert_eq!(loaded.config().features & features::dimension(ESTABLISHED) != 0, is_asked);
            // A test run has no connections.
            let outcome = run(&loaded, &V4.frame(&tcp(443, 40_000, ACK)));
            assert_eq!((outcome.trace.entry as usize, outcome.verdict), (CLOSED, XdpAction::Drop));
        }
    }
}
