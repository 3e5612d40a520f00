use crate::text::text_type;

text_type! {
    /// A length of time, `"2s"`, `"500ms"`, `"1m30s"`, as Go writes it.
    Duration, {
        "type": "string",
        "maxLength": 16,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^([0-9]{1,5}(ms|s|m|h)){1,3}$')",
            "messageExpression": "'\"' + self + '\" is not a length of time: write \"2s\", \"500ms\" or \
                \"1m30s\"'"
        }, {
            "rule": "!self.matches('^([0-9]{1,5}(ms|s|m|h)){1,3}$') \
                || (duration(self) >= duration('50ms') && duration(self) <= duration('1h'))",
            "messageExpression": "'\"' + self + '\" is out of range: write a time from 50ms to 1h'"
        }]
    }
}

impl Duration {
    /// None where the text is no length of time, which the schema refuses.
    pub fn to_std(&self) -> Option<std::time::Duration> {
        let parsed: kube::core::Duration = self.0.parse().ok()?;
        (!parsed.is_negative()).then(|| parsed.into())
    }
}
