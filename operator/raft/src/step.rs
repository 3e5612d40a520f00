//! Whether an epoch was missed.

/// Counts the epochs that this process has seen, one by one; where some may be missing, those as well. It is the process' own
/// and no part of what is agreed on, so it is equal to every other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Step(u64);

impl PartialEq for Step {
    fn eq(&self, _: &Step) -> bool {
        true
    }
}

impl Eq for Step {}

impl Step {
    /// Whether there was no other epoch between `before` and this.
    pub fn follows(self, before: Step) -> bool {
        self.0 <= before.0 + 1
    }

    /// Another epoch.
    pub fn next(self) -> Step {
        Step(self.0 + 1)
    }

    /// Nobody knows how many.
    pub(crate) fn leap(self) -> Step {
        Step(self.0 + 2)
    }
}
