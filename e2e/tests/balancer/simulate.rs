//! `kubectl sluice simulate` with a balancer, by the kernel's program and by the interpreter.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pcap_file::pcap::{PcapPacket, PcapWriter};
use serde_json::{Value, json};
use sluice_e2e::packets::{Ipv4, Ipv6, tcp, udp};
use sluice_e2e::process::program;

use crate::shop::{CLIENT, VIP4, VIP6};

const SYN: u8 = 2;

fn policies(backends: &[&str]) -> String {
    let backends: String =
        backends.iter().map(|address| format!("    - {{address: \"{address}\"}}\n")).collect();
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpLoadBalancer\nmetadata: {{namespace: shop, name: web}}\nspec:\n  \
         addresses: [{VIP4}, \"{VIP6}\"]\n  ports: [{{name: http, protocol: TCP, port: 80}}]\n  \
         interfaces: {{names: [eth0]}}\n  hashing: {{slots: 256}}\n  backends:\n    static:\n{backends}---\n\
         apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: front}}\nspec:\n  \
         interfaces: {{names: [eth0]}}\n  rules:\n  - name: bad-nets\n    action: Drop\n    \
         match: {{sources: {{cidrs: [198.51.100.0/24]}}}}\n  - name: web\n    action: Pass\n    \
         match: {{protocols: [TCP], destinationPorts: [\"80\"]}}\n"
    )
}

/// To the VIPs and past them.
fn frames() -> Vec<Vec<u8>> {
    let to_vip = |source: Ipv4Addr| Ipv4 { source, destination: VIP4, ..Ipv4::default() };
    let v6 = Ipv6 { destination: VIP6.parse().unwrap(), ..Ipv6::default() };
    let mut frames = vec![
        to_vip(CLIENT).frame(6, &tcp(4000, 80, SYN)),
        v6.frame(6, &tcp(4000, 80, SYN)),
        to_vip(Ipv4Addr::new(198, 51, 100, 1)).frame(6, &tcp(4000, 80, SYN)),
        to_vip(CLIENT).frame(17, &udp(4000, 80)),
        Ipv4 { ttl: 1, ..to_vip(CLIENT) }.frame(6, &tcp(4000, 80, SYN)),
        Ipv4::default().frame(6, &tcp(4000, 80, SYN)),
    ];
    frames.extend((0..60).map(|number| to_vip(CLIENT).frame(6, &tcp(5000 + number, 80, SYN))));
    frames
}

fn write_capture(file: &Path) {
    let mut capture = PcapWriter::new(File::create(file).unwrap()).unwrap();
    for frame in frames() {
        capture.write_packet(&PcapPacket::new(Duration::ZERO, frame.len() as u32, &frame)).unwrap();
    }
}

/// One line a packet.
fn simulate(directory: &Path, more: &[&str]) -> Vec<Value> {
    let mut command = Command::new(program("kubectl-sluice").unwrap());
    command.arg("simulate").arg("-f").arg(directory.join("policies.yaml"));
    command.arg("--pcap").arg(directory.join("in.pcap")).args(["-o", "json"]).args(more);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn kernel_and_interpreter_say_the_same_of_every_packet() {
    let directory = tempfile::tempdir().unwrap();
    write_capture(&directory.path().join("in.pcap"));
    for backends in [&["10.80.2.2", "fd80:2::2"][..], &["10.80.2.2", "10.80.3.2", "10.80.4.2", "fd80:2::2"]] {
        std::fs::write(directory.path().join("policies.yaml"), policies(backends)).unwrap();
        let (kernel, interpreter) =
            (simulate(directory.path(), &[]), simulate(directory.path(), &["--interpret"]));
        assert_eq!(kernel.len(), frames().len());
        for (kernel, interpreter) in kernel.iter().zip(&interpreter) {
            assert_eq!(kernel, interpreter);
        }
        let balanced = |packet: u64, backend: &str| {
            json!({"packet": packet, "verdict": "Tx", "policy": "web", "rule": null, "stage": "LoadBalancer",
                "mode": "Enforce", "backend": backend})
        };
        assert_eq!(kernel[1], balanced(2, "fd80:2::2"));
        assert_eq!((&kernel[2]["verdict"], &kernel[2]["rule"]), (&json!("Drop"), &json!("bad-nets")));
        assert_eq!((&kernel[3]["verdict"], &kernel[3]["stage"]), (&json!("Pass"), &json!("Default")));
        assert_eq!((&kernel[4]["verdict"], &kernel[4]["stage"]), (&json!("Drop"), &json!("LoadBalancer")));
        assert_eq!((&kernel[5]["verdict"], &kernel[5]["rule"]), (&json!("Pass"), &json!("web")));
        let chosen: BTreeSet<&str> = kernel
            .iter()
            .filter(|line| line["verdict"] == "Tx")
            .filter_map(|line| line["backend"].as_str())
            .collect();
        assert_eq!(chosen, backends.iter().copied().collect(), "all backends take packets");
    }
}

#[test]
fn a_balancer_whose_backends_take_nothing_drops_and_is_named() {
    let directory = tempfile::tempdir().unwrap();
    write_capture(&directory.path().join("in.pcap"));
    let resting = policies(&["10.80.2.2", "fd80:2::2"]).replace("2\"}\n", "2\", weight: 0}\n");
    std::fs::write(directory.path().join("policies.yaml"), resting).unwrap();
    let (kernel, interpreter) =
        (simulate(directory.path(), &[]), simulate(directory.path(), &["--interpret"]));
    assert_eq!(kernel, interpreter);
    let dropped = json!({"packet": 1, "verdict": "Drop", "policy": "web", "rule": null, "stage": "LoadBalancer",
        "mode": "Enforce"});
    assert_eq!(kernel[0], dropped);
}
