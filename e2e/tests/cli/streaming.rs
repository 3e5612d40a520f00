//! Captures that are still being written: a line comes with each packet.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use sluice_e2e::packets::{Ipv4, udp};

use crate::captures::Format;
use crate::run::cli;
use crate::simulate::Bench;

const PATIENCE: Duration = Duration::from_secs(20);

/// A simulation that reads a pipe.
struct Live {
    child: Child,
    pipe: ChildStdin,
    lines: Receiver<String>,
}

impl Live {
    fn start(bench: &Bench, flags: &[&str]) -> Live {
        let mut command = cli();
        command
            .args(["simulate", "-f"])
            .arg(bench.policies())
            .args(["--pcap", "-", "--interpret"])
            .args(flags);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (pipe, out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Live { child, pipe, lines }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.pipe.write_all(bytes).unwrap();
        self.pipe.flush().unwrap();
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line comes with the packet, not with the next one")
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_line_comes_with_each_packet() {
    let (bench, format) = (Bench::new(), Format::default());
    let frame = |last| Ipv4 { source: [198, 51, 100, last].into(), ..Ipv4::default() }.frame(17, &udp(1, 2));
    type Packet = fn(Format, &[u8]) -> Vec<u8>;
    let pcap: Packet = Format::pcap_packet;
    for (header, packet) in
        [(format.pcap_header(), pcap), (format.pcapng_header(), Format::pcapng_packet as Packet)]
    {
        let mut live = Live::start(&bench, &["-o", "json"]);
        live.write(&header);
        for number in 1..=3u8 {
            live.write(&packet(format, &frame(number)));
            assert!(live.line().starts_with(&format!("{{\"packet\":{number},\"verdict\":\"Drop\"")));
        }
        let mut live = Live::start(&bench, &[]);
        live.write(&header);
        live.write(&packet(format, &frame(1)));
        assert!(live.line().starts_with(" PACKET  VERDICT"));
        assert!(live.line().starts_with("      1  Drop"));
    }
}
