//! What is wrong with one field.

use std::fmt;

use sluice_policy::ObjectRef;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub object: ObjectRef,
    /// `spec.rules[3].match.sources.cidrs[0]`
    pub path: String,
    /// What is wrong and what to write, with what was found where that helps.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ObjectRef { kind, namespace, name, .. } = &self.object;
        let slash = if namespace.is_empty() { "" } else { "/" };
        write!(f, "{kind}/{namespace}{slash}{name}: {}: {}", self.path, self.message)
    }
}

/// Collects the refusals of one object.
pub(crate) struct Checks {
    object: ObjectRef,
    refusals: Vec<Refusal>,
}

impl Checks {
    pub fn new(object: ObjectRef) -> Checks {
        Checks { object, refusals: Vec::new() }
    }

    pub fn refuse(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.refusals.push(Refusal {
            object: self.object.clone(),
            path: path.into(),
            message: message.into(),
        });
    }

    pub fn require(&mut self, holds: bool, path: &str, message: &str) {
        if !holds {
            self.refuse(path, message);
        }
    }

    pub fn at_most(&mut self, found: usize, limit: usize, path: &str) {
        if found > limit {
            self.refuse(path, format!("has {found} entries: write at most {limit}"));
        }
    }

    /// A DNS label (RFC 1123), as counters and metrics carry it.
    pub fn label(&mut self, name: &str, path: &str) {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let ends = !name.starts_with('-') && !name.ends_with('-');
        if name.is_empty() || name.len() > 63 || !ends || !name.bytes().all(inner) {
            let message =
                format!("\"{name}\" is no name: write 1 to 63 lower-case letters, digits and inner hyphens");
            self.refuse(path, message);
        }
    }

    /// `made` is used only where nothing was refused.
    pub fn finish<T>(self, made: T) -> Result<T, Vec<Refusal>> {
        if self.refusals.is_empty() { Ok(made) } else { Err(self.refusals) }
    }
}
