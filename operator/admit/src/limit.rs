//! The rate of a rule that limits one.

use sluice_crds::{
    LimitKey as ApiKey, MAX_BURST_SECONDS, MAX_BYTES_PER_SECOND, MAX_PACKETS_PER_SECOND, MIN_BYTES_BURST,
    PrefixLengths, RateLimit as ApiLimit,
};
use sluice_policy::{LimitKey, Rate, RateLimit};

use crate::refusal::Checks;

/// Where something is refused, what comes back is of no use.
pub(crate) fn admit(found: &ApiLimit, path: &str, checks: &mut Checks) -> RateLimit {
    let ApiLimit { packets_per_second, bytes_per_second, burst, per, prefix } = found;
    let (rate, per_second) = match (*packets_per_second, *bytes_per_second) {
        (Some(packets), None) => {
            let path = format!("{path}.packetsPerSecond");
            in_range(packets, 1, MAX_PACKETS_PER_SECOND, &path, checks);
            (Rate::PacketsPerSecond(packets), packets)
        }
        (None, Some(bytes)) => {
            in_range(bytes, 1, MAX_BYTES_PER_SECOND, &format!("{path}.bytesPerSecond"), checks);
            if *burst < MIN_BYTES_BURST {
                let message = "burst in bytes is less than a frame has, which would then never pass: write at least 1518";
                checks.refuse(path, message);
            }
            (Rate::BytesPerSecond(bytes), bytes)
        }
        _ => {
            let message = "a rate counts one thing: write either packetsPerSecond or bytesPerSecond";
            checks.refuse(path, message);
            (Rate::PacketsPerSecond(1), 1)
        }
    };
    let most = per_second.saturating_mul(MAX_BURST_SECONDS).max(1);
    in_range(*burst, 1, most, &format!("{path}.burst"), checks);
    RateLimit { rate, burst: *burst, per: key(per.unwrap_or_default(), prefix.as_ref(), path, checks) }
}

fn in_range(found: u64, least: u64, most: u64, path: &str, checks: &mut Checks) {
    if found < least || found > most {
        checks.refuse(path, format!("{found} is out of range: write a number from {least} to {most}"));
    }
}

fn key(per: ApiKey, prefix: Option<&PrefixLengths>, path: &str, checks: &mut Checks) -> LimitKey {
    if prefix.is_some() && per != ApiKey::SourcePrefix {
        checks.refuse(path, "prefix is of no use here: write per: SourcePrefix, or remove prefix");
    }
    let length = |found: Option<u8>, default, most, name, checks: &mut Checks| {
        let length = found.unwrap_or(default);
        in_range(length.into(), 0, most, &format!("{path}.prefix.{name}"), checks);
        length
    };
    match per {
        ApiKey::Rule => LimitKey::Rule,
        ApiKey::Source => LimitKey::Source,
        ApiKey::Destination => LimitKey::Destination,
        ApiKey::SourceMac => LimitKey::SourceMac,
        ApiKey::SourcePrefix => {
            let PrefixLengths { ipv4, ipv6 } = prefix.cloned().unwrap_or_default();
            LimitKey::SourcePrefix {
                v4: length(ipv4, PrefixLengths::DEFAULT_IPV4, 32, "ipv4", checks),
                v6: length(ipv6, PrefixLengths::DEFAULT_IPV6, 128, "ipv6", checks),
            }
        }
    }
}
