use std::fmt;

/// One thing that is odd about a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// `None`: the filter as a whole.
    pub rule: Option<String>,
    pub reason: Reason,
    /// What it is, with the names of other rules that have a part in it, and what to do.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Earlier rules decide every packet that the rule matches.
    Shadowed,
    /// The rule matches everything, so none behind it is ever asked.
    MatchesEverything,
    /// No packet has all that the rule asks for.
    NeverMatches,
    /// The rule drops what passes before every rule.
    ShadowedByFailsafe,
    /// The rule limits packets that another one limits already, by the same key.
    OverlappingRateLimits,
    /// The rule's rate has no room for packets that are several segments.
    BurstTooSmall,
    /// The default is Drop, and traffic that the node itself needs is passed by no rule.
    AllowListIncomplete,
    /// An address set of the rule was deleted; its last contents stay in force.
    SetGone,
}

impl Reason {
    /// One word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Shadowed => "Shadowed",
            Reason::MatchesEverything => "MatchesEverything",
            Reason::NeverMatches => "NeverMatches",
            Reason::ShadowedByFailsafe => "ShadowedByFailsafe",
            Reason::OverlappingRateLimits => "OverlappingRateLimits",
            Reason::BurstTooSmall => "BurstTooSmall",
            Reason::AllowListIncomplete => "AllowListIncomplete",
            Reason::SetGone => "SetGone",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Warning { rule, reason, message } = self;
        match rule {
            Some(rule) => write!(f, "{reason}: {rule} {message}"),
            None => write!(f, "{reason}: {message}"),
        }
    }
}
