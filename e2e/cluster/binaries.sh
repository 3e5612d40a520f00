#!/usr/bin/env bash
# The binaries of a small real cluster, built from Go modules: about seven minutes on two cores
# with an empty build cache, nothing when they are there. With --there it only says whether they are.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"
if [ "${1:-}" = --there ]; then [ -f "$BIN/.complete" ]; exit; fi
mkdir -p "$BIN" "$IMAGES"
exec 9>"$BIN/.lock" && flock 9   # two set-ups at once would do the same work twice

# Without these kubectl and Helm cannot parse the server's version.
version=$(cd "$SRC/modules/kubernetes" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${version#v1.}; minor=${minor%%.*}
stamp="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  stamp+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$minor"
  stamp+=" -X $package.gitTreeState=clean -X $package.gitCommit=0000000 -X $package.buildDate=2026-01-01T00:00:00Z"
done

# One value for all builds: packages compiled with and without cgo do not share a cache entry.
export CGO_ENABLED=0

# build MODULE TAGS PACKAGE=BINARY…
build() {
  local module=$1 tags=$2 pair missing=(); shift 2
  for pair in "$@"; do [ -x "$BIN/${pair#*=}" ] || missing+=("$pair"); done
  for pair in ${missing[@]+"${missing[@]}"}; do
    local from=$SECONDS
    (cd "$SRC/modules/$module" && go build -trimpath -tags "$tags" -ldflags "$stamp" -o "$BIN/.new" "${pair%=*}")
    mv "$BIN/.new" "$BIN/${pair#*=}"   # never half a binary under its name
    echo "    ${pair#*=} ($((SECONDS - from)) s)"
  done
}

build etcd "" go.etcd.io/etcd/server/v3=etcd
k=k8s.io/kubernetes/cmd
build kubernetes "" $k/kube-apiserver=kube-apiserver $k/kubectl=kubectl $k/kubelet=kubelet \
  $k/kube-controller-manager=kube-controller-manager $k/kube-scheduler=kube-scheduler
c=github.com/containerd/containerd/v2/cmd
build containerd no_btrfs,no_devmapper,no_zfs \
  $c/containerd=containerd $c/containerd-shim-runc-v2=containerd-shim-runc-v2 $c/ctr=ctr
build helm "" helm.sh/helm/v3/cmd/helm=helm

# Every pod needs a process that holds its namespaces.
if [ ! -f "$IMAGES/pause.tar" ]; then
  cc -Os -static -o "$BIN/pause" "$SRC/pause.c"
  "$SRC/mkimage.py" "$IMAGES/pause.tar" localhost/pause:1 /pause "$BIN/pause=/pause"
fi
touch "$BIN/.complete"
