//! What Wireshark makes of a file that the command wrote.

use std::path::Path;
use std::process::Command;

use sluice_e2e::cluster::output;

/// A packet as it is shown.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown {
    pub interface: String,
    /// Seconds since 1970, with nine digits behind the point.
    pub time: String,
    /// `enum xdp_action` of the verdict.
    pub action: u64,
    /// Of the frame, and of what the file has of it.
    pub length: usize,
    pub captured: usize,
    pub comment: String,
}

/// Those that a display filter leaves; none leaves all.
pub fn packets(capture: &Path, filter: &str) -> Vec<Shown> {
    let mut command = Command::new("tshark");
    // Of its own, so that nobody's preferences have a say.
    command.env("WIRESHARK_CONFIG_DIR", capture.parent().unwrap());
    command.args(["-n", "-T", "fields", "-E", "separator=/t", "-Y", filter]);
    let fields = ["interface_name", "time_epoch", "verdict.ebpf_xdp", "len", "cap_len", "comment"];
    fields.iter().for_each(|field| _ = command.args(["-e", &format!("frame.{field}")]));
    // A broken file is an error of the command's.
    let said = output(command.arg("-r").arg(capture)).unwrap();
    said.lines().map(shown).collect()
}

fn shown(line: &str) -> Shown {
    let fields: Vec<&str> = line.split('\t').collect();
    let [interface, time, action, length, captured, comment] = fields[..] else {
        panic!("six fields: {line}")
    };
    Shown {
        interface: interface.to_owned(),
        time: time.to_owned(),
        action: action.parse().unwrap_or_else(|error| panic!("{error}: no verdict of XDP: {line}")),
        length: length.parse().unwrap(),
        captured: captured.parse().unwrap(),
        comment: comment.to_owned(),
    }
}
