#!/usr/bin/env bash
# node-exec.sh NODE COMMAND…: runs a command in all of a node's namespaces. It sees the node's disk and
# the machine's /usr, not the tree; for that enter only the network: nsenter --net=/run/netns/CLUSTER.NODE
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"
node=$1; shift
init=$(pid1 "$node") || die "node $node is off"
exec nsenter -t "$init" --mount --net --pid --uts --ipc --cgroup --root --wd "$@"
