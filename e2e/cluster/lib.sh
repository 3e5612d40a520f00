# shellcheck shell=bash
# Sourced by every script here.
#
#   CLUSTER        name of the cluster: its namespaces and cgroups are called CLUSTER.NODE (default "sluice")
#   SLUICE_CACHE   what is expensive to make and worth keeping (default ~/.cache/sluice)
#
# SRC is this folder, BIN the binaries, IMAGES the image archives that every node imports, STATE what belongs
# to this cluster alone and goes with it: certificates, logs, etcd's data, the nodes' disks.
SRC=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
CLUSTER=${CLUSTER:-sluice}
CACHE=${SLUICE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice}/cluster
# Keyed by the checksums of every module: a changed version is a new folder, never a stale binary.
BIN=$CACHE/bin-$(sha256sum <"$SRC/go.sum" | cut -c1-12)
IMAGES=$BIN/images
STATE=$CACHE/state/$CLUSTER
CONTROL_PLANE=$CLUSTER.cp CONTROL_PLANE_IP=172.30.0.10 DNS_IP=10.96.0.10
export CLUSTER

say() { echo "$*" >&2; }
die() { say "e2e/cluster: $*"; exit 1; }

# The dot keeps `sluice` and `sluice-api` apart when a cluster's namespaces are looked up by prefix.
case $CLUSTER in *[!a-z0-9-]* | "") die "CLUSTER=$CLUSTER: use only a-z, 0-9 and '-'" ;; esac

# Not `ip netns exec`: it mounts another /sys and so hides cgroups and bpffs.
in_netns() { local ns=$1; shift; nsenter --net="/run/netns/$ns" "$@"; }

# await SECONDS COMMAND…: true as soon as the command is, false when the time is over.
await() {
  local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000)); shift
  until "$@" >/dev/null 2>&1; do
    [ "${EPOCHREALTIME/./}" -lt "$deadline" ] || return 1
    sleep 0.1
  done
}

# gone PID: ended, with the last thread that may hold a socket; whoever is to reap it may take its time.
gone() {
  local threads=("/proc/$1/task/"*)
  [ ! -d "/proc/$1" ] || { [ "${#threads[@]}" -le 1 ] && grep -qs "^State:.Z" "/proc/$1/status"; }
}

# since START: seconds with one decimal; START is an earlier $EPOCHREALTIME.
since() { local tenths=$(((${EPOCHREALTIME/./} - ${1/./}) / 100000)); echo "$((tenths / 10)).$((tenths % 10))"; }

# kubeconfig NAME CERTIFICATE SERVER: with everything inside, so that a pod or another namespace can read it.
kubeconfig() {
  cat >"$STATE/pki/$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "$3", certificate-authority-data: $(base64 -w0 "$STATE/pki/ca.crt")}}]
users: [{name: u, user: {client-certificate-data: $(base64 -w0 "$STATE/pki/$2.crt"), client-key-data: $(base64 -w0 "$STATE/pki/$2.key")}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
YAML
}

# pid1 NODE: the node's init as the root namespace sees it, nothing where the node is off.
pid1() {
  local outer
  outer=$(cat "$STATE/nodes/$1/pid" 2>/dev/null) || return 1
  [ "$(readlink "/proc/$outer/exe")" = "$(readlink -f "$(command -v unshare)")" ] || return 1
  pgrep -P "$outer" | head -n 1 | grep .
}

# What a signal handler runs as well: takes down all that carries this cluster's name.
dismantle() {
  local ns node pid
  for node in "$STATE"/nodes/*/; do [ ! -d "$node" ] || "$SRC/node.sh" stop "$(basename "$node")"; done
  [ ! -f "$STATE/watchdog.pid" ] || end_own "$STATE/watchdog.pid" "$STATE"
  [ ! -f "$STATE/loopback.pid" ] || end_own "$STATE/loopback.pid" api.sock
  for ns in $(ip netns list | awk -v prefix="$CLUSTER." 'index($1, prefix) == 1 {print $1}'); do
    # SIGKILL: after SIGTERM the API server waits minutes for its watches.
    for pid in $(ip netns pids "$ns"); do kill -KILL "$pid" 2>/dev/null || true; done
    await 10 netns_empty "$ns" || say "processes of $ns do not end: $(ip netns pids "$ns" | xargs)"
    ip netns del "$ns"
  done
  rm -rf "$STATE"
}

netns_empty() { [ -z "$(ip netns pids "$1")" ]; }

# end_own PIDFILE WORD: a process and the ones it forked, if it is still ours (the number may have been given away).
end_own() {
  local pid
  pid=$(cat "$1")
  if grep -qsF "$2" "/proc/$pid/cmdline"; then kill -KILL -- "-$pid" 2>/dev/null || true; fi
  rm -f "$1"
}

# Takes the cluster down when process $1 is gone, however it ended.
watch_owner() {
  setsid sh -c 'tail --pid="$1" -s 0.3 -f /dev/null; CLUSTER=$2 exec "$3/down.sh"' watchdog "$1" "$CLUSTER" "$SRC" "$STATE" \
    >/dev/null 2>&1 </dev/null &
  echo $! >"$STATE/watchdog.pid"
}
