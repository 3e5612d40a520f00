#!/usr/bin/env bash
# Takes down the cluster named by CLUSTER: processes, namespaces, cgroups, mounts, disks. Fine when there is none.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"
dismantle
