//! Which interfaces a policy selects.

use sluice_policy::Interfaces;

use crate::world::World;

pub(crate) fn selects(interfaces: &Interfaces, world: &World, name: &str) -> bool {
    interfaces.names.iter().any(|selected| selected == name)
        || interfaces.patterns.iter().any(|pattern| fits(pattern.as_bytes(), name.as_bytes()))
        || interfaces.default_route && world.default_route.iter().any(|selected| selected == name)
}

/// POSIX fnmatch without flags, but for character classes, collation and escapes, which no interface name needs.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'*', rest @ ..] => (0..=name.len()).any(|skipped| fits(rest, &name[skipped..])),
        [b'?', rest @ ..] => !name.is_empty() && fits(rest, &name[1..]),
        [b'[', rest @ ..] => match (bracket(rest), name.first()) {
            (Some((set, rest)), Some(&byte)) => set.holds(byte) && fits(rest, &name[1..]),
            (Some(_), None) => false,
            (None, first) => first == Some(&b'[') && fits(rest, &name[1..]),
        },
        [byte, rest @ ..] => name.first() == Some(byte) && fits(rest, &name[1..]),
    }
}

struct Bracket<'p> {
    negated: bool,
    members: &'p [u8],
}

impl Bracket<'_> {
    fn holds(&self, byte: u8) -> bool {
        let mut members = self.members;
        let mut found = false;
        while let Some((&first, rest)) = members.split_first() {
            members = match rest {
                [b'-', last, rest @ ..] => {
                    found |= (first..=*last).contains(&byte);
                    rest
                }
                _ => {
                    found |= first == byte;
                    rest
                }
            };
        }
        found != self.negated
    }
}

/// The set that starts behind a `[`, and what follows it; a `]` that comes first is a member. `None`: it never ends.
fn bracket(pattern: &[u8]) -> Option<(Bracket<'_>, &[u8])> {
    let negated = matches!(pattern.first(), Some(b'!' | b'^'));
    let members = &pattern[usize::from(negated)..];
    let end = members.iter().skip(1).position(|&byte| byte == b']')? + 1;
    Some((Bracket { negated, members: &members[..end] }, &members[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_shell_patterns() {
        for (pattern, name, expected) in [
            ("eth0", "eth0", true),
            ("eth0", "eth01", false),
            ("eth*", "eth", true),
            ("eth*", "eth12", true),
            ("*0", "eth0", true),
            ("*0", "eth1", false),
            ("e*h*1", "eth11", true),
            ("ens?", "ens1", true),
            ("ens?", "ens", false),
            ("ens[0-9]f?", "ens3f1", true),
            ("ens[0-9]f?", "ensxf1", false),
            ("e[!a-s]h", "eth", true),
            ("e[!t]h", "eth", false),
            ("e[^t]h", "eth", false),
            ("e[]x]h", "e]h", true),
            ("e[a-", "e[a-", true),
            ("e[ab-]h", "e-h", true),
            ("", "eth0", false),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn names_patterns_and_default_routes_add_up() {
        let world = World { default_route: vec!["wan".into()], ..World::default() };
        let interfaces =
            Interfaces { names: vec!["eth0".into()], patterns: vec!["ens*".into()], default_route: true };
        for (name, expected) in [("eth0", true), ("ens7", true), ("wan", true), ("eth1", false)] {
            assert_eq!(selects(&interfaces, &world, name), expected, "{name}");
        }
        assert!(!selects(&Interfaces::default(), &world, "eth0"), "nothing selected selects nothing");
    }
}
