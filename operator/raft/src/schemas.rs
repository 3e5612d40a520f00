//! In which encoding each plan is: agreed on beside the plans, so that every replica says the same of their bytes.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sluice_plan::{Hash, Schema, encode};

use crate::{Plan, State};

/// Blob with them.
pub const SCHEMAS: &str = "plan-schemas";

/// Numbers of the encodings, by the hash of the plan: a leader of a version that says none leaves none behind that is
/// wrong of its own plans.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schemas(BTreeMap<Hash, u32>);

impl Schemas {
    pub fn set(&mut self, plan: Hash, schema: u32) {
        self.0.insert(plan, schema);
    }

    pub fn encoded(&self) -> Bytes {
        encode(self).into()
    }
}

impl State {
    /// Number of the encoding of a plan.
    pub fn schema_of(&self, plan: &Plan) -> u32 {
        let said = self.blobs.get(SCHEMAS).map(|bytes| self.read.schemas.of(bytes));
        said.and_then(|said| said.0.get(&plan.hash).copied()).unwrap_or(Schema::UNSAID.number())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_plan_of_which_nothing_is_said_is_in_the_encoding_before() {
        let [new, old] = [&b"new"[..], b"old"].map(|bytes| Plan::new(Bytes::from_static(bytes)));
        let mut state = State::default();
        assert_eq!(state.schema_of(&new), Schema::UNSAID.number());
        let mut schemas = Schemas::default();
        schemas.set(new.hash, 3);
        state.blobs = Arc::new([(SCHEMAS.to_owned(), schemas.encoded())].into());
        assert_eq!((state.schema_of(&new), state.schema_of(&old)), (3, Schema::UNSAID.number()));
        schemas.set(old.hash, 2);
        schemas.set(new.hash, 4);
        state.blobs = Arc::new([(SCHEMAS.to_owned(), schemas.encoded())].into());
        assert_eq!((state.schema_of(&new), state.schema_of(&old)), (4, 2), "of the bytes that are there now");
    }
}
