//! What came of the tests.

use serde::Serialize;

use super::file::{Difference, Found};
use crate::output::{Tone, print_line, style};

#[derive(Default, Serialize)]
pub struct Report {
    pub tests: Vec<Tried>,
}

#[derive(Serialize)]
pub struct Tried {
    pub name: String,
    pub file: String,
    pub passed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    pub found: Found,
}

impl Report {
    pub fn failed(&self) -> usize {
        self.tests.iter().filter(|test| !test.passed).count()
    }

    pub fn print(&self) -> std::io::Result<()> {
        for test in &self.tests {
            let (answer, tone) = if test.passed { ("ok", Tone::Good) } else { ("FAILED", Tone::Bad) };
            let style = style(Some(tone));
            print_line(format_args!("{style}{answer:<6}{style:#}  {}", test.name))?;
            if !test.passed {
                print_line(format_args!("        {}", test.why()))?;
            }
        }
        let (all, failed) = (self.tests.len(), self.failed());
        print_line(format_args!("\n{} of {all} tests hold, {failed} failed", all - failed))
    }
}

impl Tried {
    /// Why it failed, in one line.
    pub fn why(&self) -> String {
        let expected: Vec<String> =
            self.differences.iter().map(|one| format!("{} {}", one.field, one.expected)).collect();
        format!("expected {}; found {}", expected.join(", "), self.found.words)
    }
}
