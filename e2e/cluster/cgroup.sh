# shellcheck shell=bash
# Sourced by the node scripts: a cgroup per node, on machines with cgroup v1 (or hybrid) and with v2 alone.
#
# v1  one directory per hierarchy, below the caller's own, which is all that a sandboxed caller may be able to write.
# v2  one directory below the root of the visible tree: a cgroup with processes cannot hand controllers to its
#     children, and the caller's own cgroup has at least the caller in it.

# hierarchies: "CONTROLLERS OWN-PATH" per v1 hierarchy; nothing on a machine with v2 alone.
hierarchies() { awk -F: '$2 != "" {sub("^name=", "", $2); sub("/$", "", $3); print $2, $3}' /proc/self/cgroup; }

cgroup_version() { if hierarchies | grep -q .; then echo 1; else echo 2; fi; }

# make_cgroups NAME: prints the directories it made.
make_cgroups() {
  if [ "$(cgroup_version)" = 2 ]; then make_cgroup_v2 "$1"; else make_cgroups_v1 "$1"; fi
}

make_cgroups_v1() {
  local controllers own directory
  while read -r controllers own; do
    directory=/sys/fs/cgroup/$controllers$own/$1
    remove_cgroup "$directory"
    mkdir -p "$directory"
    case ,$controllers, in *,cpuset,*)
      # A v1 cpuset is born with no processor and no memory, and then takes no process.
      cat /sys/fs/cgroup/cpuset/cpuset.cpus >"$directory/cpuset.cpus"
      cat /sys/fs/cgroup/cpuset/cpuset.mems >"$directory/cpuset.mems"
    esac
    echo "$directory"
  done < <(hierarchies)
}

make_cgroup_v2() {
  local root=/sys/fs/cgroup pid
  # In a container the visible root is a cgroup like any other: it must be emptied before it can hand down controllers.
  if [ -e $root/cgroup.events ] && ! delegate_v2 $root 2>/dev/null; then
    mkdir -p $root/init
    while read -r pid; do echo "$pid" >$root/init/cgroup.procs 2>/dev/null || true; done <$root/cgroup.procs
  fi
  delegate_v2 $root
  remove_cgroup "$root/$1"
  mkdir -p "$root/$1/init"
  echo "$root/$1"
}

# delegate_v2 DIRECTORY: every controller it has, to its children.
delegate_v2() {
  local controller
  for controller in $(cat "$1/cgroup.controllers"); do echo "+$controller" >"$1/cgroup.subtree_control" || return 1; done
}

# mount_cgroups DIRECTORY: the trees as the current cgroup namespace sees them, where the kubelet looks for them.
mount_cgroups() {
  local controllers own one
  if [ "$(cgroup_version)" = 2 ]; then mount -t cgroup2 cgroup2 "$1"; return; fi
  mount -t tmpfs -o mode=755 tmpfs "$1"
  while read -r controllers own; do
    mkdir "$1/$controllers"
    case $controllers in
      systemd) mount -t cgroup -o none,name=systemd cgroup "$1/systemd" ;;
      *) mount -t cgroup -o "$controllers" cgroup "$1/$controllers" ;;
    esac
    for one in ${controllers//,/ }; do [ -e "$1/$one" ] || ln -s "$controllers" "$1/$one"; done
  done < <(hierarchies)
  if [ -d "$1/cpuset" ]; then echo 1 >"$1/cpuset/cgroup.clone_children"; fi
  # The kubelet insists on this path, systemd or not.
  [ -d "$1/systemd" ] || { mkdir "$1/systemd"; mount -t cgroup -o none,name=systemd cgroup "$1/systemd"; }
}

# Leaves first. What a powered-off node's pods left would cost the next kubelet some three seconds each.
remove_cgroup() {
  [ ! -d "$1" ] || find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
  [ ! -d "$1" ]
}
