//! XdpAddressSet.

use std::collections::BTreeSet;
use std::time::Duration;

use sluice_crds::{
    ConfigMapList, Feed as ApiFeed, FeedFormat, FeedInterval, FeedUrl, Kind, ListFile, MAX_FEED_BYTES,
    MAX_SET_CONFIG_MAPS, MAX_SET_ENTRIES, MAX_SET_EXCEPT, MAX_SET_FEEDS, MAX_SET_FILES, MAX_SET_NAMES,
    Percent, SetEntry as ApiEntry, SetName, XdpAddressSet, XdpAddressSetSpec,
};
use sluice_policy::{Feed, ListFormat, ListRef, ObjectRef, SetDefinition, SetEntry};

use crate::addresses::prefix;
use crate::balancer::duration;
use crate::filter::check_name;
use crate::moment::moment;
use crate::refusal::{Checks, Refusal};

/// # Errors
/// Everything that is wrong with the object.
pub fn admit_address_set(found: &XdpAddressSet) -> Result<SetDefinition, Vec<Refusal>> {
    let object = ObjectRef {
        kind: Kind::XdpAddressSet.name().to_owned(),
        namespace: String::new(),
        name: found.metadata.name.clone().unwrap_or_default(),
        uid: found.metadata.uid.clone().unwrap_or_default(),
        generation: found.metadata.generation.unwrap_or_default(),
    };
    let mut checks = Checks::new(object.clone());
    check_name(&object.name, &mut checks);
    // Without `..`: a new field does not compile until it is looked at.
    let XdpAddressSetSpec { entries, config_maps, files, feeds, sets, except } = &found.spec;
    checks.at_most(entries.len(), MAX_SET_ENTRIES, "spec.entries");
    checks.at_most(config_maps.len(), MAX_SET_CONFIG_MAPS, "spec.configMaps");
    checks.at_most(files.len(), MAX_SET_FILES, "spec.files");
    checks.at_most(feeds.len(), MAX_SET_FEEDS, "spec.feeds");
    checks.at_most(except.len(), MAX_SET_EXCEPT, "spec.except");
    unique(files.iter().map(ListFile::as_str), "spec.files", &mut checks);
    unique(feeds.iter().map(|feed| feed.url.as_str()), "spec.feeds", &mut checks);
    unique(sets.iter().map(SetName::as_str), "spec.sets", &mut checks);
    let mut lists = Vec::new();
    for (index, wanted) in config_maps.iter().enumerate() {
        lists.push(config_map(wanted, &format!("spec.configMaps[{index}]"), &mut checks));
    }
    for (index, wanted) in files.iter().enumerate() {
        lists.extend(file(wanted, &format!("spec.files[{index}]"), &mut checks));
    }
    for (index, wanted) in feeds.iter().enumerate() {
        lists.push(ListRef::Feed(feed(wanted, &format!("spec.feeds[{index}]"), &mut checks)));
    }
    let except = except.iter().enumerate().filter_map(|(index, cidr)| {
        let refuse = |message| checks.refuse(format!("spec.except[{index}]"), message);
        prefix(cidr.as_str()).map_err(refuse).ok()
    });
    let except = except.collect();
    let entries = entries.iter().enumerate();
    let definition = SetDefinition {
        object,
        entries: entries.filter_map(|(index, found)| entry(found, index, &mut checks)).collect(),
        lists,
        sets: set_names(sets, "spec.sets", &mut checks),
        except,
    };
    checks.finish(definition)
}

/// Also those of a rule.
pub(crate) fn set_names(found: &[SetName], path: &str, checks: &mut Checks) -> Vec<String> {
    checks.at_most(found.len(), MAX_SET_NAMES, path);
    for (index, name) in found.iter().enumerate() {
        if !is_name(name.as_str(), 63) {
            let message = format!(
                "\"{name}\" cannot be an XdpAddressSet: write a name of lower-case letters, digits, - and ."
            );
            checks.refuse(format!("{path}[{index}]"), message);
        }
    }
    found.iter().map(|name| name.as_str().to_owned()).collect()
}

fn is_name(name: &str, longest: usize) -> bool {
    let outer = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    !name.is_empty()
        && name.len() <= longest
        && bytes.iter().all(|byte| outer(*byte) || matches!(byte, b'-' | b'.'))
        && [bytes.first(), bytes.last()].into_iter().flatten().all(|byte| outer(*byte))
}

fn unique<'a>(found: impl Iterator<Item = &'a str>, path: &str, checks: &mut Checks) {
    let mut seen = BTreeSet::new();
    for (index, text) in found.enumerate() {
        if !seen.insert(text) {
            checks.refuse(
                format!("{path}[{index}]"),
                format!("\"{text}\" is there twice: remove one of the two"),
            );
        }
    }
}

fn entry(found: &ApiEntry, index: usize, checks: &mut Checks) -> Option<SetEntry> {
    let path = format!("spec.entries[{index}]");
    let ApiEntry { cidr, comment, expires_at } = found;
    if comment.as_ref().is_some_and(|text| text.chars().count() > 128) {
        checks.refuse(format!("{path}.comment"), "is longer than 128 characters: shorten it");
    }
    let expires = moment(expires_at.as_ref(), &format!("{path}.expiresAt"), checks);
    let prefix =
        prefix(cidr.as_str()).map_err(|message| checks.refuse(format!("{path}.cidr"), message)).ok()?;
    Some(SetEntry { prefix, expires })
}

fn config_map(found: &ConfigMapList, path: &str, checks: &mut Checks) -> ListRef {
    let ConfigMapList { namespace, name, key } = found.clone();
    checks.label(&namespace, &format!("{path}.namespace"));
    if !is_name(&name, 253) {
        let message =
            format!("\"{name}\" cannot be a ConfigMap: write a name of lower-case letters, digits, - and .");
        checks.refuse(format!("{path}.name"), message);
    }
    if key.as_ref().is_some_and(|key| key.is_empty() || key.len() > 253) {
        checks.refuse(format!("{path}.key"), "cannot be a key of a ConfigMap: write 1 to 253 characters");
    }
    ListRef::ConfigMap { namespace, name, key }
}

fn file(found: &ListFile, path: &str, checks: &mut Checks) -> Option<ListRef> {
    let text = found.as_str();
    let outside = text.starts_with('/') || text.split('/').any(|part| part == "..");
    if text.is_empty() || text.len() > 255 || outside {
        let message = format!(
            "\"{text}\" is not below the folder of this file: write a path from there on, as lists/scanners.txt"
        );
        checks.refuse(path, message);
        return None;
    }
    Some(ListRef::File(text.to_owned()))
}

fn feed(found: &ApiFeed, path: &str, checks: &mut Checks) -> Feed {
    let ApiFeed { url, format, interval, timeout, max_bytes, min_entries, max_shrink } = found;
    check_url(url, &format!("{path}.url"), checks);
    let bytes = max_bytes.unwrap_or(ApiFeed::DEFAULT_MAX_BYTES);
    if bytes == 0 || bytes > MAX_FEED_BYTES {
        let message = format!("{bytes} is out of range: write a number from 1 to {MAX_FEED_BYTES}");
        checks.refuse(format!("{path}.maxBytes"), message);
    }
    let interval = interval.clone().unwrap_or_else(|| ApiFeed::DEFAULT_INTERVAL.into());
    let timeout = timeout.clone().unwrap_or_else(|| ApiFeed::DEFAULT_TIMEOUT.into());
    let max_shrink = max_shrink.clone().unwrap_or_else(|| ApiFeed::DEFAULT_MAX_SHRINK.into());
    Feed {
        url: url.as_str().to_owned(),
        format: match format.unwrap_or_default() {
            FeedFormat::Plain => ListFormat::Plain,
            FeedFormat::SpamhausJson => ListFormat::SpamhausJson,
        },
        interval: feed_interval(&interval, &format!("{path}.interval"), checks),
        timeout: duration(&timeout, &format!("{path}.timeout"), checks).unwrap_or_default(),
        max_bytes: bytes,
        min_entries: u64::from(min_entries.unwrap_or(ApiFeed::DEFAULT_MIN_ENTRIES)),
        max_shrink: percent(&max_shrink, &format!("{path}.maxShrink"), checks),
    }
}

fn check_url(found: &FeedUrl, path: &str, checks: &mut Checks) {
    let text = found.as_str();
    let message = || {
        format!("\"{text}\" is not where a feed can be: write an address as https://feeds.example/drop.txt")
    };
    let Ok(url) = url::Url::parse(text) else { return checks.refuse(path, message()) };
    let web = matches!(url.scheme(), "http" | "https") && url.has_host();
    checks.require(web && text.len() <= 1024, path, &message());
    let bare = url.username().is_empty() && url.password().is_none();
    let message =
        "credentials do not belong into an object that many may read: remove what stands before the @";
    checks.require(bare, path, message);
}

fn feed_interval(found: &FeedInterval, path: &str, checks: &mut Checks) -> Duration {
    let Some(parsed) = found.to_std().filter(|_| !found.as_str().contains("ms")) else {
        let message = format!("\"{found}\" is not a length of time: write \"30m\", \"1h\" or \"24h\"");
        checks.refuse(path, message);
        return Duration::ZERO;
    };
    let week = Duration::from_secs(168 * 3600);
    let message = format!("\"{found}\" is out of range: write a time from 10s to 168h");
    checks.require((Duration::from_secs(10)..=week).contains(&parsed), path, &message);
    parsed
}

fn percent(found: &Percent, path: &str, checks: &mut Checks) -> u8 {
    let number =
        found.as_str().strip_suffix('%').filter(|text| *text == "0" || !text.starts_with(['0', '+']));
    let parsed = number.and_then(|text| text.parse().ok()).filter(|number| *number <= 100);
    if parsed.is_none() {
        checks.refuse(path, format!("\"{found}\" is not a share: write 0% to 100%"));
    }
    parsed.unwrap_or_default()
}
