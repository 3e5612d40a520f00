//! The bytes of an answer, within bounds.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use crate::fetch::FetchError;

const GZIP: &[u8] = &[0x1f, 0x8b];

/// Whole, and unpacked if it is gzip, as the encoding of the transfer or as the file itself.
pub async fn read(mut body: Incoming, limit: u64) -> Result<Vec<u8>, FetchError> {
    if body.size_hint().lower() > limit {
        return Err(FetchError::TooLarge { limit });
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if bytes.len() as u64 + data.len() as u64 > limit {
            return Err(FetchError::TooLarge { limit });
        }
        bytes.extend_from_slice(&data);
    }
    if bytes.starts_with(GZIP) { unpack(&bytes, limit) } else { Ok(bytes) }
}

/// A few packed bytes may be gigabytes: no more of them is made than is allowed.
fn unpack(bytes: &[u8], limit: u64) -> Result<Vec<u8>, FetchError> {
    let mut unpacked = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(limit + 1).read_to_end(&mut unpacked);
    read.map_err(|error| FetchError::Gzip(error.to_string()))?;
    if unpacked.len() as u64 > limit { Err(FetchError::TooLarge { limit }) } else { Ok(unpacked) }
}
