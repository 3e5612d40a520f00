//! From bytes that are right to bytes that are nearly so.

use rand::Rng;
use rand::rngs::StdRng;

/// One to six changes, of the kinds that break decoders: lengths that promise too much, ends that come too early, parts
/// that come twice or from elsewhere.
pub fn mutated(random: &mut StdRng, example: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = example.to_vec();
    for _ in 0..random.random_range(1..=6) {
        let at = random.random_range(0..=bytes.len());
        match random.random_range(0..8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..at, LENGTHS[random.random_range(0..LENGTHS.len())].iter().copied())),
            2 => {
                let other = &others[random.random_range(0..others.len())];
                bytes.splice(at.., other[at.min(other.len())..].iter().copied());
            }
            3 => {
                let end = (at + random.random_range(0..64)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            4 => drop(bytes.drain(at..(at + random.random_range(0..9)).min(bytes.len()))),
            5 => bytes.insert(at, random.random()),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = match random.random_range(0..4) {
                        0 => 0,
                        1 => 0xff,
                        2 => byte.wrapping_add(1),
                        _ => *byte ^ (1 << random.random_range(0..8)),
                    };
                }
            }
        }
    }
    bytes
}

/// As varints (postcard, protobuf), as DER and as text.
const LENGTHS: [&[u8]; 8] = [
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x80, 0x80, 0x80, 0x80, 0x10],
    &[0xff, 0xff, 0x7f],
    &[0x84, 0xff, 0xff, 0xff, 0xff],
    &[0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    b"99999999999999999999",
    b"/0\n",
];
