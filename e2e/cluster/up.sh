#!/usr/bin/env bash
# A whole cluster. usage: up.sh [--owner PID] [--image TAR]… NODE…
#
# Prints KUBECONFIG=PATH, which reaches the API server from the root namespace. With --owner the cluster goes
# down by itself when that process ends. A cluster of the same name that is already up is taken down first.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"
owner="" images=()
while [ $# -gt 0 ]; do
  case $1 in
    --owner) owner=$2; shift 2 ;;
    --image) images+=("$2"); shift 2 ;;
    *) break ;;
  esac
done
[ $# -gt 0 ] || die "usage: up.sh [--owner PID] [--image TAR]… NODE…"
[ "$(id -u)" = 0 ] || die "run as root: nodes are network, mount and process namespaces"
"$SRC/binaries.sh" --there || die "the binaries are not built: run ./setup.sh test"

dismantle
trap 'say "taking down what was started"; dismantle' EXIT
trap 'exit 130' INT TERM
from=$EPOCHREALTIME
mkdir -p "$STATE/images" "$STATE/nodes"
[ -z "$owner" ] || watch_owner "$owner"
for tar in ${images[@]+"${images[@]}"}; do cp "$tar" "$STATE/images/"; done
"$SRC/pki.sh" "$@"
"$SRC/net.sh" "$@"
"$SRC/control-plane.sh" start etcd kube-apiserver kube-controller-manager kube-scheduler dns loopback
for node in "$@"; do "$SRC/node.sh" start "$node"; done

all_ready() { [ "$("$SRC/k" get nodes --no-headers | awk '$2 == "Ready"' | wc -l)" = "$1" ]; }
await 120 all_ready $# || { "$SRC/k" get nodes >&2; tail -n 5 "$STATE"/nodes/*/kubelet.log >&2; die "not every node is Ready after 120 s"; }
say "$# nodes Ready after $(since "$from") s"
trap - EXIT
echo "KUBECONFIG=$STATE/pki/root.kubeconfig"
