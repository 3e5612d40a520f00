//! What became of one packet, in the words of the output.

use serde::Serialize;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Pass, Drop, Tx or Aborted.
    pub verdict: &'static str,
    /// Failsafe, Filter, LoadBalancer, Default, Malformed or Established.
    pub stage: &'static str,
    pub policy: Option<String>,
    /// None for a default action, a filter's other settings and balancers.
    pub rule: Option<String>,
    /// Enforce or Audit; none where nothing decided.
    pub mode: Option<&'static str>,
    pub backend: Option<String>,
    /// The first Drop that Audit kept from happening, where something else decided.
    pub would_drop: Option<(String, Option<String>)>,
    /// The capture lacks a part of the headers.
    pub guess: bool,
}

/// In this order; what is not there is said only of those who have it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line<'a> {
    packet: u64,
    verdict: &'static str,
    policy: Option<&'a str>,
    rule: Option<&'a str>,
    stage: &'static str,
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    would_drop: Option<WouldDrop<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    guess: bool,
}

#[derive(Serialize)]
struct WouldDrop<'a> {
    policy: &'a str,
    rule: Option<&'a str>,
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

    /// As the output has it, with the packet's number.
    pub fn line(&self, packet: u64) -> Line<'_> {
        Line {
            packet,
            verdict: self.verdict,
            policy: self.policy.as_deref(),
            rule: self.rule.as_deref(),
            stage: self.stage,
            mode: self.mode,
            backend: self.backend.as_deref(),
            would_drop: self
                .would_drop
                .as_ref()
                .map(|(policy, rule)| WouldDrop { policy, rule: rule.as_deref() }),
            guess: self.guess,
        }
    }

    /// What decided, in words.
    pub fn words(&self) -> String {
        let Decision { verdict, stage, .. } = self;
        let policy = self.policy.as_deref().unwrap_or_default();
        let note = match self.note() {
            note if note.is_empty() => note,
            note => format!(" ({note})"),
        };
        let is_audit = self.mode == Some("Audit");
        let by = match (*stage, &self.rule) {
            (_, Some(rule)) if is_audit => format!("rule {rule} of {policy} would drop it, but for Audit"),
            (_, None) if is_audit => format!("{policy} would drop it, but for Audit"),
            (_, Some(rule)) => format!("rule {rule} of {policy}"),
            ("Default", None) if policy.is_empty() => "nothing decided".to_owned(),
            ("Default", None) => format!("the default action of {policy}"),
            ("Malformed", None) if policy.is_empty() => "nothing decided; a header is broken".to_owned(),
            ("Malformed", None) => format!("the malformed setting of {policy}"),
            ("Established", None) => format!("allowEstablished of {policy}"),
            ("LoadBalancer", None) => format!("load balancer {policy}"),
            _ => "before every rule".to_owned(),
        };
        format!("{verdict}: {by}{note}")
    }

    /// What the columns of a table do not say.
    pub fn note(&self) -> String {
        let backend = self.backend.as_ref().map(|backend| format!("to {backend}"));
        let would_drop = self.would_drop.as_ref().map(|(policy, rule)| {
            let rule = rule.as_deref().unwrap_or("its default");
            format!("{policy} would drop it by {rule}")
        });
        let guess = self.guess.then(|| "a guess: headers cut".to_owned());
        [backend, would_drop, guess].into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}
