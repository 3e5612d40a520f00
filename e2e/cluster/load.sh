#!/usr/bin/env bash
# load.sh TAR…: imports image archives on every node, and on nodes that start later.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"
for tar in "$@"; do
  cp "$tar" "$STATE/images/.new" && mv "$STATE/images/.new" "$STATE/images/$(basename "$tar")"
  for node in "$STATE"/nodes/*/; do
    "$SRC/node-exec.sh" "$(basename "$node")" /opt/cluster/ctr -n k8s.io images import --snapshotter overlayfs - <"$tar" >&2
  done
done
