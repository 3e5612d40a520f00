//! Other people's XDP programs: told, and never displaced.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use sluice_proto::v1::{PolicyVerdict, VerdictStage};

use crate::network::{Network, WAN, inside, run};
use crate::operator::Operator;
use crate::plans::drops_ping;
use crate::{Node, hello, programmed_everywhere};

/// A program of libxdp's, pinned until it is dropped.
pub struct Foreign {
    pub pin: PathBuf,
}

impl Foreign {
    /// `object` is a file of the package that brings libxdp.
    pub fn load(network: &Network, object: &str) -> Foreign {
        let libraries = std::fs::read_dir("/usr/lib").expect("libraries").flatten();
        let found = libraries.map(|dir| dir.path().join("bpf").join(object)).find(|file| file.exists());
        let object = found.unwrap_or_else(|| panic!("no {object} below /usr/lib: install libxdp"));
        let pin = Path::new("/sys/fs/bpf").join(format!("{}-foreign", network.edge));
        let paths = [object, pin.clone()].map(|path| path.display().to_string());
        run("bpftool", &["prog", "load", &paths[0], &paths[1], "type", "xdp"]);
        Foreign { pin }
    }

    /// As tools without libxdp do, by netlink.
    pub fn attach(&self, network: &Network, mode: &str, interface: &str) -> u32 {
        let mut command = inside(&network.edge, Path::new("bpftool"));
        let attached =
            command.args(["net", "attach", mode, "pinned"]).arg(&self.pin).args(["dev", interface]);
        assert!(attached.status().expect("bpftool runs").success());
        network.xdp_on(interface).expect("it is attached")
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        _ = std::fs::remove_file(&self.pin);
    }
}

fn refused(network: &Network, mode: &str, object: &str) -> (u32, PolicyVerdict) {
    let node = Node::new(network);
    let foreign = Foreign::load(network, object);
    let id = foreign.attach(network, mode, "wan");
    let policy = network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let _agent = node.start();
        operator.plan(1, &drops_ping(1, "wan"));
        let policy = operator.verdict(1).await.policies.remove(0);
        assert_eq!((policy.stage(), policy.reason.as_str()), (VerdictStage::Rejected, "ForeignProgram"));
        assert_eq!(network.xdp_on("wan"), Some(id), "it is not displaced");
        assert!(network.answers(WAN));
        // Once it is gone, the plan takes the interface without being sent again.
        run("ip", &["-n", &network.edge, "link", "set", "dev", "wan", mode, "off"]);
        operator.hears(programmed_everywhere).await;
        assert!(!network.answers(WAN));
        operator.stop().await;
        policy
    });
    (id, policy)
}

#[test]
fn a_foreign_program_is_named_with_its_mode_and_the_way_out() {
    let Some(network) = Network::new("other") else { return };
    for (mode, word) in [("xdpdrv", "Native"), ("xdpgeneric", "Generic")] {
        let (id, policy) = refused(&network, mode, "xsk_def_xdp_prog.o");
        let named = format!("(id {id}, mode {word}, xsk_def_prog): it is not displaced; remove it");
        assert!(policy.detail.contains(&named), "{}", policy.detail);
        assert!(policy.detail.contains("`ip link set dev wan xdp off`"), "{}", policy.detail);
    }
}

#[test]
fn a_dispatcher_of_libxdp_is_recognised() {
    let Some(network) = Network::new("disp") else { return };
    let (id, policy) = refused(&network, "xdpdrv", "xdp-dispatcher.o");
    let named = format!("runs libxdp's dispatcher (id {id}, mode Native, xdp_dispatcher)");
    assert!(policy.detail.contains(&named), "{}", policy.detail);
    assert!(policy.detail.contains("`xdp-loader unload wan --all`"), "{}", policy.detail);
}

#[test]
fn anothers_program_is_named_and_left_alone() {
    let Some(network) = Network::new("foreign") else { return };
    let node = Node::new(&network);
    let mut other = Node::new(&network);
    other.bpffs = Path::new("/sys/fs/bpf").join(format!("{}-other", network.edge));
    network.in_hub(async {
        let mut operator = Operator::start(other.dir.path()).await;
        let first = other.start();
        operator.plan(1, &drops_ping(1, "eth0"));
        assert_eq!(operator.verdict(1).await.stage(), VerdictStage::Programmed);
        first.signal(Signal::SIGKILL);
        operator.stop().await;

        let mut operator = Operator::start(node.dir.path()).await;
        let _agent = node.start();
        let hello = operator.hears(hello).await;
        let foreign = hello.facts.expect("facts").nics[0].foreign.clone().expect("a foreign program");
        assert_eq!((foreign.mode.as_str(), foreign.name.as_str()), ("native", "sluice_xdp"));
        operator.plan(1, &drops_ping(1, "eth0"));
        let policy = operator.verdict(1).await.policies.remove(0);
        assert_eq!((policy.stage(), policy.reason.as_str()), (VerdictStage::Rejected, "ForeignProgram"));
        assert!(policy.detail.contains(&foreign.id.to_string()), "{}", policy.detail);

        // Once it is gone, the plan takes the interface without being sent again.
        std::fs::remove_dir_all(&other.bpffs).expect("removed");
        operator.hears(programmed_everywhere).await;
        operator.stop().await;
    });
}
