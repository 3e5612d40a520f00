//! Large messages in parts.

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};
use sluice_proto::v1::Part;
use tonic::{Status, Streaming};

/// Far below what either side takes as one message.
const PART: usize = 1 << 20;
/// More than any snapshot: a bound on what a replica that went mad can do to another.
const LARGEST: usize = 1 << 30;

pub fn parts(mut message: Bytes) -> impl Stream<Item = Part> + Send + 'static {
    let mut parts = Vec::with_capacity(message.len() / PART + 1);
    while message.len() > PART {
        parts.push(message.split_to(PART));
    }
    parts.push(message);
    stream::iter(parts).map(|bytes| Part { bytes })
}

pub async fn whole(mut parts: Streaming<Part>) -> Result<Bytes, Status> {
    let Some(first) = parts.message().await? else { return Ok(Bytes::new()) };
    let Some(second) = parts.message().await? else { return Ok(first.bytes) };
    let mut whole = BytesMut::from(first.bytes);
    let mut next = Some(second);
    while let Some(part) = next {
        if whole.len() + part.bytes.len() > LARGEST {
            return Err(Status::resource_exhausted("the message is too large"));
        }
        whole.extend_from_slice(&part.bytes);
        next = parts.message().await?;
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_where_it_must_be() {
        for (length, expected) in [(0, vec![0]), (PART, vec![PART]), (PART + 1, vec![PART, 1])] {
            let cut = parts(vec![7; length].into()).map(|part| part.bytes.len()).collect::<Vec<_>>();
            assert_eq!(futures::executor::block_on(cut), expected);
        }
    }
}
