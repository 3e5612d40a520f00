//! Programs that are larger than an agent takes.

use sluice_datapath::{ProgramBounds, reason};

use crate::plans::{compile, drop_port, drop_ports, drop_source, filter};
use crate::traffic::{Wire, udp};
use crate::world;

#[test]
fn a_program_over_a_bound_is_refused_before_any_link_runs_it() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        let small = drop_ports(&["eth0"], &[7]);
        let found = datapath.apply(&small, &eth).unwrap().program.expect("a program runs");
        assert!(found.verified_instructions > 0 && found.jited_size > 0, "{found:?}");

        // What runs is just within them.
        let (verified_instructions, jited_bytes) = (found.verified_instructions, found.jited_size);
        let wide = ProgramBounds::default();
        let large = compile(&[filter("edge", &["eth0"], vec![drop_source("203.0.113.0/24"), drop_port(7)])]);
        for (bounds, limit, what) in [
            (ProgramBounds { verified_instructions, ..wide }, verified_instructions, "for the verifier"),
            (ProgramBounds { jited_bytes, ..wide }, jited_bytes, "bytes of machine code"),
        ] {
            datapath = datapath.with_program_bounds(bounds);
            let error = datapath.apply(&large, &eth).expect_err("a larger program");
            assert_eq!(error.reason(), reason::PROGRAM_TOO_LARGE);
            let said = error.to_string();
            assert!(said.contains(what) && said.contains(&format!("an agent takes {limit}:")), "{said}");
            assert_eq!(datapath.plan_hash(), Some(small.hash()));
            assert_eq!(std::fs::read_dir(world.root().join("programs")).unwrap().count(), 1);
            Wire::on("xeth0").send(&udp(7, b"dropped as before"));
            let again = datapath.apply(&small, &eth).unwrap();
            assert_eq!((again.loaded, again.program), (0, Some(found)));
        }
        let dropped = || datapath.counters().unwrap().values().map(|counts| counts.drop.packets).sum::<u64>();
        world::eventually("both packets dropped", || dropped() == 2);
        assert_eq!(datapath.with_program_bounds(wide).apply(&large, &eth).unwrap().loaded, 1);
    });
}
