//! Losses between the driver and the stack.

/// Sums over all CPUs of /proc/net/softnet_stat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Softnet {
    /// Packets dropped because the backlog was full.
    pub dropped: u64,
    /// Times that the poll loop ran out of budget or time with work left.
    pub time_squeeze: u64,
}

impl Softnet {
    /// `None` where the file does not exist or has another form.
    pub fn read() -> Option<Softnet> {
        Softnet::parse(&std::fs::read_to_string("/proc/net/softnet_stat").ok()?)
    }

    /// One line per CPU, hexadecimal: processed, dropped, time_squeeze, …
    fn parse(text: &str) -> Option<Softnet> {
        text.lines().try_fold(Softnet::default(), |sum, line| {
            let mut columns = line.split_whitespace().map(|column| u64::from_str_radix(column, 16));
            let (_, dropped, time_squeeze) =
                (columns.next()?.ok()?, columns.next()?.ok()?, columns.next()?.ok()?);
            Some(Softnet { dropped: sum.dropped + dropped, time_squeeze: sum.time_squeeze + time_squeeze })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_all_cpus() {
        let text = "0000a1b2 00000003 00000010 00000000\n00000001 0000000f 00000001 00000000\n";
        assert_eq!(Softnet::parse(text), Some(Softnet { dropped: 18, time_squeeze: 17 }));
    }

    #[test]
    fn an_unknown_form_is_unknown() {
        assert_eq!(Softnet::parse("cpu0 12\n"), None);
    }
}
