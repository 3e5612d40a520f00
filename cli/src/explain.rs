//! `kubectl sluice explain`: which rules a packet meets, and which of their fields fit.

mod line;
mod words;

use anyhow::{Context, anyhow};
use sluice_interpret::packet::Packet;

use crate::args::{Explain, LineOutput};
use crate::capture::{self, Frame};
use crate::judge::{self, Decision, Explanation, Interpreter};
use crate::output::{Tone, print_json_line, print_line, style};
use crate::packet;
use line::Line;

pub fn run(args: &Explain) -> anyhow::Result<()> {
    let policies = judge::read_for(&args.policies, &args.place)?;
    let interpreter = Interpreter::new(&policies, &args.place);
    if let Some(description) = &args.description {
        let frame = packet::frame(description).map_err(|error| anyhow!("packet: {error}"))?;
        return explain(&interpreter, args.output, 1, &Frame::whole(frame));
    }
    let path = args.pcap.as_ref().expect("clap asks for a description or a capture");
    let wanted = args.packet.map(u64::from);
    let mut frames = capture::open(path)?;
    for number in 1u64.. {
        let place = || format!("{}: packet {number}", path.display());
        let Some(frame) = frames.next_frame().with_context(place)? else {
            return match wanted {
                Some(wanted) => {
                    Err(anyhow!("{} has {} packets, and no packet {wanted}", path.display(), number - 1))
                }
                None => Ok(()),
            };
        };
        if wanted.is_none_or(|wanted| wanted == number) {
            explain(&interpreter, args.output, number, &frame)?;
        }
        if wanted == Some(number) {
            break;
        }
    }
    Ok(())
}

fn explain(interpreter: &Interpreter, output: LineOutput, number: u64, frame: &Frame) -> anyhow::Result<()> {
    let packet = Packet::parse(&frame.bytes);
    let mut explanation = interpreter.explain(&frame.bytes);
    explanation.decision =
        Decision { guess: frame.is_cut(interpreter.reads_to(&packet)), ..explanation.decision };
    match output {
        LineOutput::Json => print_json_line(&Line::new(number, &packet, &explanation))?,
        LineOutput::Table => print(number, &packet, &explanation)?,
    }
    Ok(())
}

fn print(number: u64, packet: &Packet, explanation: &Explanation) -> std::io::Result<()> {
    if number > 1 {
        print_line("")?;
    }
    print_line(words::packet(packet))?;
    for considered in &explanation.considered {
        let (filter, rule) = (&considered.filter.object.name, &considered.rule.name);
        print_line(format_args!("\n{filter}: {rule} {}", words::result(considered, packet)))?;
        for checked in &considered.checked {
            let (answer, tone) = if checked.fits { ("yes", Tone::Good) } else { ("no", Tone::Bad) };
            let style = style(Some(tone));
            let (field, found) =
                (words::field(checked.field), words::found(checked.field, considered.rule, packet));
            let wanted = words::wanted(checked.field, considered.rule, packet).join(", ");
            print_line(format_args!("  {style}{answer:<3}{style:#}  {field}: {found}; wanted: {wanted}"))?;
        }
    }
    let tone = if explanation.decision.verdict == "Drop" { Tone::Bad } else { Tone::Good };
    let style = style(Some(tone));
    let kept = explanation
        .kept
        .map(|kept| format!(": {} is failsafe traffic", words::kept(kept)))
        .unwrap_or_default();
    print_line(format_args!("\n{style}{}{style:#}{kept}", explanation.decision.words()))
}
