//! Lists as people and services write them.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::Deserialize;
use sluice_address_set::AddressSet;
use sluice_policy::ListFormat;

/// What was read of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressList {
    pub addresses: AddressSet,
    /// Lines with a prefix or an address.
    pub entries: u64,
    /// Of these, those that had host bits set, which were cut off.
    pub normalised: u64,
}

/// A list as it is known: what is wrong with the newest reading does not touch the last good one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListState {
    pub good: Option<Arc<AddressList>>,
    pub fault: Option<String>,
    /// Of a feed: when it was fetched last, or found unchanged, in Unix milliseconds.
    pub fetched: Option<i64>,
}

/// Why a reading is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error(
        "line {line}: \"{found}\" is no prefix and no address: write 192.0.2.0/24, 192.0.2.7 or 2001:db8::/32"
    )]
    NoPrefix { line: usize, found: String },
    #[error("line {line}: not UTF-8 text")]
    NoText { line: usize },
    #[error("line {line}: no JSON object with cidr, as {{\"cidr\":\"192.0.2.0/24\"}}: {problem}")]
    NoJson { line: usize, problem: String },
    #[error("line {line} names {named} records and {found} are there: the list is not whole")]
    NotWhole { line: usize, named: u64, found: u64 },
}

/// As much of a line as a message quotes.
const QUOTED: usize = 64;

/// # Errors
/// The first line that is not as the format has it.
pub fn read_list(bytes: &[u8], format: ListFormat) -> Result<AddressList, Fault> {
    let mut reading = Reading::default();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line_number = index + 1;
        let text = std::str::from_utf8(line).map_err(|_| Fault::NoText { line: line_number })?.trim();
        match format {
            ListFormat::Plain => reading.plain(line_number, text)?,
            ListFormat::SpamhausJson => reading.spamhaus(line_number, text)?,
        }
    }
    let Reading { nets, normalised } = reading;
    let entries = nets.len() as u64;
    Ok(AddressList { addresses: AddressSet::collect(nets), entries, normalised })
}

#[derive(Default)]
struct Reading {
    nets: Vec<IpNet>,
    normalised: u64,
}

/// A line of Spamhaus's DROP lists; the last one is about the others.
#[derive(Deserialize)]
struct Record {
    cidr: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    records: Option<u64>,
}

impl Reading {
    fn plain(&mut self, line: usize, text: &str) -> Result<(), Fault> {
        let entry = text.split(['#', ';']).next().unwrap_or_default().trim();
        if entry.is_empty() { Ok(()) } else { self.add(line, entry) }
    }

    fn spamhaus(&mut self, line: usize, text: &str) -> Result<(), Fault> {
        if text.is_empty() {
            return Ok(());
        }
        let problem = |problem: String| Fault::NoJson { line, problem };
        let record: Record = serde_json::from_str(text).map_err(|error| problem(error.to_string()))?;
        match record {
            Record { cidr: Some(cidr), .. } => self.add(line, &cidr),
            Record { kind: Some(kind), records, .. } if kind == "metadata" => {
                let found = self.nets.len() as u64;
                match records.filter(|named| *named != found) {
                    Some(named) => Err(Fault::NotWhole { line, named, found }),
                    None => Ok(()),
                }
            }
            _ => Err(problem("cidr is missing".to_owned())),
        }
    }

    fn add(&mut self, line: usize, text: &str) -> Result<(), Fault> {
        let parsed = match text.parse::<IpNet>() {
            Ok(net) => Some(net),
            Err(_) => text.parse::<IpAddr>().ok().map(IpNet::from),
        };
        let Some(net) = parsed else {
            return Err(Fault::NoPrefix { line, found: text.chars().take(QUOTED).collect() });
        };
        self.normalised += u64::from(net.trunc() != net);
        self.nets.push(net);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Result<AddressList, Fault> {
        read_list(text.as_bytes(), ListFormat::Plain)
    }

    #[test]
    fn a_plain_list_has_comments_addresses_and_host_bits() {
        let text = "\u{feff}# head\n192.0.2.0/25 ; SBL1\r\n192.0.2.130/25#x\n\n  2001:db8::1\n203.0.113.7";
        let list = plain(text).expect("a list");
        let nets: Vec<String> = list.addresses.iter().map(|net| net.to_string()).collect();
        assert_eq!(nets, ["192.0.2.0/24", "203.0.113.7/32", "2001:db8::1/128"]);
        assert_eq!((list.entries, list.normalised), (4, 1));
        assert_eq!(plain("").expect("an empty list"), AddressList::default());
    }

    #[test]
    fn a_line_that_is_no_prefix_is_named() {
        for (text, says) in [
            ("192.0.2.0/24\nevil.example\n", "line 2: \"evil.example\" is no prefix"),
            ("0.0.0.0 evil.example", "line 1: \"0.0.0.0 evil.example\""),
            ("192.0.2.0/33", "line 1:"),
            ("192.0.2.1-192.0.2.9", "line 1:"),
            ("<!DOCTYPE html>", "line 1:"),
        ] {
            let said = plain(text).expect_err(text).to_string();
            assert!(said.contains(says), "{said}");
        }
        assert_eq!(read_list(b"192.0.2.1\n\xff", ListFormat::Plain), Err(Fault::NoText { line: 2 }));
        let long = plain(&"x".repeat(1000)).expect_err("no prefix").to_string();
        assert!(long.len() < 200, "{long}");
    }

    #[test]
    fn the_last_line_of_a_spamhaus_list_says_whether_it_is_whole() {
        let record = |cidr: &str| format!("{{\"cidr\":\"{cidr}\",\"sblid\":\"SBL1\",\"rir\":\"ripencc\"}}\n");
        let text = record("192.0.2.0/24") + &record("2001:db8::/32");
        let of = |text: String| read_list(text.as_bytes(), ListFormat::SpamhausJson);
        let metadata =
            |records: u32| format!("{{\"type\":\"metadata\",\"timestamp\":1,\"records\":{records}}}\n");
        assert_eq!(of(text.clone() + &metadata(2)).expect("whole").entries, 2);
        let said = of(text.clone() + &metadata(3)).expect_err("cut").to_string();
        assert!(said.contains("line 3 names 3 records and 2 are there"), "{said}");
        let said = of(text[..text.len() - 5].to_owned()).expect_err("cut").to_string();
        assert!(said.starts_with("line 2: no JSON object"), "{said}");
        assert!(of("{\"net\":\"192.0.2.0/24\"}".to_owned()).is_err());
    }
}
