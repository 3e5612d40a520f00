#!/usr/bin/env bash
# One node: network, mount, pid, uts, ipc and cgroup namespaces with a disk of their own, as kind does with
# a container. usage: node.sh start|stop NODE
#
# stop is a power-off: every process and mount goes at once, the disk stays. start after it is a reboot.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"
. "$SRC/cgroup.sh"
node=$2 disk=$STATE/nodes/$2

start() {
  ! pid1 "$node" >/dev/null || die "node $node is on"
  mkdir -p "$disk/root/etc/kubernetes/pki"
  cp "$STATE/pki/ca.crt" "$STATE/pki/kubelet-$node".{crt,key} "$STATE/pki/"{"node-$node",proxy}.kubeconfig "$disk/root/etc/kubernetes/pki/"
  make_cgroups "$CLUSTER.$node" >"$disk/cgroups"
  setsid "$SRC/node-enter.sh" "$node" >"$disk/init.log" 2>&1 </dev/null &
  echo $! >"$disk/pid"
}

stop() {
  local init directory
  # SIGKILL to PID 1: the kernel ends the pid namespace with it, and the mount namespace with its last process.
  if init=$(pid1 "$node"); then
    kill -KILL "$init"
    await 20 gone "$(cat "$disk/pid")" || die "node $node does not end"
  fi
  rm -f "$disk/pid"
  [ -f "$disk/cgroups" ] || return 0
  while read -r directory; do
    await 5 remove_cgroup "$directory" || say "cgroup left: $directory"
  done <"$disk/cgroups"
  rm "$disk/cgroups"
}

case $1 in
  start | stop) "$1" ;;
  *) die "usage: node.sh start|stop NODE" ;;
esac
