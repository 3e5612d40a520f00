#!/usr/bin/env bash
# Becomes a node: joins its cgroups and its network, makes the other namespaces and goes on as its init.
# usage: node-enter.sh NODE (from node.sh)
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"
. "$SRC/cgroup.sh"
node=$1 cgroups=$STATE/nodes/$1/cgroups

# join [LEAF]: of every hierarchy.
join() { local directory; while read -r directory; do echo $$ >"$directory${1:-}/cgroup.procs"; done <"$cgroups"; }

if [ -z "${2:-}" ]; then
  join
  exec unshare --cgroup "$0" "$node" inside
fi
if [ "$(cgroup_version)" = 2 ]; then
  # The namespace's root is fixed now; emptied again, it can hand its controllers to the pods.
  join /init
  delegate_v2 "$(cat "$cgroups")"
fi
exec nsenter --net="/run/netns/$CLUSTER.$node" \
  unshare --mount --pid --uts --ipc --fork --kill-child --mount-proc --propagation private "$SRC/node-root.sh" "$node"
