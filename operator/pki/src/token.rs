//! Join tokens of directory mode: `NODE.HEX`, where HEX is when it ends (8 bytes of Unix seconds, big-endian), a number drawn
//! for it (16 bytes), and HMAC-SHA256 over both and the node's name (32 bytes).
//!
//! Whether a token was used before is not in it: who takes it must remember its number until it ends.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::hmac;

use crate::{NodeName, PkiError};

/// Makes and checks tokens with one secret key.
#[derive(Clone)]
pub struct Tokens(hmac::Key);

/// What a token says that is this operator's and not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// That it lets in.
    pub node: NodeName,
    /// No other token has it.
    pub number: [u8; 16],
    pub until: SystemTime,
}

impl Tokens {
    /// For a token on its way from a terminal to a node.
    pub const VALIDITY: Duration = Duration::from_secs(15 * 60);

    pub fn new(key: &[u8; 32]) -> Tokens {
        Tokens(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// A new one, good until then.
    pub fn token(&self, node: &NodeName, until: SystemTime) -> String {
        let until = until.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let head = [until.to_be_bytes().as_slice(), &rand::random::<[u8; 16]>()].concat();
        let tag = hmac::sign(&self.0, &signed(&head, node));
        format!("{node}.{}{}", hex::encode(head), hex::encode(tag))
    }

    /// The comparison takes the same time whatever differs.
    pub fn check(&self, token: &str, now: SystemTime) -> Result<Ticket, PkiError> {
        let (node, rest) = split(token).ok_or(PkiError::Token)?;
        let node = NodeName::parse(node).map_err(|_| PkiError::Token)?;
        let rest = hex::decode(rest).map_err(|_| PkiError::Token)?;
        let (head, tag) = rest.split_at_checked(HEAD).ok_or(PkiError::Token)?;
        hmac::verify(&self.0, &signed(head, &node), tag).map_err(|_| PkiError::Token)?;
        let (until, number) = head.split_first_chunk().ok_or(PkiError::Token)?;
        let until = Duration::from_secs(u64::from_be_bytes(*until));
        let number = number.try_into().map_err(|_| PkiError::Token)?;
        let until = UNIX_EPOCH.checked_add(until).ok_or(PkiError::Token)?;
        if until <= now {
            return Err(PkiError::TokenOver { node: node.to_string() });
        }
        Ok(Ticket { node, number, until })
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(…)")
    }
}

/// The name in a token, not checked: for messages only.
pub fn node_claimed_by(token: &str) -> Option<&str> {
    split(token).map(|(node, _)| node)
}

/// A node's name may have dots, what follows it has none.
fn split(token: &str) -> Option<(&str, &str)> {
    token.trim().rsplit_once('.')
}

/// The head has one length, so that nothing of it can become a part of the name.
fn signed(head: &[u8], node: &NodeName) -> Vec<u8> {
    [head, node.as_str().as_bytes()].concat()
}

const HEAD: usize = 8 + 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_lets_in_its_node_and_no_other() {
        let tokens = Tokens::new(&[7; 32]);
        let node = NodeName::parse("edge.eu-1").unwrap();
        let token = tokens.token(&node, at(1000));
        let ticket = tokens.check(&token, at(999)).unwrap();
        assert_eq!((&ticket.node, ticket.until), (&node, at(1000)));
        assert_eq!(tokens.check(&format!(" {token}\n"), at(0)).unwrap(), ticket, "read from a file");
        let (_, rest) = token.rsplit_once('.').unwrap();
        let flipped = |index: usize| {
            let mut hex: Vec<char> = rest.chars().collect();
            hex[index] = if hex[index] == '0' { '1' } else { '0' };
            format!("edge.eu-1.{}", hex.into_iter().collect::<String>())
        };
        let every_digit: Vec<String> = (0..rest.len()).map(flipped).collect();
        let others = ["", "edge.eu-1", "edge.eu-1.", &format!("edge.eu-2.{rest}"), &token[..token.len() - 2]];
        for forged in every_digit.iter().map(String::as_str).chain(others) {
            assert!(matches!(tokens.check(forged, at(0)), Err(PkiError::Token)), "{forged}");
        }
        assert!(Tokens::new(&[8; 32]).check(&token, at(0)).is_err(), "another operator's key");
    }

    #[test]
    fn a_token_ends_and_no_two_are_the_same() {
        let tokens = Tokens::new(&[7; 32]);
        let node = NodeName::parse("edge-1").unwrap();
        let token = tokens.token(&node, at(1000));
        assert!(matches!(tokens.check(&token, at(1000)), Err(PkiError::TokenOver { .. })));
        let other = tokens.token(&node, at(1000));
        let number = |token: &str| tokens.check(token, at(0)).unwrap().number;
        assert_ne!(number(&token), number(&other));
    }
}
