#!/usr/bin/env bash
# images.sh BIN-DIR OUT-DIR: archives OUT-DIR/{operator,agent,cli}.tar of the binaries in BIN-DIR, the same as the
# Dockerfile's stages, where no container engine runs. Names: ${REGISTRY:-localhost}/NAME:${TAG:-the workspace's version}.
#
# Static binaries stand alone. Ones that are not (a debug build, say, which tests need not make a second time)
# take the libraries that their loader names with them.
set -euo pipefail
root=$(dirname "$(readlink -f "$0")")/../..
from=$1 out=$2
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$out"

# libraries BINARY: every file its loader would map, the loader itself among them; nothing for a static one.
libraries() { ldd "$1" 2>/dev/null | grep -o '/[^ ]*' | sort -u || true; }

image() {
  local name=$1 binary=$2 file files
  [ -x "$from/$binary" ] || { echo "images.sh: $from/$binary is not built" >&2; exit 1; }
  strip -o "$scratch/$binary" "$from/$binary"
  files=("$scratch/$binary=/$binary")
  for file in $(libraries "$from/$binary"); do files+=("$file=$file"); done
  "$root/e2e/cluster/mkimage.py" "$out/$name.tar" "${REGISTRY:-localhost}/$binary:${TAG:-$version}" "/$binary" "${files[@]}"
  echo "$out/$name.tar  ${REGISTRY:-localhost}/$binary:${TAG:-$version}  $(du -h "$out/$name.tar" | cut -f1)"
}

image operator sluice-operator
image agent sluice-agent
image cli kubectl-sluice
