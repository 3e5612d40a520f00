#!/usr/bin/env bash
# Configuration of containerd, of the pods' network, of the kubelet and of kube-proxy. usage: node-config.sh (from node-init.sh)
set -euo pipefail
for plugins in /usr/lib/cni /opt/cni/bin; do [ ! -d $plugins ] || break; done
mkdir -p /etc/kubernetes/cni
cd /etc/kubernetes

# restrict_oom_score_adj: without CAP_SYS_RESOURCE every pod fails otherwise, with "can't get final child's PID from pipe".
cat >containerd.toml <<TOML
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs", "io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "localhost/pause:1"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["$plugins"]
    conf_dir = "/etc/kubernetes/cni"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      SystemdCgroup = false
      BinaryName = "$(command -v runc)"
TOML

cat >cni/10-pods.conflist <<JSON
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "ptp", "ipMasq": false, "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam",
    "ranges": [[{"subnet": "10.244.${address##*.}.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON

# failCgroupV1: v1 machines still exist. Eviction is off: the disk is the machine's, and its fill level says nothing here.
# The short intervals make a lost and a returned node show within seconds.
cat >kubelet.yaml <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
failSwapOn: false
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: /etc/kubernetes/pki/kubelet-$NODE.crt
tlsPrivateKeyFile: /etc/kubernetes/pki/kubelet-$NODE.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
clusterDomain: cluster.local
clusterDNS: [$DNS_IP]
resolvConf: ""
localStorageCapacityIsolation: false
enforceNodeAllocatable: [pods]
evictionHard: {memory.available: 1Mi, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}
imageGCHighThresholdPercent: 100
nodeStatusUpdateFrequency: 4s
nodeStatusReportFrequency: 10s
nodeLeaseDurationSeconds: 8
syncFrequency: 5s
shutdownGracePeriod: 0s
makeIPTablesUtilChains: false
maxPods: 20
YAML

# conntrack: its limits belong to the machine, not to a namespace.
cat >proxy.yaml <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {kubeconfig: /etc/kubernetes/pki/proxy.kubeconfig}
hostnameOverride: $NODE
clusterCIDR: 10.244.0.0/16
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
YAML
