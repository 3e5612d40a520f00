//! What must hold before anything can be loaded: kernel, privileges, the bpf file system.

use std::fs;
use std::path::Path;

use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use nix::sys::utsname::uname;

use crate::bpf;
use crate::error::{Context, Error, Result};

/// First release whose XDP links, helpers and batched maps Sluice relies on.
const MINIMUM_KERNEL: (u32, u32) = (6, 1);

const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// The first of the three that does not hold, as an error that says how to mend it.
pub fn check(bpffs: &Path) -> Result<()> {
    check_kernel()?;
    check_privileges()?;
    check_bpffs(bpffs)
}

fn check_kernel() -> Result<()> {
    let names = uname().map_err(std::io::Error::from).context(|| "uname".into())?;
    let release = names.release().to_string_lossy();
    if kernel_version(&release).is_some_and(|version| version < MINIMUM_KERNEL) {
        return Err(Error::KernelTooOld { found: release.into_owned() });
    }
    Ok(())
}

/// `None` for a release that is no `major.minor…`: such a kernel is tried.
fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn check_privileges() -> Result<()> {
    let status = fs::read_to_string("/proc/thread-self/status")
        .context(|| "reading /proc/thread-self/status".into())?;
    let missing = missing_privileges(&status);
    if missing.is_empty() { Ok(()) } else { Err(Error::NoPrivilege { missing }) }
}

fn missing_privileges(status: &str) -> Vec<&'static str> {
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    let has = |capability: u32| effective & (1 << capability) != 0;
    let admin = has(CAP_SYS_ADMIN);
    [
        ("CAP_BPF", has(CAP_BPF) || admin),
        ("CAP_NET_ADMIN", has(CAP_NET_ADMIN)),
        ("CAP_PERFMON", has(CAP_PERFMON) || admin),
    ]
    .into_iter()
    .filter_map(|(name, held)| (!held).then_some(name))
    .collect()
}

/// The directory itself may not exist yet; the nearest one above it that does must be on a bpffs.
pub fn check_bpffs(bpffs: &Path) -> Result<()> {
    let existing = bpffs.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let found = statfs(existing)
        .map_err(std::io::Error::from)
        .context(|| format!("statfs {}", existing.display()))?;
    if found.filesystem_type() == BPF_FS_MAGIC {
        return Ok(());
    }
    Err(Error::BpffsMissing { path: bpffs.to_owned() })
}

/// Whether programs can be linked at tcx, which the hooks behind XDP and marks need: Linux has it from 6.6 on, if it was
/// built with it. A kernel that knows the place asks next for the interface, and there is none with index 0.
pub fn tcx() -> bool {
    bpf::query(0, bpf::ATTACH_TCX_INGRESS).is_err_and(|error| error.raw_os_error() == Some(libc::ENODEV))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(kernel_version("6.18.44-fc"), Some((6, 18)));
        assert!(kernel_version("6.18.44-fc").expect("a version") > MINIMUM_KERNEL);
        assert!(kernel_version("5.15.0-101-generic").expect("a version") < MINIMUM_KERNEL);
        assert_eq!(kernel_version("next"), None);
    }

    #[test]
    fn each_missing_capability_is_named() {
        assert_eq!(missing_privileges("CapEff:\t000001ffffffffff\n"), Vec::<&str>::new());
        assert_eq!(missing_privileges("CapEff:\t0000000000201000\n"), Vec::<&str>::new());
        assert_eq!(missing_privileges("CapEff:\t0000008000001000\n"), ["CAP_PERFMON"]);
        assert_eq!(
            missing_privileges("CapEff:\t0000000000000000\n"),
            ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"]
        );
    }

    #[test]
    fn an_ordinary_directory_is_no_bpffs() {
        let error = check_bpffs(Path::new("/proc/sluice")).expect_err("proc is no bpffs");
        assert_eq!(error.reason(), "BpffsMissing");
        assert!(error.to_string().contains("mount -t bpf"));
    }
}
