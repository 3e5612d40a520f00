//! What XDP fails at on this node: exceptions and frames that did not leave, by reason.
//!
//! Raw trace points take CAP_BPF and CAP_PERFMON and no tracefs. A kernel that is locked down may refuse them all the same;
//! nothing else needs them.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

use aya::maps::MapData;
use nix::errno::Errno;
use sluice_abi::{
    ERRNOS, EXCEPTION_ACTIONS, EXCEPTION_FORWARD, EXCEPTION_REDIRECT, EXCEPTION_TRANSMIT, EXCEPTIONS,
};

use crate::bpf;
use crate::error::{Context, Error, Result};
use crate::load::{TracePrograms, load_trace_programs};

/// Counts from its making on, for as long as it lives.
pub struct Exceptions {
    counts: MapData,
    _links: Vec<OwnedFd>,
}

impl Exceptions {
    pub fn attach() -> Result<Exceptions> {
        let TracePrograms { counts, programs } = load_trace_programs().map_err(Error::from)?;
        let attach = |(name, program): (&'static str, OwnedFd)| {
            bpf::raw_tracepoint_open(name, program.as_fd())
                .context(|| format!("attaching to the trace point {name}"))
        };
        let links = programs.into_iter().map(attach).collect::<Result<_>>()?;
        Ok(Exceptions { counts, _links: links })
    }

    /// By reason; the usual ones also where there was none.
    pub fn read(&self) -> Result<BTreeMap<String, u64>> {
        let cpus = aya::util::nr_cpus()
            .map_err(|(path, error)| std::io::Error::other(format!("{path}: {error}")))
            .context(|| "counting CPUs".into())?;
        let elements = bpf::per_cpu_elements(self.counts.fd().as_fd(), 0, EXCEPTIONS, cpus)
            .context(|| "reading the exceptions".into())?;
        let mut counts: BTreeMap<String, u64> = USUAL.map(|reason| (reason.to_owned(), 0)).into();
        for (index, element) in (0..).zip(&elements) {
            let count: u64 = element.chunks_exact(8).map(bytemuck::pod_read_unaligned::<u64>).sum();
            if count > 0 {
                *counts.entry(reason(index)).or_default() += count;
            }
        }
        Ok(counts)
    }
}

const USUAL: [&str; 5] = ["aborted", "tx", "redirect", "transmit", "forward"];

fn reason(index: u32) -> String {
    let (kind, number) = (index / ERRNOS * ERRNOS, index % ERRNOS);
    let name = match kind {
        EXCEPTION_ACTIONS => return action(number).to_owned(),
        EXCEPTION_TRANSMIT => "transmit",
        EXCEPTION_FORWARD => "forward",
        EXCEPTION_REDIRECT => "redirect",
        _ => "unknown",
    };
    match number {
        0 => name.to_owned(),
        number => format!("{name}_{:?}", Errno::from_raw(number as i32)).to_lowercase(),
    }
}

/// `enum xdp_action`.
fn action(number: u32) -> &'static str {
    match number {
        0 => "aborted",
        1 => "drop",
        2 => "pass",
        3 => "tx",
        4 => "redirect",
        _ => "unknown_action",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_what_failed_and_why() {
        let reasons = [
            EXCEPTION_ACTIONS,
            EXCEPTION_ACTIONS + 9,
            EXCEPTION_TRANSMIT,
            EXCEPTION_TRANSMIT + 6,
            EXCEPTION_FORWARD + 28,
            EXCEPTION_REDIRECT + 22,
        ];
        assert_eq!(
            reasons.map(reason),
            ["aborted", "unknown_action", "transmit", "transmit_enxio", "forward_enospc", "redirect_einval"]
        );
    }
}
