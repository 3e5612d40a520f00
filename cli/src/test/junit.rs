//! The report as JUnit XML, which pipelines read.

use std::fmt::Write;

use super::report::Report;

pub fn document(report: &Report) -> String {
    let (all, failed) = (report.tests.len(), report.failed());
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"kubectl sluice test\" \
         tests=\"{all}\" failures=\"{failed}\">\n"
    );
    for test in &report.tests {
        let (file, name) = (escaped(&test.file), escaped(&test.name));
        let failure = match test.passed {
            true => String::new(),
            false => format!("<failure message=\"{}\"/>", escaped(&test.why())),
        };
        writeln!(text, "<testcase classname=\"{file}\" name=\"{name}\">{failure}</testcase>")
            .expect("text takes everything");
    }
    text + "</testsuite>\n</testsuites>"
}

/// Without control characters, which XML 1.0 does not have.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            char if char.is_control() => escaped.push(' '),
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        assert_eq!(escaped("a<b> & \"c\"\u{7}"), "a&lt;b&gt; &amp; &quot;c&quot; ");
    }
}
