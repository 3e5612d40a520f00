//! The bpf file system, which nobody mounts on a machine without systemd.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

/// Mounts it above the directory of pins unless that lies on one already; where, if so.
pub fn ensure(pins: &Path) -> anyhow::Result<Option<PathBuf>> {
    let existing = pins.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    if statfs(existing).with_context(|| existing.display().to_string())?.filesystem_type() == BPF_FS_MAGIC {
        return Ok(None);
    }
    let at = pins.parent().filter(|parent| *parent != Path::new("/"));
    let at =
        at.with_context(|| format!("--bpffs {}: write a path like /sys/fs/bpf/sluice", pins.display()))?;
    fs::create_dir_all(at).with_context(|| at.display().to_string())?;
    // A mount hides what is in the directory.
    let is_empty = fs::read_dir(at).with_context(|| at.display().to_string())?.next().is_none();
    ensure!(
        is_empty,
        "--bpffs {}: {} is neither empty nor a bpf file system: run `mount -t bpf bpf /sys/fs/bpf` and give a path below",
        pins.display(),
        at.display()
    );
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("bpf"), at, Some("bpf"), flags, Some("mode=0700"))
        .with_context(|| format!("mount a bpf file system at {}: root is needed", at.display()))?;
    Ok(Some(at.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_files_is_not_hidden_by_a_mount() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("precious"), "").expect("a file");
        let error = ensure(&directory.path().join("sluice")).expect_err("not empty").to_string();
        assert!(error.contains("mount -t bpf"), "{error}");
    }
}
