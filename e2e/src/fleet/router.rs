//! The hub as a router between the edges, and what balancing over veth cables takes.

use anyhow::bail;
use nix::net::if_::if_nametoindex;
use sluice_compile::{ClassInput, compile};
use sluice_datapath::{Datapath, LocalInterface, State};
use sluice_policy::{Action, AttachMode, Filter, Hook, Interfaces, Malformed, Mode, NodeSelector, ObjectRef};

use super::Fleet;

const MTU: u32 = 1500;

impl Fleet {
    /// Lets edges reach each other, and the frames that their programs transmit reach the hub.
    pub fn route_between_edges(&self) -> anyhow::Result<()> {
        self.hub.sysctl("net.ipv4.ip_forward", "1")?;
        self.hub.sysctl("net.ipv6.conf.all.forwarding", "1")?;
        self.hub.sysctl("net.ipv4.conf.all.rp_filter", "0")?;
        let ends: Vec<String> = self.edges.iter().map(|edge| format!("to-{}", edge.name)).collect();
        for end in &ends {
            // An answer comes from a backend, not from where the question went.
            self.hub.sysctl(&format!("net.ipv4.conf.{end}.rp_filter"), "0")?;
            // A veth leaves checksums to a card, which does not see them inside a tunnel.
            let set = self.hub.command("ethtool").args(["-K", end, "tx", "off"]).output()?;
            if !set.status.success() {
                bail!("ethtool -K {end} tx off: {}", String::from_utf8_lossy(&set.stderr));
            }
        }
        self.pass_on(ends)
    }

    /// A veth takes transmitted frames only if it has a program of its own; this one passes everything.
    fn pass_on(&self, ends: Vec<String>) -> anyhow::Result<()> {
        let pins = self.hub_pins();
        let attached = self.hub.spawn(move || -> anyhow::Result<()> {
            let local = |name: &String| -> anyhow::Result<LocalInterface> {
                let ifindex = if_nametoindex(name.as_str())?;
                Ok(LocalInterface { name: name.clone(), ifindex, mtu: MTU, ..LocalInterface::default() })
            };
            let interfaces = ends.iter().map(local).collect::<anyhow::Result<Vec<_>>>()?;
            let filter = passing(ends);
            let plan = compile(&ClassInput { filters: vec![&filter], ..ClassInput::default() })?;
            // Pinned: it stays when this value goes.
            Datapath::open(pins, State::default())?.apply(&plan, &interfaces)?;
            Ok(())
        });
        attached.join().map_err(|_| anyhow::anyhow!("attaching to the hub's ends panicked"))?
    }
}

fn passing(names: Vec<String>) -> Filter {
    Filter {
        object: ObjectRef {
            kind: "XdpFilter".to_owned(),
            name: "passing".to_owned(),
            ..ObjectRef::default()
        },
        nodes: NodeSelector::default(),
        interfaces: Interfaces { names, ..Interfaces::default() },
        attach: AttachMode::Native,
        hook: Hook::Xdp,
        mode: Mode::Enforce,
        priority: 0,
        default_action: Action::Pass,
        malformed: Malformed::Pass,
        allow_established: false,
        expires: None,
        rollout: None,
        rules: Vec::new(),
    }
}
