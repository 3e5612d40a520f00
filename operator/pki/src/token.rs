//! Join tokens of directory mode: `NODE.HEX`, where HEX is HMAC-SHA256 of the node's name.

use std::fmt;

use ring::hmac;

use crate::{NodeName, PkiError};

/// Makes and checks tokens with one secret key.
#[derive(Clone)]
pub struct Tokens(hmac::Key);

impl Tokens {
    pub fn new(key: &[u8; 32]) -> Tokens {
        Tokens(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    pub fn token(&self, node: &NodeName) -> String {
        format!("{node}.{}", hex::encode(hmac::sign(&self.0, node.as_str().as_bytes())))
    }

    /// The node that the token lets in. The comparison takes the same time whatever differs.
    pub fn check(&self, token: &str) -> Result<NodeName, PkiError> {
        let (node, tag) = split(token).ok_or(PkiError::Token)?;
        let node = NodeName::parse(node).map_err(|_| PkiError::Token)?;
        let tag = hex::decode(tag).map_err(|_| PkiError::Token)?;
        hmac::verify(&self.0, node.as_str().as_bytes(), &tag).map_err(|_| PkiError::Token)?;
        Ok(node)
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

/// A node's name may have dots, a tag has none.
fn split(token: &str) -> Option<(&str, &str)> {
    token.trim().rsplit_once('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lets_in_its_node_and_no_other() {
        let tokens = Tokens::new(&[7; 32]);
        let node = NodeName::parse("edge.eu-1").unwrap();
        let token = tokens.token(&node);
        assert_eq!(tokens.check(&token).unwrap(), node);
        assert_eq!(tokens.check(&format!(" {token}\n")).unwrap(), node, "read from a file");
        let (_, tag) = token.rsplit_once('.').unwrap();
        let flipped = format!("edge.eu-1.{}{}", if tag.starts_with('0') { '1' } else { '0' }, &tag[1..]);
        for forged in
            ["", "edge.eu-1", "edge.eu-1.", &format!("edge.eu-2.{tag}"), &token[..token.len() - 2], &flipped]
        {
            assert!(matches!(tokens.check(forged), Err(PkiError::Token)), "{forged}");
        }
        assert!(Tokens::new(&[8; 32]).check(&token).is_err(), "another operator's key");
    }
}
