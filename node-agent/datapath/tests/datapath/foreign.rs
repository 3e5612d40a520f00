//! Another's program on the interface: an XDP program whose link is not pinned in our directory.

use sluice_datapath::{Datapath, Place, State, attached};
use sluice_plan::AttachMode;

use crate::plans::{drop_ports, with_attach};
use crate::traffic::{passes, udp};
use crate::world;

#[test]
fn it_is_named_and_not_displaced() {
    for (mode, place) in [(AttachMode::Native, Place::Native), (AttachMode::Generic, Place::Generic)] {
        world::run(move |world| {
            let interfaces = ["eth0", "eth1"].map(|name| world.veth(name));
            let mut other = Datapath::open(world.bpffs().join("other"), State::default()).unwrap();
            other.apply(&with_attach(drop_ports(&["eth0"], &[9]), mode), &interfaces).unwrap();
            let before = attached(interfaces[0].ifindex).unwrap().expect("the other's program");
            assert_eq!(before.place, place);

            let mut ours = world.open();
            let applied = ours.apply(&drop_ports(&["eth0", "eth1"], &[7]), &interfaces).unwrap();
            let policy = &applied.policies[0];
            assert_eq!(policy.interfaces.len(), 1);
            assert_eq!(policy.interfaces[0].name, "eth1", "the other interface is served");
            let problem = &policy.problems[0];
            assert_eq!(problem.reason, "ForeignProgram");
            let way_out = format!("`rm -r {}`", world.bpffs().join("other").display());
            for part in ["eth0", "another Sluice", &format!("id {}", before.program_id), &way_out] {
                assert!(problem.detail.contains(part), "{part} in {}", problem.detail);
            }
            assert_eq!(attached(interfaces[0].ifindex).unwrap(), Some(before));
            assert!(!passes("eth0", &udp(9, b"x")), "the other's program goes on");
            assert!(passes("eth0", &udp(7, b"x")));

            other.detach_all().unwrap();
            let applied = ours.interfaces_changed(&interfaces).unwrap().expect("a plan is in force");
            assert!(applied.policies[0].problems.is_empty());
            assert!(!passes("eth0", &udp(7, b"x")));
        });
    }
}
