//! `kubectl sluice simulate`: a capture against policies, by the kernel's own program or by the interpreter.

mod printer;

use std::time::Duration;

use anyhow::Context;
use sluice_interpret::packet::Packet;

use crate::args::Simulate;
use crate::capture::{self, Frame, Frames, Writer};
use crate::judge::{self, Decision, Interpreter, Kernel};
use crate::policies::Policies;
use printer::Printer;

pub fn run(args: &Simulate) -> anyhow::Result<()> {
    let policies = judge::read_for(&args.policies, &args.place)?;
    let mut frames = capture::open(&args.pcap)?;
    let judge = Judge::new(&policies, args)?;
    let mut writer = args.write.as_deref().map(Writer::create).transpose()?;
    if let Some(writer) = &mut writer {
        writer.interface("", "as kubectl sluice simulate judged it")?;
    }
    let mut printer = Printer::new(args.output, &policies);
    let outcome = run_packets(&mut frames, &judge, &mut printer, writer.as_mut());
    // Also after an error: what was judged so far holds.
    printer.finish()?;
    writer.map(Writer::finish).transpose()?;
    outcome.with_context(|| args.pcap.display().to_string())
}

fn run_packets(
    frames: &mut Frames,
    judge: &Judge,
    printer: &mut Printer,
    mut writer: Option<&mut Writer>,
) -> anyhow::Result<()> {
    let mut clock = Clock::default();
    for number in 1u64.. {
        let Some(frame) = frames.next_frame().with_context(|| format!("packet {number}"))? else { break };
        let decision = judge.decide(&frame, clock.since_first(frame.time))?;
        printer.print(number, &decision)?;
        if let Some(writer) = &mut writer {
            writer.write(0, &frame, &decision)?;
        }
    }
    Ok(())
}

/// The time of packets, by which rates are judged.
#[derive(Default)]
struct Clock {
    first: Option<Duration>,
    last: Duration,
}

impl Clock {
    /// One that is out of order, as a capture of several queues has some, comes with the one before it.
    fn since_first(&mut self, time: Duration) -> Duration {
        let first = *self.first.get_or_insert(time);
        self.last = self.last.max(time.saturating_sub(first));
        self.last
    }
}

struct Judge {
    interpreter: Interpreter,
    /// None: only the interpreter.
    kernel: Option<Kernel>,
}

impl Judge {
    fn new(policies: &Policies, args: &Simulate) -> anyhow::Result<Judge> {
        let place = &args.place;
        let kernel = match args.interpret {
            true => None,
            false => Some(Kernel::load(policies, place)?),
        };
        Ok(Judge { interpreter: Interpreter::new(policies, place), kernel })
    }

    fn decide(&self, frame: &Frame, time: Duration) -> anyhow::Result<Decision> {
        let bytes = &frame.bytes;
        let decision = match &self.kernel {
            // The kernel takes no test frame without a whole Ethernet header.
            Some(kernel) if bytes.len() >= sluice_datapath::test_run::MIN_FRAME => {
                kernel.decide_at(bytes, time)?
            }
            _ => self.interpreter.decide_at(bytes, time),
        };
        Ok(Decision { guess: frame.is_cut(self.interpreter.reads_to(&Packet::parse(bytes))), ..decision })
    }
}
