//! What is kept of a feed over a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sluice_address_set::AddressSet;
use sluice_plan::Hash;
use sluice_policy::{Feed, ListFormat};
use sluice_sets::{AddressList, ListState};

use crate::fetch::Validators;
use crate::follow::Known;

/// Last good readings from before, by [`KeptFeed::key`].
#[derive(Debug, Default)]
pub struct Kept(BTreeMap<String, Known>);

/// Beside the addresses themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFeed {
    pub entries: u64,
    pub normalised: u64,
    pub fetched: Option<i64>,
    pub validators: Validators,
    /// Hash of the addresses' manifest.
    pub set: String,
}

impl KeptFeed {
    /// Names what is kept of a feed, whatever its guards.
    pub fn key(feed: &Feed) -> String {
        let format = match feed.format {
            ListFormat::Plain => "plain",
            ListFormat::SpamhausJson => "spamhaus",
        };
        Hash::of(format!("{format} {}", feed.url).as_bytes()).to_hex()[..32].to_owned()
    }

    /// `set` is the hash of the addresses' manifest.
    pub fn of(known: &Known, list: &AddressList, set: Hash) -> KeptFeed {
        KeptFeed {
            entries: list.entries,
            normalised: list.normalised,
            fetched: known.state.fetched,
            validators: known.validators.clone(),
            set: set.to_hex(),
        }
    }
}

impl Kept {
    pub fn get(&self, feed: &Feed) -> Option<&Known> {
        self.0.get(&KeptFeed::key(feed))
    }
}

impl FromIterator<(String, Known)> for Kept {
    fn from_iter<I: IntoIterator<Item = (String, Known)>>(known: I) -> Kept {
        Kept(known.into_iter().collect())
    }
}

/// What was kept, with its addresses.
pub fn read_kept(kept: KeptFeed, addresses: AddressSet) -> Known {
    let KeptFeed { entries, normalised, fetched, validators, set: _ } = kept;
    let list = AddressList { addresses, entries, normalised };
    Known { state: ListState { good: Some(Arc::new(list)), fault: None, fetched }, validators }
}
