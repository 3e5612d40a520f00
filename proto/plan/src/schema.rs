//! The encodings of a plan: the newest, and the one of the version before, so that operator and agents are updated one
//! after the other.

use std::fmt;

use serde::Serialize;

use crate::encoding::{DecodeError, Hash, decode, encode};
use crate::{Balancers, Failsafe, Filters, NodePlan};

/// Numbers an encoding: a reader of another one would misread it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Schema {
    /// Knows no [`NodePlan::confirm_ms`].
    V2 = 2,
    #[default]
    V3 = 3,
}

impl Schema {
    /// That can be read and written, the newest first.
    pub const ALL: [Schema; 2] = [Schema::V3, Schema::V2];
    pub const NEWEST: Schema = Schema::ALL[0];
    /// Of plans whose writer said nothing of their encoding: versions before 3 had but one.
    pub const UNSAID: Schema = Schema::V2;

    /// As messages and signatures have it.
    pub fn number(self) -> u32 {
        self as u32
    }

    /// None of an encoding that is not known here.
    pub fn numbered(number: u32) -> Option<Schema> {
        Schema::ALL.into_iter().find(|schema| schema.number() == number)
    }

    /// [`Schema::ALL`] as a Hello has them.
    pub fn numbers() -> Vec<u32> {
        Schema::ALL.map(Schema::number).to_vec()
    }

    /// The newest that a reader of these knows; none if it knows none.
    pub fn newest_of(numbers: &[u32]) -> Option<Schema> {
        Schema::ALL.into_iter().find(|schema| numbers.contains(&schema.number()))
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

/// What every encoding has, in this order.
type Common = (Filters, Balancers, Failsafe, Vec<String>);

impl NodePlan {
    /// Canonical, in the plan's own encoding.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_as(self.schema)
    }

    /// Canonical; what the encoding cannot say is not in it.
    pub fn encode_as(&self, schema: Schema) -> Vec<u8> {
        let NodePlan { schema: _, filters, balancers, failsafe, sets, confirm_ms } = self;
        match schema {
            Schema::V2 => canonical((filters, balancers, failsafe, sets)),
            Schema::V3 => canonical((filters, balancers, failsafe, sets, confirm_ms)),
        }
    }

    /// # Errors
    /// Anything but one whole plan in this encoding.
    pub fn decode(schema: Schema, bytes: &[u8]) -> Result<NodePlan, DecodeError> {
        let (filters, balancers, failsafe, sets, confirm_ms) = match schema {
            Schema::V2 => {
                let (filters, balancers, failsafe, sets): Common = decode(bytes)?;
                (filters, balancers, failsafe, sets, 0)
            }
            Schema::V3 => decode(bytes)?,
        };
        Ok(NodePlan { schema, filters, balancers, failsafe, sets, confirm_ms })
    }

    /// Hash of the canonical encoding; names this plan in the protocol, in status and in the agent's store.
    pub fn hash(&self) -> Hash {
        Hash::of(&self.encode())
    }
}

fn canonical(fields: impl Serialize) -> Vec<u8> {
    encode(&fields)
}
