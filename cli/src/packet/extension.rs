//! IPv6 extension headers (RFC 8200), and AH, which IPv4 has as well.

use super::Behind;
use super::ip::fragment_offset;
use super::layer::Layer;

pub fn header(layer: &mut Layer, behind: &Behind) -> Result<Behind, String> {
    let next = match layer.given_number("next")? {
        Some(number) => number,
        None => behind.protocol()?,
    };
    let (number, rest) = match layer.name.as_str() {
        "hbh" => (0, eights(layer)?),
        "routing" => (43, eights(layer)?),
        "frag" => (44, fragment(layer)?),
        "ah" => (51, [&[4, 0, 0][..], &[0; 20]].concat()),
        _ => (60, eights(layer)?),
    };
    Ok(Behind {
        bytes: [&[next][..], &rest, &behind.bytes].concat(),
        protocol: Some(number),
        ..Behind::default()
    })
}

/// Length in eights beyond the first, then data, filled up with zeros, which are options of one byte (Pad1).
fn eights(layer: &mut Layer) -> Result<Vec<u8>, String> {
    let mut data = layer.bytes("data")?;
    let length = (data.len() + 2).next_multiple_of(8);
    data.resize(length - 2, 0);
    let eights = u8::try_from(length / 8 - 1).map_err(|_| "data: at most 2046 bytes fit in: write fewer")?;
    Ok([&[eights][..], &data].concat())
}

fn fragment(layer: &mut Layer) -> Result<Vec<u8>, String> {
    let offset = fragment_offset(layer.number("offset", 0)?)?.value();
    let field = offset << 3 | layer.below("more", 1)?;
    let id = layer.number("id", 1u32)?;
    Ok([&[0][..], &field.to_be_bytes(), &id.to_be_bytes()].concat())
}
