use crate::text::text_type;

text_type! {
    /// A port, `"53"`, or a range with both ends included, `"8000-8100"`.
    PortRange, {
        "type": "string",
        "maxLength": 11,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[0-9]{1,5}(-[0-9]{1,5})?$')",
            "messageExpression": "'\"' + self + '\" is not a port or a range: write \"53\" or \"8000-8100\"'"
        }, {
            "rule": "!self.matches('^[0-9]{1,5}(-[0-9]{1,5})?$') || (self.contains('-') \
                ? int(self.substring(0, self.indexOf('-'))) <= int(self.substring(self.indexOf('-') + 1)) \
                : true)",
            "messageExpression": "'\"%s\" runs backwards: write %s-%s'.format([self, \
                self.substring(self.indexOf('-') + 1), self.substring(0, self.indexOf('-'))])"
        }, {
            "rule": "!self.matches('^[0-9]{1,5}(-[0-9]{1,5})?$') || (self.contains('-') \
                ? int(self.substring(self.indexOf('-') + 1)) <= 65535 && int(self.substring(0, self.indexOf('-'))) <= 65535 \
                : int(self) <= 65535)",
            "messageExpression": "'\"' + self + '\" is beyond the last port: write at most 65535'"
        }]
    }
}
