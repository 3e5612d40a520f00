//! Prefixes and addresses as text. Parsing them into numbers is the compiler's step; here they carry the
//! schema that refuses bad ones and says what to write instead.

use crate::text::text_type;

text_type! {
    /// An IPv4 or IPv6 prefix, `192.0.2.0/24` or `2001:db8::/32`, with no host bits set.
    Cidr, {
        "type": "string",
        "maxLength": 43,
        "x-kubernetes-validations": [{
            "rule": "isCIDR(self)",
            "messageExpression": "'\"' + self + '\" is not a prefix: write an address and a length, as \
                192.0.2.0/24'"
        }, {
            "rule": "!isCIDR(self) || cidr(self).masked() == cidr(self)",
            "messageExpression": "'\"%s\" has host bits set: write %s'.format([self, \
                string(cidr(self).masked())])"
        }]
    }
}

text_type! {
    /// An IPv4 or IPv6 address in its canonical form (RFC 5952), so that equal addresses are equal texts.
    IpAddress, {
        "type": "string",
        "maxLength": 39,
        "x-kubernetes-validations": [{
            "rule": "isIP(self)",
            "messageExpression": "'\"' + self + '\" is not an IP address: write one as 203.0.113.10 or \
                2001:db8::10'"
        }, {
            "rule": "!isIP(self) || ip.isCanonical(self)",
            "messageExpression": "'\"%s\" is not in canonical form: write %s'.format([self, \
                string(ip(self))])"
        }, {
            "rule": "!isIP(self) || ip(self).isGlobalUnicast()",
            "messageExpression": "'\"' + self + '\" is a loopback, link-local, multicast or unspecified \
                address: write a unicast address'"
        }]
    }
}
