//! `kubectl sluice test`: described packets, and what is expected to become of them.

mod file;
mod junit;
mod report;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};

use crate::args::{Place, Test, TestOutput};
use crate::judge::{self, Interpreter};
use crate::output::{print_line, print_structured};
use crate::policies::{self, Policies};
use crate::{capture, packet};
use file::{Case, Found};
use report::{Report, Tried};

pub fn run(args: &Test) -> anyhow::Result<ExitCode> {
    let policies = policies::read(&args.policies)?;
    judge::note_connections(&policies);
    let mut places = Places { policies, interpreters: BTreeMap::new() };
    let mut report = Report::default();
    for path in &args.tests {
        for case in file::read(path)? {
            report.tests.push(try_one(&mut places, path, case)?);
        }
    }
    match args.output {
        TestOutput::Table => report.print()?,
        TestOutput::Json => print_structured(&report, crate::args::Output::Json)?,
        TestOutput::Junit => print_line(junit::document(&report))?,
    }
    Ok(if report.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn try_one(places: &mut Places, path: &Path, case: Case) -> anyhow::Result<Tried> {
    let frame = frame(path, &case).with_context(|| format!("{}: test \"{}\"", path.display(), case.name))?;
    let decision = places.at(&case.place()).decide(&frame);
    let found = Found::of(&decision);
    let differences = case.expect.differences(&found);
    Ok(Tried {
        name: case.name,
        file: path.display().to_string(),
        passed: differences.is_empty(),
        differences,
        found,
    })
}

/// A capture stands beside the file of tests unless its path is absolute.
fn frame(path: &Path, case: &Case) -> anyhow::Result<Vec<u8>> {
    if let Some(description) = &case.packet {
        return packet::frame(description).map_err(|error| anyhow!("packet: {error}"));
    }
    let pcap = case.pcap.as_ref().context("has no packet: write packet, or pcap with file and packet")?;
    let capture = path.parent().unwrap_or(Path::new("")).join(&pcap.file);
    let mut frames = capture::open(&capture)?;
    for number in 1..=pcap.packet.get() {
        let frame = frames.next_frame().with_context(|| format!("{}: packet {number}", capture.display()))?;
        let frame = frame.ok_or_else(|| {
            anyhow!("{} has {} packets, and no packet {}", capture.display(), number - 1, pcap.packet)
        })?;
        if number == pcap.packet.get() {
            return Ok(frame.bytes);
        }
    }
    unreachable!("the last number of the range is the packet's own")
}

/// The policies as each place has them, which many tests share.
struct Places {
    policies: Policies,
    interpreters: BTreeMap<Place, Interpreter>,
}

impl Places {
    fn at(&mut self, place: &Place) -> &Interpreter {
        self.interpreters.entry(place.clone()).or_insert_with(|| {
            let mut policies = self.policies.clone();
            judge::narrow(&mut policies, place);
            Interpreter::new(&policies, place)
        })
    }
}
