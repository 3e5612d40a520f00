//! Ethernet addresses and types.

use sluice_policy::MacMatch;

pub fn is_mac(wanted: &[MacMatch], own: Option<[u8; 6]>) -> bool {
    let fits = |wanted: &MacMatch, own: [u8; 6]| {
        let mut octets = own.into_iter().zip(wanted.mask).zip(wanted.address);
        octets.all(|((own, mask), address)| own & mask == address)
    };
    own.is_some_and(|own| wanted.iter().any(|wanted| fits(wanted, own)))
}

pub fn is_type(wanted: &[u16], own: Option<u16>) -> bool {
    own.is_some_and(|own| wanted.contains(&own))
}
