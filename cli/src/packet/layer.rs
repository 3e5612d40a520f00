//! One layer of a description: values by key, each taken once by whoever builds the layer.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::ParseIntError;

use sluice_crds::nearest;

#[derive(Debug)]
pub struct Layer {
    pub name: String,
    given: Vec<(String, String)>,
    /// Keys that were asked for: all that the layer knows.
    known: Vec<&'static str>,
}

/// Under which bare words are kept.
const BYTES: &str = "";

impl Layer {
    pub fn new(name: &str) -> Layer {
        Layer { name: name.to_owned(), given: Vec::new(), known: Vec::new() }
    }

    pub fn add(&mut self, key: &str, value: &str) -> Result<(), String> {
        if self.given.iter().any(|(given, _)| given == key) {
            return Err(format!("{}: {key} is given twice: remove one of them", self.name));
        }
        self.given.push((key.to_owned(), value.to_owned()));
        Ok(())
    }

    pub fn add_bytes(&mut self, digits: &str) {
        self.given.push((BYTES.to_owned(), digits.to_owned()));
    }

    /// All bare words in a row.
    pub fn bare(&mut self) -> String {
        let (bare, rest) = std::mem::take(&mut self.given).into_iter().partition(|(key, _)| key == BYTES);
        self.given = rest;
        let bare: Vec<(String, String)> = bare;
        bare.into_iter().map(|(_, digits)| digits).collect()
    }

    pub fn take<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        self.known.push(key);
        let Some(index) = self.given.iter().position(|(given, _)| given == key) else { return Ok(None) };
        let (_, value) = self.given.remove(index);
        parse(&value).map(Some).map_err(|error| format!("{key}=\"{value}\" {error}"))
    }

    pub fn number<T: TryFrom<u64>>(&mut self, key: &'static str, default: T) -> Result<T, String> {
        Ok(self.given_number(key)?.unwrap_or(default))
    }

    pub fn given_number<T: TryFrom<u64>>(&mut self, key: &'static str) -> Result<Option<T>, String> {
        let highest = (1u128 << (8 * size_of::<T>())) - 1;
        self.take(key, |text| {
            T::try_from(integer(text)?).map_err(|_| format!("is too large: write at most {highest}"))
        })
    }

    /// A number of fewer bits than its type.
    pub fn below(&mut self, key: &'static str, bits: u32) -> Result<u16, String> {
        let highest = (1u64 << bits) - 1;
        let parse = |text: &str| match integer(text)? {
            value if value <= highest => Ok(value as u16),
            _ => Err(format!("is too large: write at most {highest}")),
        };
        Ok(self.take(key, parse)?.unwrap_or_default())
    }

    pub fn bytes(&mut self, key: &'static str) -> Result<Vec<u8>, String> {
        Ok(self.take(key, hex)?.unwrap_or_default())
    }

    /// # Errors
    /// A key that nobody asked for.
    pub fn finish(self) -> Result<(), String> {
        match self.given.first() {
            None => Ok(()),
            Some((key, _)) => Err(unknown("no such field", key, &self.known)),
        }
    }
}

/// With the nearest of the known names, or all of them.
pub fn unknown(what: &str, found: &str, known: &[&str]) -> String {
    match nearest(found, known.iter().copied()) {
        Some(near) => format!("{what}: \"{found}\": did you mean {near}?"),
        None if known.is_empty() => format!("{what}: \"{found}\": it has none"),
        None => format!("{what}: \"{found}\": write {}", known.join(", ")),
    }
}

/// Decimal, or hexadecimal behind `0x`.
pub fn integer(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_: ParseIntError| "is no number: write one as 53 or 0x35".to_owned())
}

pub fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    if digits.len() != text.chars().count() || !digits.len().is_multiple_of(2) {
        return Err("is not made of bytes: write two hexadecimal digits for each, as 0d0a".to_owned());
    }
    Ok(digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

pub fn mac(text: &str) -> Result<[u8; 6], String> {
    let parts: Vec<u8> = text.split(':').map_while(|part| u8::from_str_radix(part, 16).ok()).collect();
    let whole = text.split(':').count() == 6;
    parts
        .try_into()
        .ok()
        .filter(|_| whole)
        .ok_or_else(|| "is no MAC address: write one as 02:00:00:00:00:01".to_owned())
}

pub fn ipv4(text: &str) -> Result<Ipv4Addr, String> {
    text.parse().map_err(|_| "is no IPv4 address: write one as 192.0.2.1 (IPv6 stands in ip6)".to_owned())
}

pub fn ipv6(text: &str) -> Result<Ipv6Addr, String> {
    text.parse().map_err(|_| "is no IPv6 address: write one as 2001:db8::1 (IPv4 stands in ip)".to_owned())
}
