//! Ethernet addresses and their masks.

use sluice_crds::{MAX_FEW_ENTRIES, MacAddress};
use sluice_policy::MacMatch;

use crate::refusal::Checks;

pub(crate) fn macs(found: &[MacAddress], path: &str, checks: &mut Checks) -> Vec<MacMatch> {
    checks.at_most(found.len(), MAX_FEW_ENTRIES, path);
    let parsed = found.iter().enumerate().filter_map(|(index, text)| {
        mac(text).map_err(|message| checks.refuse(format!("{path}[{index}]"), message)).ok()
    });
    parsed.collect()
}

fn mac(text: &MacAddress) -> Result<MacMatch, String> {
    let Some((address, mask)) = text.parse() else {
        return Err(format!(
            "\"{text}\" is not an Ethernet address: write \"02:00:00:00:00:01\", or \
             \"02:00:5e:00:00:00/ff:ff:ff:00:00:00\" with a mask"
        ));
    };
    let found = MacMatch { address, mask };
    let within: [u8; 6] = std::array::from_fn(|octet| address[octet] & mask[octet]);
    if within != address {
        return Err(format!(
            "\"{text}\" has bits outside its mask: write {}/{}",
            written(within),
            written(mask)
        ));
    }
    if mask == [0; 6] {
        return Err(format!("\"{text}\" matches every address: remove it, or write a mask with bits"));
    }
    if found.ranges() > MacMatch::MOST_RANGES {
        return Err(format!(
            "\"{text}\" stands for {} separate ranges of addresses, and at most {} are looked up: set more of the mask's \
             upper bits, or match with payload from L2",
            found.ranges(),
            MacMatch::MOST_RANGES
        ));
    }
    Ok(found)
}

fn written(octets: [u8; 6]) -> String {
    octets.map(|octet| format!("{octet:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_mask_or_none() {
        let admitted = |text| mac(&MacAddress::from(text)).expect(text);
        assert_eq!(admitted("02:00:00:00:00:0A").mask, [0xff; 6]);
        assert_eq!(admitted("02:00:5e:00:00:00/ff:ff:ff:00:00:00").ranges(), 1);
        assert_eq!(admitted("01:00:00:00:00:00/01:00:00:00:00:00").ranges(), 128);
        assert_eq!(admitted("00:00:00:00:00:01/ff:ff:ff:ff:fc:01").ranges(), 512);
    }

    #[test]
    fn other_masks_are_refused_with_what_to_write() {
        for (text, part) in [
            ("02:00:00:00:00", "is not an Ethernet address"),
            ("02:00:00:00:00:01:02", "is not an Ethernet address"),
            ("02-00-00-00-00-01", "is not an Ethernet address"),
            ("02:00:00:00:00:+1", "is not an Ethernet address"),
            ("02:00:00:00:00:01/ff", "is not an Ethernet address"),
            ("02:00:5e:00:00:01/ff:ff:ff:00:00:00", "write 02:00:5e:00:00:00/ff:ff:ff:00:00:00"),
            ("00:00:00:00:00:00/00:00:00:00:00:00", "matches every address"),
            ("00:00:00:00:00:01/ff:ff:ff:ff:f0:01", "2048 separate ranges of addresses, and at most 1024"),
            ("00:00:00:00:00:01/00:00:00:00:00:01", "140737488355328 separate ranges"),
        ] {
            let said = mac(&MacAddress::from(text)).expect_err(text);
            assert!(said.contains(part), "{said}");
        }
    }
}
