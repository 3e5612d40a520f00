#!/usr/bin/env bash
# The binaries of a small real cluster, built from Go modules: some eight minutes on two cores with an
# empty build cache, nothing when they are there.
#
#   binaries.sh                    build what is missing
#   binaries.sh --there [api]      say by the exit code whether all are there, or those an API server needs
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"
k=k8s.io/kubernetes/cmd c=github.com/containerd/containerd/v2/cmd
api=(go.etcd.io/etcd/server/v3 $k/kube-apiserver $k/kubectl)
nodes=($k/kubelet $k/kube-proxy $k/kube-controller-manager $k/kube-scheduler
  $c/containerd $c/containerd-shim-runc-v2 $c/ctr helm.sh/helm/v3/cmd/helm ./dns)

# binary PACKAGE: its name here; what `go build` calls it is the last part of the path.
binary() { case $1 in go.etcd.io/*) echo etcd ;; *) basename "$1" ;; esac; }

there() {
  local package
  for package in "$@"; do [ -x "$BIN/$(binary "$package")" ] || return 1; done
}

case ${1:-}:${2:-} in
  --there:api) there "${api[@]}"; exit ;;
  --there:) there "${api[@]}" "${nodes[@]}" && [ -f "$IMAGES/pause.tar" ]; exit ;;
esac
mkdir -p "$BIN" "$IMAGES"
exec 9>"$BIN/.lock" && flock 9   # two set-ups at once would do the same work twice
cd "$SRC"

# Without these kubectl and Helm cannot parse the server's version.
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${version#v1.}; minor=${minor%%.*}
stamp="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  stamp+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$minor"
  stamp+=" -X $package.gitTreeState=clean -X $package.gitCommit=0000000 -X $package.buildDate=2026-01-01T00:00:00Z"
done

# build WHAT PACKAGE…
build() {
  local what=$1 from=$SECONDS package; shift
  ! there "$@" || return 0
  echo "    $what"
  rm -rf "$BIN/.new" && mkdir "$BIN/.new"
  # Without cgo for all of them: packages compiled with it share no cache entry with those without.
  CGO_ENABLED=0 go build -trimpath -tags no_btrfs,no_devmapper,no_zfs -ldflags "$stamp" -o "$BIN/.new/" "$@"
  [ ! -e "$BIN/.new/server" ] || mv "$BIN/.new/server" "$BIN/.new/etcd"
  mv "$BIN"/.new/* "$BIN/"   # never half a binary under its name
  echo "    $what: $((SECONDS - from)) s"
}

build "the API server, etcd and kubectl" "${api[@]}"
build "the nodes' programs, DNS and Helm" "${nodes[@]}"

# Every pod needs a process that holds its namespaces.
if [ ! -f "$IMAGES/pause.tar" ]; then
  cc -Os -static -o "$BIN/pause" "$SRC/pause.c"
  "$SRC/mkimage.py" "$IMAGES/pause.tar" localhost/pause:1 /pause "$BIN/pause=/pause"
fi
