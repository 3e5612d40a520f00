//! `simulate`: every format, every stage, the kernel's program and the interpreter.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rand::SeedableRng;
use rand::rngs::StdRng;
use sluice_e2e::packets::place::{CLIENT4, NODE4, VIP4};
use sluice_e2e::packets::{Generator, Ipv4, corpus, ethernet, tcp, udp};
use sluice_e2e::process::program;

use crate::captures::{Format, LINUX_COOKED};
use crate::run::{Said, cli, quiet};
use crate::wireshark;

pub const POLICIES: &str = include_str!("policies.yaml");

/// A directory with the policies and a capture.
pub struct Bench(tempfile::TempDir);

impl Bench {
    pub fn new() -> Bench {
        let bench = Bench(tempfile::tempdir().unwrap());
        std::fs::write(bench.policies(), POLICIES).unwrap();
        bench
    }

    /// Another file beside them.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn policies(&self) -> PathBuf {
        self.0.path().join("policies.yaml")
    }

    pub fn capture(&self, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join("capture");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub fn simulate(&self, capture: &Path, flags: &[&str]) -> Said {
        let mut command = cli();
        command.args(["simulate", "-f"]).arg(self.policies()).arg("--pcap").arg(capture);
        Said::of(command.args(["--node-address", &NODE4.to_string()]).args(flags))
    }
}

fn from(source: [u8; 4]) -> Ipv4 {
    Ipv4 { source: Ipv4Addr::from(source), ..Ipv4::default() }
}

/// One frame for each way to be decided, and the line of each; BACKEND stands for the ring's choice.
fn stages() -> Vec<(Vec<u8>, &'static str)> {
    let vip = Ipv4 { destination: VIP4, ..Ipv4::default() };
    let node = Ipv4 { destination: NODE4, ..from([100, 64, 0, 1]) };
    let broken = Ipv4 { total_length: Some(999), ..from([192, 0, 2, 1]) };
    vec![
        (
            from([198, 51, 100, 9]).frame(17, &udp(4000, 53)),
            r#""verdict":"Drop","policy":"edge","rule":"bad-nets","stage":"Filter","mode":"Enforce""#,
        ),
        (
            from([100, 64, 0, 1]).frame(6, &tcp(4000, 443, 2)),
            r#""verdict":"Pass","policy":"edge","rule":"web","stage":"Filter","mode":"Enforce""#,
        ),
        (
            from([192, 0, 2, 1]).frame(17, &udp(4000, 19)),
            r#""verdict":"Pass","policy":"edge","rule":"chargen","stage":"Filter","mode":"Audit""#,
        ),
        (
            from([192, 0, 2, 1]).frame(17, &udp(4000, 5000)),
            r#""verdict":"Pass","policy":null,"rule":null,"stage":"Default","mode":null"#,
        ),
        (
            from([100, 64, 0, 1]).frame(17, &udp(4000, 5000)),
            r#""verdict":"Drop","policy":"last","rule":null,"stage":"Default","mode":"Enforce""#,
        ),
        (
            broken.frame(17, &udp(4000, 5000)),
            r#""verdict":"Drop","policy":"edge","rule":null,"stage":"Malformed","mode":"Enforce""#,
        ),
        (
            ethernet(0x0806, &[0; 28]),
            r#""verdict":"Pass","policy":null,"rule":null,"stage":"Failsafe","mode":null"#,
        ),
        (
            node.frame(6, &tcp(4000, 22, 2)),
            r#""verdict":"Pass","policy":null,"rule":null,"stage":"Failsafe","mode":null"#,
        ),
        (
            vip.frame(6, &tcp(4000, 80, 2)),
            r#""verdict":"Tx","policy":"web","rule":null,"stage":"LoadBalancer","mode":"Enforce","backend":"BACKEND""#,
        ),
        (
            Ipv4 { ttl: 1, ..vip }.frame(6, &tcp(4000, 80, 2)),
            r#""verdict":"Drop","policy":"web","rule":null,"stage":"LoadBalancer","mode":"Enforce""#,
        ),
        (
            from([100, 64, 0, 1]).frame(6, &tcp(4000, 23, 2)),
            r#""verdict":"Drop","policy":"last","rule":null,"stage":"Default","mode":"Enforce","wouldDrop":{"policy":"probe","rule":"telnet"}"#,
        ),
        // Shorter than any header: the kernel runs no such test frame.
        (vec![2; 9], r#""verdict":"Drop","policy":"edge","rule":null,"stage":"Malformed","mode":"Enforce""#),
    ]
}

fn frames() -> Vec<Vec<u8>> {
    stages().into_iter().map(|(frame, _)| frame).collect()
}

#[test]
fn each_stage_has_its_line_in_kernel_and_interpreter() {
    let bench = Bench::new();
    let capture = bench.capture(&Format::default().pcap(&frames()));
    let kernel = bench.simulate(&capture, &["-o", "json"]).well();
    assert_eq!(bench.simulate(&capture, &["-o", "json", "--interpret"]).well(), kernel);
    let backend = ["192.0.2.11", "192.0.2.12"].into_iter().find(|backend| kernel.contains(backend)).unwrap();
    let expected = stages().into_iter().enumerate().map(|(index, (_, line))| {
        format!("{{\"packet\":{},{}}}\n", index + 1, line.replace("BACKEND", backend))
    });
    assert_eq!(kernel, expected.collect::<String>());

    let table = bench.simulate(&capture, &[]).well();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], " PACKET  VERDICT  STAGE         POLICY  RULE      MODE     NOTE");
    assert_eq!(lines[1], "      1  Drop     Filter        edge    bad-nets  Enforce");
    assert_eq!(lines[9], format!("      9  Tx       LoadBalancer  web     -         Enforce  to {backend}"));
    assert!(lines[11].ends_with("probe would drop it by telnet"), "{table}");
    assert_eq!(lines.last(), Some(&"6 Drop, 5 Pass, 1 Tx"));
}

#[test]
fn every_format_and_standard_input_give_the_same_lines() {
    let bench = Bench::new();
    let flags = ["-o", "json", "--interpret"];
    let expected = bench.simulate(&bench.capture(&Format::default().pcap(&frames())), &flags).well();
    assert_eq!(expected.lines().count(), frames().len());
    for big_endian in [false, true] {
        for nanoseconds in [false, true] {
            let format = Format { big_endian, nanoseconds, ..Format::default() };
            for bytes in [format.pcap(&frames()), format.pcapng(&frames())] {
                let capture = bench.capture(&bytes);
                assert_eq!(bench.simulate(&capture, &flags).well(), expected, "{format:?}");
                let mut command = cli();
                command.args(["simulate", "-f"]).arg(bench.policies()).args(["--pcap", "-"]).args(flags);
                command.args(["--node-address", &NODE4.to_string()]);
                command.stdin(std::fs::File::open(&capture).unwrap());
                assert_eq!(String::from_utf8(command.output().unwrap().stdout).unwrap(), expected);
            }
        }
    }
}

#[test]
fn kernel_and_interpreter_agree_on_a_mixed_capture() {
    let bench = Bench::new();
    let mut frames: Vec<Vec<u8>> = corpus().into_iter().map(|named| named.frame).collect();
    let mut generator = Generator::new(StdRng::seed_from_u64(7));
    frames.extend((0..3_000).map(|_| generator.frame()));
    for client in 0..=255 {
        let vip = Ipv4 { source: [100, 64, 1, client].into(), destination: VIP4, ..Ipv4::default() };
        frames.push(vip.frame(6, &tcp(1024 + u16::from(client), 80, 2)));
    }
    // As a card with receive offload hands them to tcpdump.
    for length in [1_500, 9_000, 40_000, 65_000] {
        let payload = [tcp(4000, 443, 16), vec![0x55; length]].concat();
        frames.push(Ipv4 { source: CLIENT4, ..Ipv4::default() }.frame(6, &payload));
    }
    let capture = bench.capture(&Format::default().pcap(&frames));
    let kernel = bench.simulate(&capture, &["-o", "json"]).well();
    let interpreted = bench.simulate(&capture, &["-o", "json", "--interpret"]).well();
    let different: Vec<_> = kernel.lines().zip(interpreted.lines()).filter(|(a, b)| a != b).take(5).collect();
    assert!(different.is_empty(), "{different:#?}");
    assert_eq!(kernel.lines().count(), frames.len());
    for word in ["Failsafe", "Filter", "LoadBalancer", "Default", "Malformed", "Audit"] {
        assert!(kernel.contains(&format!("\"{word}\"")), "nothing was {word}");
    }
    for backend in ["192.0.2.11", "192.0.2.12"] {
        assert!(kernel.matches(backend).count() > 50, "{backend} takes its part of 256 connections");
    }
}

#[test]
fn a_short_snap_length_is_no_matter_until_it_cuts_headers() {
    let bench = Bench::new();
    let long = from([198, 51, 100, 9]).frame(17, &[&udp(4000, 53)[..6], &[0; 1_400]].concat());
    let web = from([100, 64, 0, 1]).frame(6, &tcp(4000, 443, 2));
    for (snap, guesses) in [(64, 0), (54, 0), (40, 2), (20, 2)] {
        let format = Format { snap, ..Format::default() };
        for bytes in [format.pcap(&[long.clone(), web.clone()]), format.pcapng(&[long.clone(), web.clone()])]
        {
            let said = bench.simulate(&bench.capture(&bytes), &["-o", "json", "--interpret"]);
            assert_eq!(said.out.matches(r#""guess":true"#).count(), guesses, "{snap}: {said:?}");
            assert_eq!(
                said.err.contains("2 packets were cut inside their headers"),
                guesses == 2,
                "{said:?}"
            );
            said.well();
        }
    }
}

#[test]
fn what_is_no_whole_capture_of_ethernet_is_said() {
    let bench = Bench::new();
    let flags = ["-o", "json", "--interpret"];
    let (pcap, pcapng) = (Format::default().pcap(&frames()), Format::default().pcapng(&frames()));
    for whole in [pcap, pcapng] {
        let said = bench.simulate(&bench.capture(&whole[..whole.len() - 5]), &flags);
        said.fails(1, &["capture: packet 12: the capture ends in the middle of what begins at byte"]);
        assert_eq!(said.out.lines().count(), frames().len() - 1, "what came before holds");
    }
    let cooked = Format { link: LINUX_COOKED, ..Format::default() };
    for bytes in [cooked.pcap(&frames()), cooked.pcapng(&frames())] {
        bench
            .simulate(&bench.capture(&bytes), &flags)
            .fails(1, &["LINUX_SLL", "capture on an Ethernet interface"]);
    }
    bench.simulate(&bench.capture(b""), &flags).fails(1, &["it is empty"]);
    bench.simulate(&bench.capture(b"kind: XdpFilter\n# no capture at all"), &flags).fails(1, &["tcpdump -w"]);
    bench.simulate(Path::new("/nonexistent.pcap"), &flags).fails(1, &["/nonexistent.pcap: No such file"]);
    let empty = bench.simulate(&bench.capture(&Format::default().pcap(&[])), &["--interpret"]).well();
    assert_eq!(empty, "no packets\n");
}

#[test]
fn a_damaged_capture_is_an_error_with_its_offset() {
    let bench = Bench::new();
    let format = Format::default();
    let begin = format.pcap(&frames()[..3]).len();
    let mut pcap = format.pcap(&frames());
    // The captured length of the fourth packet: far more than the file has.
    pcap[begin + 8..begin + 12].copy_from_slice(&u32::MAX.to_le_bytes());
    let said = bench.simulate(&bench.capture(&pcap), &["-o", "json", "--interpret"]);
    said.fails(1, &[&format!("packet 4: the capture ends in the middle of what begins at byte {begin}:")]);
    assert_eq!(said.out.lines().count(), 3, "what came before holds");

    let begin = format.pcapng(&frames()[..2]).len();
    let mut pcapng = format.pcapng(&frames());
    // The length that ends the third packet's block is not the one that it begins with.
    let length = u32::from_le_bytes(pcapng[begin + 4..begin + 8].try_into().unwrap()) as usize;
    pcapng[begin + length - 4] ^= 0xff;
    let said = bench.simulate(&bench.capture(&pcapng), &["-o", "json", "--interpret"]);
    said.fails(1, &[&format!("packet 3: the capture is damaged at byte {begin}:")]);
    assert_eq!(said.out.lines().count(), 2);
}

#[test]
fn judged_packets_are_written_with_their_verdicts() {
    let bench = Bench::new();
    let written = bench.file("judged.pcapng", "");
    let format = Format { snap: 50, ..Format::default() };
    let flags = ["-o", "json", "--interpret", "--write", written.to_str().unwrap()];
    let lines = bench.simulate(&bench.capture(&format.pcap(&frames())), &flags).well();
    let again = bench.simulate(&written, &["-o", "json", "--interpret"]).well();
    assert_eq!(again, lines, "what is written reads as what was read");

    let packets = wireshark::packets(&written, "");
    assert_eq!(packets.len(), frames().len());
    for ((line, frame), shown) in lines.lines().zip(frames()).zip(&packets) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let (verdict, rule) = (line["verdict"].as_str().unwrap(), line["rule"].as_str());
        let expected = match verdict {
            "Drop" => 1,
            "Tx" => 3,
            _ => 2,
        };
        assert_eq!(shown.action, expected, "{shown:?}");
        assert!(shown.comment.starts_with(verdict), "{shown:?}");
        assert!(rule.is_none_or(|rule| shown.comment.contains(rule)), "{shown:?}");
        assert_eq!((shown.length, shown.captured), (frame.len(), frame.len().min(format.snap)));
        assert_eq!(shown.time, "1700000000.999999000");
    }
    let nowhere = ["--interpret", "--write", "/nonexistent/judged.pcapng"];
    bench
        .simulate(&bench.capture(&format.pcap(&frames())), &nowhere)
        .fails(1, &["/nonexistent/judged.pcapng: No such"]);
}

#[test]
fn without_privilege_the_interpreter_is_named() {
    let bench = Bench::new();
    let capture = bench.capture(&Format::default().pcap(&frames()));
    let simulate = |flags: &[&str]| {
        let mut command = quiet(Command::new("setpriv"));
        command.args(["--bounding-set=-all", "--inh-caps=-all"]).arg(program("kubectl-sluice").unwrap());
        command.args(["simulate", "-f"]).arg(bench.policies()).arg("--pcap").arg(&capture);
        Said::of(command.args(flags).stdin(Stdio::null()))
    };
    simulate(&[]).fails(1, &["no privilege to load the program", "add --interpret"]);
    assert!(simulate(&["--interpret"]).well().contains("bad-nets"));
}

#[test]
fn policies_are_chosen_by_interface_and_checked_before_anything_runs() {
    let bench = Bench::new();
    let capture = bench.capture(&Format::default().pcap(&frames()));
    let flags = ["--interpret", "-o", "json", "--interface"];
    let eth0 = bench.simulate(&capture, &[&flags[..], &["eth0"]].concat()).well();
    assert!(eth0.contains("bad-nets"));
    let eth7 = bench.simulate(&capture, &[&flags[..], &["eth7"]].concat());
    assert!(eth7.err.contains("no policy selects eth7"), "{eth7:?}");
    assert!(!eth7.well().contains("bad-nets"));

    let labelled = POLICIES.replacen(
        "  priority: 100\n",
        "  priority: 100\n  nodeSelector: {matchLabels: {role: edge}}\n",
        1,
    );
    std::fs::write(bench.policies(), labelled).unwrap();
    for (labels, decided) in [("role=edge,zone=a", true), ("role=core", false)] {
        let said = bench.simulate(&capture, &["--interpret", "-o", "json", "--node-labels", labels]).well();
        assert_eq!(said.contains("bad-nets"), decided, "{labels}");
        assert!(said.contains("\"last\""), "which selects every node");
    }
    bench.simulate(&capture, &["--interpret", "--node-labels", "role"]).fails(2, &["write KEY=VALUE"]);

    std::fs::write(bench.policies(), POLICIES.replace("198.51.100.0/24", "198.51.100.7/24")).unwrap();
    bench.simulate(&capture, &["--interpret"]).fails(1, &["spec.rules", "198.51.100.0/24"]);
}
