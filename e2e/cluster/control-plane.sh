#!/usr/bin/env bash
# The control plane's processes, all in the namespace CLUSTER.cp. usage: control-plane.sh start|stop COMPONENT…
#
# COMPONENT is etcd, kube-apiserver, kube-controller-manager, kube-scheduler, dns or loopback (the way in from
# the root namespace). Data and certificates stay on stop, so stop and start again is a restart.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"
pki=$STATE/pki

# pid_of COMPONENT: found by its executable, so no file can be out of date.
pid_of() {
  local pid
  for pid in $(ip netns pids "$CONTROL_PLANE"); do
    [ "$(readlink "/proc/$pid/exe")" != "$BIN/$1" ] || { echo "$pid"; return; }
  done
  return 1
}

run() {
  local name=$1; shift
  setsid nsenter --net="/run/netns/$CONTROL_PLANE" "$BIN/$name" "$@" >>"$STATE/$name.log" 2>&1 </dev/null &
}

start_etcd() {
  run etcd --data-dir "$STATE/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
}

ready() { in_netns "$CONTROL_PLANE" "$BIN/kubectl" --kubeconfig "$pki/admin.kubeconfig" --server https://127.0.0.1 get --raw /readyz; }

start_kube-apiserver() {
  local from=$EPOCHREALTIME
  # What Sluice's own accounts ask for is written down: a test holds it against their rights.
  cat >"$STATE/audit.yaml" <<YAML
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, userGroups: ["system:serviceaccounts:sluice-system"]}
- {level: None}
YAML
  # The aggregator's routing: no kube-proxy here, so webhooks are dialled at their pods.
  run kube-apiserver --etcd-servers=http://127.0.0.1:2379 \
    --bind-address=0.0.0.0 --secure-port=443 --advertise-address=$CONTROL_PLANE_IP --enable-aggregator-routing=true \
    --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" \
    --kubelet-client-certificate="$pki/apiserver-kubelet-client.crt" --kubelet-client-key="$pki/apiserver-kubelet-client.key" \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP,Hostname \
    --service-account-issuer=https://kubernetes.default.svc --service-cluster-ip-range=10.96.0.0/16 \
    --service-account-key-file="$pki/service-accounts.pub" --service-account-signing-key-file="$pki/service-accounts.key" \
    --requestheader-client-ca-file="$pki/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group \
    --requestheader-username-headers=X-Remote-User \
    --proxy-client-cert-file="$pki/front-proxy-client.crt" --proxy-client-key-file="$pki/front-proxy-client.key" \
    --audit-policy-file="$STATE/audit.yaml" --audit-log-path="$STATE/audit.log" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true --profiling=false
  await 60 ready || { tail -n 20 "$STATE/kube-apiserver.log" >&2; die "the API server is not ready after 60 s"; }
  say "API server ready after $(since "$from") s"
}

start_kube-controller-manager() {
  local config=$pki/controller-manager.kubeconfig
  # A lost node shows in 15 to 17 s instead of 40.
  run kube-controller-manager --kubeconfig="$config" --authentication-kubeconfig="$config" --authorization-kubeconfig="$config" \
    --bind-address=127.0.0.1 --leader-elect=false --use-service-account-credentials=true \
    --service-account-private-key-file="$pki/service-accounts.key" --root-ca-file="$pki/ca.crt" \
    --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
    --allocate-node-cidrs=false --configure-cloud-routes=false --node-monitor-period=2s --node-monitor-grace-period=16s
}

start_kube-scheduler() {
  local config=$pki/scheduler.kubeconfig
  run kube-scheduler --kubeconfig="$config" --authentication-kubeconfig="$config" --authorization-kubeconfig="$config" \
    --bind-address=127.0.0.1 --leader-elect=false
}

start_dns() {
  cat >"$STATE/Corefile" <<CONF
. {
  bind $DNS_IP
  errors
  kubernetes cluster.local {
    kubeconfig $pki/admin.kubeconfig
  }
}
CONF
  run dns -conf "$STATE/Corefile"
}

# From a free port on the root namespace's loopback through a socket in the file system into the namespace.
start_loopback() {
  cd "$STATE"   # a socket's path may be no longer than 107 bytes
  setsid nsenter --net="/run/netns/$CONTROL_PLANE" socat UNIX-LISTEN:api.sock,fork,unlink-early TCP:127.0.0.1:443 >socat-in.log 2>&1 </dev/null &
  setsid socat -d -d TCP-LISTEN:0,bind=127.0.0.1,fork UNIX-CONNECT:api.sock >loopback.log 2>&1 </dev/null &
  echo $! >loopback.pid
  await 5 grep -q "listening on" loopback.log || die "socat does not listen: $(cat loopback.log)"
  kubeconfig root admin "https://127.0.0.1:$(sed -n 's/.*listening on AF=2 127.0.0.1:\([0-9]*\)$/\1/p' loopback.log)"
}

action=$1; shift
for component in "$@"; do
  case $action in
    start) "start_$component" ;;
    stop)
      pid=$(pid_of "$component") || continue
      # SIGKILL: after SIGTERM the API server waits minutes for its watches.
      kill -KILL "$pid"
      await 10 gone "$pid" || die "$component (process $pid) does not end"
      ;;
    *) die "usage: control-plane.sh start|stop COMPONENT…" ;;
  esac
done
