#!/usr/bin/env bash
# PID 1 of a node, inside its own root: containerd, the images, the kubelet, kube-proxy, and their daemons kept alive.
#
# A test that wants containerd or the kubelet to stay dead makes /run/hold-containerd or /run/hold-kubelet
# and then kills the process in /run/containerd.pid or /run/kubelet.pid.
set -uo pipefail
address=$(ip -4 -o addr show eth0 | awk '{sub("/.*", "", $4); print $4}')
export address
/opt/e2e/node-config.sh

supervise() {
  local name=$1; shift
  while :; do
    "$name" "$@" >>"/var/log/$name.log" 2>&1 &
    echo $! >"/run/$name.pid"
    wait $!
    echo "-- $name ended with $?" >>"/var/log/$name.log"
    while [ -e "/run/hold-$name" ]; do sleep 0.2; done
    sleep 0.5   # one that cannot start must not spin
  done
}

supervise containerd --config /etc/kubernetes/containerd.toml &
for _ in $(seq 100); do ctr version >/dev/null 2>&1 && break; sleep 0.1; done
for archive in /opt/cluster/images/*.tar /opt/images/*.tar; do
  [ ! -f "$archive" ] || ctr -n k8s.io images import --snapshotter overlayfs "$archive"
done
# What a test wants its node to register with.
mapfile -t flags < <(cat /etc/kubernetes/kubelet-flags 2>/dev/null)
supervise kubelet --config=/etc/kubernetes/kubelet.yaml --kubeconfig="/etc/kubernetes/pki/node-$NODE.kubeconfig" \
  --hostname-override="$NODE" --node-ip="$address" --v=2 "${flags[@]}" &
supervise kube-proxy --config=/etc/kubernetes/proxy.yaml &
# Orphans of pods end up here and are reaped.
while :; do wait -n || sleep 1; done
