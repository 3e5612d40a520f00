//! The report in the documentation, which carries a run as it came out.

use std::path::Path;

use anyhow::Context;

use super::Report;

const PAGE: &str = "benchmarks.md";
const CHART: &str = "benchmarks.svg";
/// What is between them is written by the bench.
const BEGIN: &str = "<!-- measured: from here on written by `make bench` -->\n";
const END: &str = "<!-- measured: to here -->\n";

impl Report {
    /// Writes the chart, and the page's measured part anew.
    pub fn write(&self, documentation: &Path) -> anyhow::Result<()> {
        let page = documentation.join(PAGE);
        let text = std::fs::read_to_string(&page).with_context(|| page.display().to_string())?;
        let measured = format!("![What a packet costs]({CHART})\n\n{}", self.markdown());
        let text = replaced(&text, &measured).with_context(|| page.display().to_string())?;
        std::fs::write(documentation.join(CHART), self.svg())?;
        Ok(std::fs::write(page, text)?)
    }
}

fn replaced(page: &str, measured: &str) -> anyhow::Result<String> {
    let marks = || format!("it needs the lines {BEGIN}and {END}");
    let (before, rest) = page.split_once(BEGIN).with_context(marks)?;
    let (_, after) = rest.split_once(END).with_context(marks)?;
    Ok(format!("{before}{BEGIN}\n{measured}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_by_hand_stays() {
        let page = format!("by hand\n{BEGIN}old\n{END}by hand, too\n");
        let once = replaced(&page, "new").unwrap();
        assert_eq!(once, format!("by hand\n{BEGIN}\nnew\n{END}by hand, too\n"));
        assert_eq!(replaced(&once, "new").unwrap(), once);
        replaced("by hand\n", "new").unwrap_err();
    }
}
