//! How much memory this process may use.

use std::fs;
use std::path::Path;

/// The least of the machine's memory and the limits of the process's control group (version 2) and those above it. `root`
/// is where `/proc` and `/sys` are. `None` where nothing says so.
pub fn limit(root: &Path) -> Option<u64> {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let machine = read(&root.join("proc/meminfo")).lines().find_map(total);
    let groups = read(&root.join("proc/self/cgroup"));
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let limits = Path::new(own).ancestors().filter_map(|group| {
        let max = read(&root.join("sys/fs/cgroup").join(group).join("memory.max"));
        // `max` stands for none.
        max.trim().parse().ok()
    });
    limits.chain(machine).min()
}

fn total(line: &str) -> Option<u64> {
    let kib: u64 = line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit_of(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().expect("a directory");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("it has a name")).expect("made");
            fs::write(path, text).expect("written");
        }
        limit(root.path())
    }

    #[test]
    fn the_least_limit_holds() {
        let machine = ("proc/meminfo", "MemTotal:        1048576 kB\nMemFree:  5 kB\n");
        assert_eq!(limit_of(&[]), None);
        assert_eq!(limit_of(&[machine]), Some(1 << 30));
        let group = ("proc/self/cgroup", "0::/kubepods/pod7/agent\n");
        let above = ("sys/fs/cgroup/kubepods/memory.max", "67108864\n");
        let own = |max| ("sys/fs/cgroup/kubepods/pod7/agent/memory.max", max);
        assert_eq!(limit_of(&[machine, group, own("max\n")]), Some(1 << 30));
        assert_eq!(limit_of(&[machine, group, own("536870912\n"), above]), Some(64 << 20));
        // As a container sees its own group.
        let inside = [machine, ("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "536870912\n")];
        assert_eq!(limit_of(&inside), Some(512 << 20));
    }
}
