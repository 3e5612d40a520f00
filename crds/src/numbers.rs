//! Numbers and ranges of them as text: ports, lengths, hop limits. One description makes both the schema and the parser,
//! so that an API server and the operator refuse the same texts in the same words.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

/// What a text may name: one number, or a range with both ends included.
#[derive(Debug)]
pub struct Numbers {
    /// What one of them is called, with its article.
    pub noun: &'static str,
    pub last: u16,
    /// Names that stand for a number.
    pub names: &'static [(&'static str, u16)],
    /// Whether a range may leave its end open, as `1501-`.
    pub open: bool,
    /// What to write instead of something else.
    pub examples: &'static str,
}

/// Text that names [`Numbers`].
pub trait NumberText {
    const NUMBERS: Numbers;

    fn text(&self) -> &str;

    /// # Errors
    /// What is wrong with the text and what to write, as an API server says it.
    fn range(&self) -> Result<RangeInclusive<u16>, String> {
        Self::NUMBERS.parse(self.text())
    }
}

impl Numbers {
    fn parse(&self, text: &str) -> Result<RangeInclusive<u16>, String> {
        if let Some((_, number)) = self.names.iter().find(|(name, _)| *name == text) {
            return Ok(*number..=*number);
        }
        let digits = self.digits();
        let number = |text: &str| {
            let plain = (1..=digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u32>().ok().filter(|_| plain)
        };
        let (first, last) = match text.split_once('-') {
            Some((first, "")) if self.open => (number(first), Some(self.last.into())),
            Some((first, last)) => (number(first), number(last)),
            None => (number(text), number(text)),
        };
        let (Some(first), Some(last)) = (first, last) else {
            let Numbers { noun, examples, .. } = self;
            return Err(format!("\"{text}\" is not {noun} or a range: write {examples}"));
        };
        let is_open = text.ends_with('-');
        if first > last && !is_open {
            return Err(format!("\"{text}\" runs backwards: write {last}-{first}"));
        }
        let within = |number| u16::try_from(number).ok().filter(|number| *number <= self.last);
        match (within(first), within(last)) {
            (Some(first), Some(last)) => Ok(first..=last),
            _ => Err(format!("\"{text}\" is beyond the last {}: write at most {}", self.bare(), self.last)),
        }
    }

    /// Without its article.
    fn bare(&self) -> &'static str {
        self.noun.split_once(' ').map_or(self.noun, |(_, bare)| bare)
    }

    /// A number of at most so many fits CEL's `int`.
    fn digits(&self) -> usize {
        self.last.to_string().len()
    }

    pub(crate) fn longest(&self) -> usize {
        let names = self.names.iter().map(|(name, _)| name.len());
        names.chain([2 * self.digits() + 1]).max().unwrap_or_default()
    }

    /// The checks of a schema's string.
    pub(crate) fn rules(&self) -> Value {
        let Numbers { noun, last, open, examples, .. } = self;
        let digits = self.digits();
        let end = if *open { format!("([0-9]{{1,{digits}}})?") } else { format!("[0-9]{{1,{digits}}}") };
        let is_number = format!("self.matches('^[0-9]{{1,{digits}}}(-{end})?$')");
        let first = "int(self.substring(0, self.indexOf('-')))";
        let second = "int(self.substring(self.indexOf('-') + 1))";
        let closed = if *open { "self.contains('-') && !self.endsWith('-')" } else { "self.contains('-')" };
        let beyond = if *open {
            format!(
                "self.endsWith('-') ? {first} <= {last} : self.contains('-') ? {second} <= {last} && {first} <= {last} \
                 : int(self) <= {last}"
            )
        } else {
            format!("self.contains('-') ? {second} <= {last} && {first} <= {last} : int(self) <= {last}")
        };
        json!([{
            "rule": format!("{}{is_number}", self.name_rule()),
            "messageExpression": format!("'\"' + self + '\" is not {noun} or a range: write {examples}'"),
        }, {
            "rule": format!("!{is_number} || ({closed} ? {first} <= {second} : true)"),
            "messageExpression": "'\"%s\" runs backwards: write %s-%s'.format([self, \
                self.substring(self.indexOf('-') + 1), self.substring(0, self.indexOf('-'))])",
        }, {
            "rule": format!("!{is_number} || ({beyond})"),
            "messageExpression":
                format!("'\"' + self + '\" is beyond the last {}: write at most {last}'", self.bare()),
        }])
    }

    fn name_rule(&self) -> String {
        if self.names.is_empty() {
            return String::new();
        }
        let names: Vec<String> = self.names.iter().map(|(name, _)| format!("'{name}': 0")).collect();
        format!("self in {{{}}} || ", names.join(", "))
    }
}

/// A text type with the checks of its [`Numbers`].
macro_rules! number_type {
    ($(#[$doc:meta])* $name:ident, $numbers:expr) => {
        $crate::text::text_type! {
            $(#[$doc])*
            $name, {
                "type": "string",
                "maxLength": <Self as $crate::NumberText>::NUMBERS.longest(),
                "x-kubernetes-validations": <Self as $crate::NumberText>::NUMBERS.rules()
            }
        }

        impl $crate::NumberText for $name {
            const NUMBERS: $crate::Numbers = $numbers;

            fn text(&self) -> &str {
                &self.0
            }
        }
    };
}

pub(crate) use number_type;

#[cfg(test)]
mod tests {
    use crate::{LengthRange, NumberText, PortRange};

    #[test]
    fn ranges_have_both_ends() {
        let ports = |text| PortRange::NUMBERS.parse(text);
        assert_eq!(ports("0"), Ok(0..=0));
        assert_eq!(ports("00053"), Ok(53..=53));
        assert_eq!(ports("8000-8100"), Ok(8000..=8100));
        assert_eq!(ports("65535-65535"), Ok(65535..=65535));
        assert_eq!(LengthRange::NUMBERS.parse("1501-"), Ok(1501..=65535));
    }

    #[test]
    fn other_texts_are_refused_with_what_to_write() {
        for (text, part) in [
            ("", "is not a port or a range: write \"53\""),
            ("http", "is not a port"),
            ("53-", "is not a port"),
            ("-53", "is not a port"),
            ("+53", "is not a port"),
            ("1-2-3", "is not a port"),
            ("000053", "is not a port"),
            ("2-1", "runs backwards: write 1-2"),
            ("65536", "write at most 65535"),
            ("1-99999", "write at most 65535"),
        ] {
            let said = PortRange::NUMBERS.parse(text).expect_err(text);
            assert!(said.contains(part), "{said}");
        }
    }
}
