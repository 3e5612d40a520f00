//! The report in the documentation, which carries a run as it came out.

use std::path::Path;

use anyhow::Context;

use super::Report;

const PAGE: &str = "benchmarks.md";
const CHART: &str = "benchmarks.svg";
/// What is between them is written by the bench.
const MARKS: (&str, &str) =
    ("<!-- measured: from here on written by `make bench` -->\n", "<!-- measured: to here -->\n");

impl Report {
    /// Writes the chart, and the page's measured part anew.
    pub fn write(&self, documentation: &Path) -> anyhow::Result<()> {
        let measured = format!("![What a packet costs]({CHART})\n\n{}", self.markdown());
        replace_measured(&documentation.join(PAGE), MARKS, &measured)?;
        Ok(std::fs::write(documentation.join(CHART), self.svg())?)
    }
}

/// Writes what is between two marks of a page anew.
pub fn replace_measured(page: &Path, marks: (&str, &str), measured: &str) -> anyhow::Result<()> {
    let replaced = |text: String| replaced(&text, marks, measured);
    let text = std::fs::read_to_string(page).map_err(anyhow::Error::from).and_then(replaced);
    Ok(std::fs::write(page, text.with_context(|| page.display().to_string())?)?)
}

fn replaced(page: &str, (begin, end): (&str, &str), measured: &str) -> anyhow::Result<String> {
    let marks = || format!("it needs the lines {begin}and {end}");
    let (before, rest) = page.split_once(begin).with_context(marks)?;
    let (_, after) = rest.split_once(end).with_context(marks)?;
    Ok(format!("{before}{begin}\n{measured}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_by_hand_stays() {
        let (begin, end) = MARKS;
        let page = format!("by hand\n{begin}old\n{end}by hand, too\n");
        let once = replaced(&page, MARKS, "new").unwrap();
        assert_eq!(once, format!("by hand\n{begin}\nnew\n{end}by hand, too\n"));
        assert_eq!(replaced(&once, MARKS, "new").unwrap(), once);
        replaced("by hand\n", MARKS, "new").unwrap_err();
    }
}
