//! The small languages inside strings.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::time;

use sluice_crds::{Duration, Kind, definition, nearest, protocol_name, protocol_names, protocol_number};

#[test]
fn protocols_have_names_and_numbers() {
    for (text, number) in
        [("TCP", 6), ("ICMP", 1), ("IPv6-ICMP", 58), ("UDPLite", 136), ("IPv4", 4), ("0", 0), ("255", 255)]
    {
        assert_eq!(protocol_number(text), Some(number), "{text}");
    }
    for text in ["tcp", "256", "006", "-1", "", " 6", "6 ", "+6", "ICMPv6"] {
        assert_eq!(protocol_number(text), None, "{text:?}");
    }
    assert_eq!(protocol_name(47), Some("GRE"));
    assert_eq!(protocol_name(254), None);
}

#[test]
fn protocol_names_are_unique_and_fit_the_schema() {
    let names: Vec<&str> = protocol_names().collect();
    assert!(names.len() > 130);
    for name in &names {
        let number = protocol_number(name).unwrap();
        assert_eq!(protocol_name(number), Some(*name));
        assert!(name.len() <= 24);
    }
    let rule = definition(Kind::XdpFilter).to_string();
    assert!(names.iter().all(|name| rule.contains(&format!("'{name}': 0"))));
}

#[test]
fn lengths_of_time_are_read_as_go_writes_them() {
    let read = |text: &str| Duration::from(text).to_std();
    assert_eq!(read("500ms"), Some(time::Duration::from_millis(500)));
    assert_eq!(read("1m30s"), Some(time::Duration::from_secs(90)));
    assert_eq!(read("-1s"), None);
    assert_eq!(read("soon"), None);
}

#[test]
fn nearest_finds_slips_and_no_strangers() {
    let kinds = Kind::ALL.map(Kind::name);
    assert_eq!(nearest("XdpFiler", kinds), Some("XdpFilter"));
    assert_eq!(nearest("xdpfilter", kinds), Some("XdpFilter"));
    assert_eq!(nearest("Deployment", kinds), None);
}
