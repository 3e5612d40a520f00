//! What became of one packet, in the words of the output.

use serde_json::{Value, json};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Pass, Drop, Tx or Aborted.
    pub verdict: &'static str,
    /// Failsafe, Filter, LoadBalancer, Default or Malformed.
    pub stage: &'static str,
    pub policy: Option<String>,
    /// None for a default action, the malformed setting and balancers.
    pub rule: Option<String>,
    /// Enforce or Audit; none where nothing decided.
    pub mode: Option<&'static str>,
    pub backend: Option<String>,
    /// The first Drop that Audit kept from happening, where something else decided.
    pub would_drop: Option<(String, Option<String>)>,
}

/// A filter's entry: its policy, its rule and the stage that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decider {
    pub policy: String,
    pub rule: Option<String>,
    pub stage: &'static str,
}

impl Decision {
    /// Where nothing but an audited Drop spoke, that one is named: it is what the reader is looking for.
    pub fn of_filters(
        verdict: &'static str,
        decided: Option<Decider>,
        audited: Option<Decider>,
        malformed: bool,
    ) -> Decision {
        match (decided, audited) {
            (Some(decided), audited) => Decision {
                verdict,
                stage: decided.stage,
                policy: Some(decided.policy),
                rule: decided.rule,
                mode: Some("Enforce"),
                would_drop: audited.map(|audited| (audited.policy, audited.rule)),
                ..Decision::default()
            },
            (None, Some(audited)) => Decision {
                verdict,
                stage: audited.stage,
                policy: Some(audited.policy),
                rule: audited.rule,
                mode: Some("Audit"),
                ..Decision::default()
            },
            (None, None) => Decision {
                verdict,
                stage: if malformed { "Malformed" } else { "Default" },
                ..Decision::default()
            },
        }
    }

    pub fn json(&self, packet: u64) -> Value {
        let mut line = json!({
            "packet": packet, "verdict": self.verdict, "policy": self.policy, "rule": self.rule, "stage": self.stage,
            "mode": self.mode,
        });
        if let Some(backend) = &self.backend {
            line["backend"] = json!(backend);
        }
        if let Some((policy, rule)) = &self.would_drop {
            line["wouldDrop"] = json!({"policy": policy, "rule": rule});
        }
        line
    }
}
