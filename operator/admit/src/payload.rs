//! Bytes at fixed places of a packet.

use sluice_crds::{MAX_PAYLOADS, PayloadLayer, PayloadMatch as ApiPayload};
use sluice_policy::{Layer, PayloadMatch};

use crate::refusal::Checks;

pub(crate) fn payloads(found: &[ApiPayload], path: &str, checks: &mut Checks) -> Vec<PayloadMatch> {
    checks.at_most(found.len(), MAX_PAYLOADS, path);
    let admitted = found.iter().enumerate();
    admitted.filter_map(|(index, one)| payload(one, &format!("{path}[{index}]"), checks)).collect()
}

fn payload(found: &ApiPayload, path: &str, checks: &mut Checks) -> Option<PayloadMatch> {
    let ApiPayload { from, offset, value, mask } = found;
    if *offset > ApiPayload::MAX_OFFSET {
        let message =
            format!("{offset} is out of range: write a number from 0 to {}", ApiPayload::MAX_OFFSET);
        checks.refuse(format!("{path}.offset"), message);
    }
    let mut bytes = |text: &sluice_crds::HexBytes, name: &str| {
        text.bytes().map_err(|message| checks.refuse(format!("{path}.{name}"), message)).ok()
    };
    let value = bytes(value, "value");
    let mask = match mask {
        Some(mask) => bytes(mask, "mask"),
        None => value.as_ref().map(|value| vec![0xff; value.len()]),
    };
    let (value, mask) = (value?, mask?);
    if mask.len() != value.len() {
        let message = "mask and value are not of the same length: write as many bytes of mask as of value, or remove mask";
        checks.refuse(path, message);
        return None;
    }
    if mask.iter().all(|byte| *byte == 0) {
        checks.refuse(
            format!("{path}.mask"),
            "no bit of it counts: write the bits that do, or remove the entry",
        );
    }
    let within: Vec<u8> = value.iter().zip(&mask).map(|(value, mask)| value & mask).collect();
    if within != value {
        let message = format!("{} has bits outside its mask: write {}", written(&value), written(&within));
        checks.refuse(format!("{path}.value"), message);
    }
    Some(PayloadMatch { from: layer(*from), offset: *offset, value, mask })
}

fn layer(from: PayloadLayer) -> Layer {
    match from {
        PayloadLayer::L2 => Layer::L2,
        PayloadLayer::L3 => Layer::L3,
        PayloadLayer::L4 => Layer::L4,
        PayloadLayer::Payload => Layer::Payload,
    }
}

fn written(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"0x{digits}\"")
}

#[cfg(test)]
mod tests {
    use sluice_policy::ObjectRef;

    use super::*;

    fn admitted(value: &str, mask: Option<&str>, offset: u16) -> Result<Vec<PayloadMatch>, Vec<String>> {
        let found =
            ApiPayload { from: PayloadLayer::L4, offset, value: value.into(), mask: mask.map(Into::into) };
        let mut checks = Checks::new(ObjectRef::default());
        let made = payloads(&[found], "match.payload", &mut checks);
        checks.finish(made).map_err(|refusals| {
            refusals.into_iter().map(|refusal| format!("{}: {}", refusal.path, refusal.message)).collect()
        })
    }

    #[test]
    fn bytes_are_masked() {
        let one = admitted("0x17Ab", None, 1500).expect("good").remove(0);
        assert_eq!((one.value, one.mask), (vec![0x17, 0xab], vec![0xff; 2]));
        let masked = admitted("0x1700", Some("0xff00"), 0).expect("good").remove(0);
        assert_eq!((masked.value, masked.mask), (vec![0x17, 0], vec![0xff, 0]));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_to_write() {
        let long = format!("0x{}", "00".repeat(17));
        for (value, mask, offset, expected) in [
            ("1700", None, 0, "match.payload[0].value: \"1700\" are no bytes: write 0x and 1 to 16 pairs"),
            ("0x170", None, 0, "match.payload[0].value: \"0x170\" are no bytes"),
            ("0x", None, 0, "match.payload[0].value: \"0x\" are no bytes"),
            ("0x+1", None, 0, "are no bytes"),
            (&long, None, 0, "are no bytes"),
            ("0x17", Some("0xfg"), 0, "match.payload[0].mask: \"0xfg\" are no bytes"),
            ("0x1700", Some("0xff"), 0, "match.payload[0]: mask and value are not of the same length"),
            (
                "0x1723",
                Some("0xff0f"),
                0,
                "match.payload[0].value: \"0x1723\" has bits outside its mask: write \"0x1703\"",
            ),
            ("0x00", Some("0x00"), 0, "match.payload[0].mask: no bit of it counts"),
            (
                "0x17",
                None,
                1501,
                "match.payload[0].offset: 1501 is out of range: write a number from 0 to 1500",
            ),
        ] {
            let said = admitted(value, mask, offset).expect_err(value);
            assert!(said[0].contains(expected), "{said:?}");
        }
    }
}
