#!/usr/bin/env bash
# Fails if making the generated files again changes one of them. Compares with the files as they are, not with
# the last commit, so that it can be run before committing.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
state() { git ls-files -z --cached --others --exclude-standard -- crds charts docs | xargs -0 sha256sum; }
before=$(state)
make -s generate
diff <(echo "$before") <(state) >&2 || { echo "generated files were out of date and are now made again: commit them" >&2; exit 1; }
