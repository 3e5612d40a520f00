//! The cut into shards: by contents alone, and so that little moves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use sluice_address_set::{AddressSet, Damaged, MAX_PREFIXES, Manifest, SHARD_PREFIXES, Shard};
use sluice_plan::Hash;

/// `n` prefixes of each family that do not collapse.
fn many(n: u32) -> Vec<IpNet> {
    let scatter = |i: u32| i.wrapping_mul(0x9e37_79b1);
    let v4 = (0..n)
        .map(|i| Ipv4Net::new(Ipv4Addr::from(scatter(i) & !1), 32).expect("a length of this family").into());
    let v6 = (0..n).map(|i| {
        let high = 0x2001_0db8u128 << 96 | u128::from(scatter(i)) << 64;
        Ipv6Net::new(Ipv6Addr::from(high), 64 - (i % 9) as u8)
            .expect("a length of this family")
            .trunc()
            .into()
    });
    v4.chain(v6).collect()
}

fn by_hash(shards: Vec<Shard>) -> BTreeMap<Hash, Bytes> {
    shards.into_iter().map(|shard| (shard.hash, shard.bytes)).collect()
}

fn rebuilt(manifest: &Manifest, shards: &BTreeMap<Hash, Bytes>) -> Result<AddressSet, Damaged> {
    AddressSet::from_shards(manifest, |hash| shards.get(&hash).cloned())
}

#[test]
fn a_set_comes_back_from_its_shards() {
    for n in [0, 1, SHARD_PREFIXES as u32 / 2, 10_000] {
        let set = AddressSet::collect(many(n));
        let (manifest, shards) = set.shards();
        assert_eq!((manifest.v4 as usize, manifest.v6 as usize), (set.v4().len(), set.v6().len()));
        assert_eq!(manifest.shards.is_empty(), n == 0);
        assert!(shards.iter().all(|shard| Hash::of(&shard.bytes) == shard.hash));
        let manifest = Manifest::decode(&manifest.encode()).unwrap();
        assert_eq!(rebuilt(&manifest, &by_hash(shards)), Ok(set));
    }
    let everything: AddressSet =
        ["0.0.0.0/0", "::/0"].iter().map(|net| net.parse::<IpNet>().unwrap()).collect();
    let (manifest, shards) = everything.shards();
    assert_eq!(rebuilt(&manifest, &by_hash(shards)), Ok(everything));
}

#[test]
fn the_order_of_writing_does_not_matter() {
    let mut nets = many(5_000);
    let before = AddressSet::collect(nets.clone()).shards();
    nets.reverse();
    assert_eq!(AddressSet::collect(nets).shards(), before);
}

#[test]
fn one_prefix_moves_one_shard() {
    let mut nets = many(20_000);
    let (_, before) = AddressSet::collect(nets.clone()).shards();
    let before = by_hash(before);
    assert!(before.len() > 10, "{}", before.len());
    nets.push("203.0.113.77/32".parse().unwrap());
    let (_, after) = AddressSet::collect(nets).shards();
    let after = by_hash(after);
    let gone = before.keys().filter(|hash| !after.contains_key(hash)).count();
    let new: BTreeSet<_> = after.keys().filter(|hash| !before.contains_key(hash)).collect();
    assert_eq!(gone, 1);
    assert!((1..=2).contains(&new.len()), "{new:?}");
}

#[test]
fn shards_are_small() {
    let (_, shards) = AddressSet::collect(many(50_000)).shards();
    for shard in shards {
        assert!(shard.bytes.len() <= SHARD_PREFIXES * 17, "{} bytes", shard.bytes.len());
    }
}

#[test]
fn damage_is_noticed() {
    let (manifest, shards) = AddressSet::collect(many(3_000)).shards();
    let shards = by_hash(shards);
    let first = manifest.shards[0];

    let mut missing = shards.clone();
    missing.remove(&first);
    assert_eq!(rebuilt(&manifest, &missing), Err(Damaged::Missing(first)));

    for cut in 1..=4 {
        let mut short = shards.clone();
        let bytes = short.get_mut(&first).unwrap();
        bytes.truncate(bytes.len() - cut);
        assert!(rebuilt(&manifest, &short).is_err(), "{cut} bytes cut off");
    }

    let mut other = shards.clone();
    let flipped: Vec<u8> =
        shards[&first].iter().enumerate().map(|(i, byte)| byte ^ u8::from(i == 1)).collect();
    other.insert(first, flipped.into());
    assert_eq!(rebuilt(&manifest, &other), Err(Damaged::NotCanonical));

    let mut reordered = manifest.clone();
    reordered.shards.swap(0, 1);
    assert_eq!(rebuilt(&reordered, &shards), Err(Damaged::NotCanonical));

    let miscounted = Manifest { v4: manifest.v4 + 1, ..manifest.clone() };
    assert_eq!(rebuilt(&miscounted, &shards), Err(Damaged::NotCanonical));

    let nonsense = BTreeMap::from([(first, Bytes::from_static(&[40, 1, 2, 3, 4, 5]))]);
    let manifest = Manifest { shards: vec![first], v4: 1, v6: 0 };
    assert_eq!(rebuilt(&manifest, &nonsense), Err(Damaged::Shard(first)));
}

/// The set behind `after`, from `before` and what only one of the two has.
fn followed(before: &AddressSet, after: &AddressSet) -> Result<AddressSet, Damaged> {
    let ((from, old), (to, new)) = (before.shards(), after.shards());
    let all = by_hash(old.into_iter().chain(new).collect());
    before.follow(&from, &to, |hash| {
        assert!(from.shards.contains(&hash) != to.shards.contains(&hash), "a shard of both was asked for");
        all.get(&hash)
    })
}

#[test]
fn a_set_follows_another_by_what_changed() {
    let nets = many(6_000);
    let whole = AddressSet::collect(nets.clone());
    let removed: AddressSet = nets.iter().copied().skip(1).collect();
    let added = whole.union(&["203.0.113.77/32".parse::<IpNet>().unwrap()].into_iter().collect());
    let empty = AddressSet::default();
    let sets = [&whole, &removed, &added, &empty];
    for (before, after) in sets.iter().flat_map(|before| sets.iter().map(move |after| (before, after))) {
        assert_eq!(followed(before, after).as_ref(), Ok(*after));
    }
}

#[test]
fn damage_is_noticed_on_the_way_to_the_next_set() {
    let nets = many(6_000);
    let (before, after) =
        (AddressSet::collect(nets.clone()), nets.iter().copied().skip(1).collect::<AddressSet>());
    let ((from, old), (to, new)) = (before.shards(), after.shards());
    let all = by_hash(old.into_iter().chain(new).collect());
    let changed = *to.shards.iter().find(|hash| !from.shards.contains(hash)).unwrap();
    let with = |bytes: Option<Bytes>, to: &Manifest| {
        before.follow(&from, to, |hash| if hash == changed { bytes.clone() } else { all.get(&hash).cloned() })
    };
    assert_eq!(with(None, &to), Err(Damaged::Missing(changed)));
    assert_eq!(with(Some(Bytes::from_static(&[32, 1, 2, 3, 4])), &to), Err(Damaged::Shard(changed)));
    let sound = all.get(&changed).cloned();
    assert_eq!(with(sound.clone(), &Manifest { v6: 7, ..to.clone() }), Err(Damaged::NotCanonical));
    // Shards of a set that this one is not.
    assert_eq!(after.follow(&from, &to, |hash| all.get(&hash)), Err(Damaged::NotCanonical));
    assert!(with(sound, &to).is_ok());
}

#[test]
fn a_manifest_is_bounded() {
    let manifest = Manifest { shards: Vec::new(), v4: MAX_PREFIXES as u32, v6: 1 };
    let error = Manifest::decode(&manifest.encode()).unwrap_err();
    assert_eq!(error, Damaged::TooLarge { found: MAX_PREFIXES as u64 + 1, limit: MAX_PREFIXES });
    let mut padded = Manifest::default().encode();
    padded.push(0);
    assert!(Manifest::decode(&padded).is_err());
}
