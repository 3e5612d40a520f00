//! One line a packet, as soon as it is judged; the table says at the end what became of all.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::args::LineOutput;
use crate::output::{Tone, print_json_line, style};
use crate::policies::Policies;

use crate::judge::Decision;

pub struct Printer {
    output: LineOutput,
    /// Of the policy and rule columns: known before the first packet is.
    widths: (usize, usize),
    counts: BTreeMap<&'static str, u64>,
    packets: u64,
    guesses: u64,
}

impl Printer {
    pub fn new(output: LineOutput, policies: &Policies) -> Printer {
        let filters = policies.filters.iter().map(|filter| filter.object.name.len());
        let balancers = policies.balancers.iter().map(|balancer| balancer.object.name.len());
        let rules = policies.filters.iter().flat_map(|filter| &filter.rules).map(|rule| rule.name.len());
        let widths =
            (filters.chain(balancers).fold("POLICY".len(), usize::max), rules.fold("RULE".len(), usize::max));
        Printer { output, widths, counts: BTreeMap::new(), packets: 0, guesses: 0 }
    }

    pub fn print(&mut self, packet: u64, decision: &Decision) -> io::Result<()> {
        *self.counts.entry(decision.verdict).or_default() += 1;
        self.packets += 1;
        self.guesses += u64::from(decision.guess);
        if self.output == LineOutput::Json {
            return print_json_line(&decision.line(packet));
        }
        if self.packets == 1 {
            self.line("PACKET", ["VERDICT", "STAGE", "POLICY", "RULE", "MODE", "NOTE"], None)?;
        }
        let cells = [
            decision.verdict,
            decision.stage,
            decision.policy.as_deref().unwrap_or("-"),
            decision.rule.as_deref().unwrap_or("-"),
            decision.mode.unwrap_or("-"),
            &decision.note(),
        ];
        let tone = match decision.verdict {
            "Pass" => None,
            "Tx" => Some(Tone::Good),
            _ => Some(Tone::Bad),
        };
        self.line(&packet.to_string(), cells, tone)
    }

    pub fn finish(self) -> io::Result<()> {
        if self.output == LineOutput::Table {
            let counts: Vec<String> =
                self.counts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
            let (gap, all) =
                if self.packets == 0 { ("", "no packets".into()) } else { ("\n", counts.join(", ")) };
            writeln!(io::stdout().lock(), "{gap}{all}")?;
        }
        if self.guesses > 0 {
            eprintln!(
                "note: {} packets were cut inside their headers, so their verdicts are guesses: capture more of each \
                 (tcpdump -s 0)",
                self.guesses
            );
        }
        Ok(())
    }

    fn line(&self, packet: &str, cells: [&str; 6], tone: Option<Tone>) -> io::Result<()> {
        let [verdict, stage, policy, rule, mode, note] = cells;
        let (policies, rules) = self.widths;
        let style = style(tone);
        let line = format!(
            "{packet:>7}  {style}{verdict:<7}{style:#}  {stage:<12}  {policy:<policies$}  {rule:<rules$}  {mode:<7}  \
             {note}"
        );
        writeln!(io::stdout().lock(), "{}", line.trim_end())
    }
}
