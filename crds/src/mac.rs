use crate::text::text_type;

text_type! {
    /// An Ethernet address, `"02:00:00:00:00:01"`, or with a mask all addresses that agree in its bits,
    /// `"02:00:5e:00:00:00/ff:ff:ff:00:00:00"`. Which masks are looked up, and that no bit is set outside the mask, is
    /// checked by the operator: CEL has no bits.
    MacAddress, {
        "type": "string",
        "maxLength": 35,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}(/([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2})?$')",
            "messageExpression": "'\"' + self + '\" is not an Ethernet address: write \"02:00:00:00:00:01\", or \
                \"02:00:5e:00:00:00/ff:ff:ff:00:00:00\" with a mask'"
        }]
    }
}

impl MacAddress {
    /// The address and the mask, all ones unless written; `None` where the schema refuses the text.
    pub fn parse(&self) -> Option<([u8; 6], [u8; 6])> {
        match self.as_str().split_once('/') {
            Some((address, mask)) => Some((octets(address)?, octets(mask)?)),
            None => Some((octets(self.as_str())?, [0xff; 6])),
        }
    }
}

fn octets(text: &str) -> Option<[u8; 6]> {
    let mut octets = [0; 6];
    let mut parts = text.split(':');
    for octet in &mut octets {
        let digits = parts.next().filter(|digits| digits.len() == 2 && !digits.starts_with('+'))?;
        *octet = u8::from_str_radix(digits, 16).ok()?;
    }
    parts.next().is_none().then_some(octets)
}
