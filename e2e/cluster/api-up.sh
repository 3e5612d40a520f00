#!/usr/bin/env bash
# An API server and its etcd, nothing else. usage: api-up.sh [--owner PID]
#
# Prints KUBECONFIG=PATH, which reaches it from the root namespace. CLUSTER is "sluice-api" unless set; take it
# down with the same CLUSTER. Nothing runs controllers here: no pod starts, a deleted namespace stays Terminating.
set -euo pipefail
export CLUSTER=${CLUSTER:-sluice-api}
. "$(dirname "$(readlink -f "$0")")/lib.sh"
owner=""
[ "${1:-}" != --owner ] || owner=$2
[ "$(id -u)" = 0 ] || die "run as root: it runs in a network namespace of its own"
"$SRC/binaries.sh" --there api || die "the binaries are not built: run ./setup.sh test"

dismantle
trap 'say "taking down what was started"; dismantle' EXIT
trap 'exit 130' INT TERM
mkdir -p "$STATE"
[ -z "$owner" ] || watch_owner "$owner"
"$SRC/pki.sh"
"$SRC/net.sh"
"$SRC/control-plane.sh" start etcd kube-apiserver loopback
trap - EXIT
echo "KUBECONFIG=$STATE/pki/root.kubeconfig"
