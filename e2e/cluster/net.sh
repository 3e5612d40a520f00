#!/usr/bin/env bash
# The network of one cluster, all of it in namespaces of its own. usage: net.sh NODE…
#
#   CLUSTER.cp     br0 172.30.0.10/24, where every node's eth0 ends; 10.96.0.1 and 10.96.0.10 on lo
#   CLUSTER.NODE   eth0 172.30.0.11/24 and on; dp0 <-> dp0p, a cable for tests that send frames; pods 10.244.11.0/24 and on
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

namespace() {
  ip netns add "$1"
  ip -n "$1" link set lo up
  in_netns "$1" sysctl -qw net.ipv4.ip_forward=1
}

namespace "$CONTROL_PLANE"
ip -n "$CONTROL_PLANE" link add br0 type bridge
ip -n "$CONTROL_PLANE" addr add $CONTROL_PLANE_IP/24 dev br0
ip -n "$CONTROL_PLANE" link set br0 up
# The Services "kubernetes" and DNS are here whatever state the nodes' kube-proxy is in.
ip -n "$CONTROL_PLANE" addr add 10.96.0.1/32 dev lo
ip -n "$CONTROL_PLANE" addr add $DNS_IP/32 dev lo

last=10
for node in "$@"; do
  last=$((last + 1))
  ns=$CLUSTER.$node
  namespace "$ns"
  ip -n "$CONTROL_PLANE" link add "v-$node" type veth peer name eth0 netns "$ns"
  ip -n "$CONTROL_PLANE" link set "v-$node" master br0 up
  ip -n "$ns" addr add "${CONTROL_PLANE_IP%.*}.$last/24" dev eth0
  ip -n "$ns" link set eth0 up
  ip -n "$ns" route add default via $CONTROL_PLANE_IP
  ip -n "$CONTROL_PLANE" route add "10.244.$last.0/24" via "${CONTROL_PLANE_IP%.*}.$last"
  ip -n "$ns" link add dp0 type veth peer name dp0p
  ip -n "$ns" link set dp0 up
  ip -n "$ns" link set dp0p up
done
