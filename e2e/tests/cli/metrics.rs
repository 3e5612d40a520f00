//! A scrape, read as strictly as the OpenMetrics text format (1.0) asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use sluice_e2e::netns::Netns;

pub type Labels = BTreeMap<String, String>;
/// By metric name and labels.
pub type Series = BTreeMap<String, BTreeMap<Labels, f64>>;

/// The text, with the content type that goes with it.
pub fn scrape(netns: &Netns, port: u16) -> anyhow::Result<String> {
    let ask = move || -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = netns.spawn(ask).join().unwrap()?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(
        head.to_lowercase().contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{head}"
    );
    assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
    Ok(body.to_owned())
}

/// Every line belongs to a family that was announced once, and none follows the end.
pub fn series(text: &str) -> Series {
    let body = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no end: {text}"));
    let (mut families, mut current) = (BTreeSet::new(), (String::new(), String::new()));
    let mut series = Series::new();
    for line in body.lines() {
        if let Some(announced) = line.strip_prefix("# TYPE ") {
            let (name, kind) = announced.split_once(' ').unwrap();
            assert!(families.insert(name.to_owned()), "{name} is announced twice");
            assert!(["counter", "gauge", "info"].contains(&kind), "{line}");
            current = (name.to_owned(), kind.to_owned());
            continue;
        }
        if line.starts_with("# HELP ") || line.starts_with("# UNIT ") {
            continue;
        }
        let (name, labels, value) = sample(line);
        let suffix = if current.1 == "counter" { "_total" } else { "" };
        assert_eq!(name, format!("{}{suffix}", current.0), "{line} is not of the family above it");
        let former = series.entry(name).or_default().insert(labels, value);
        assert_eq!(former, None, "{line} is there twice");
    }
    series
}

/// All that is announced, by the names of its series, also without any.
pub fn families(text: &str) -> BTreeSet<String> {
    let announced = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let suffix = |kind| if kind == "counter" { "_total" } else { "" };
    announced.map(|(name, kind)| format!("{name}{}", suffix(kind))).collect()
}

/// `NAME{LABEL="VALUE",…} NUMBER`; no test's values have quotes or commas in them.
fn sample(line: &str) -> (String, Labels, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
    let labels = labels.strip_suffix('}').unwrap().split(',').filter(|label| !label.is_empty());
    let label = |text: &str| {
        let (name, value) = text.split_once('=').unwrap();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap();
        (name.to_owned(), value.to_owned())
    };
    (name.to_owned(), labels.map(label).collect(), value.parse().unwrap())
}
