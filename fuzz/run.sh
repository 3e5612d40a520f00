#!/usr/bin/env bash
# Every decoder of what comes from the network, fuzzed by coverage. usage: run.sh [SECONDS [TARGET…]]
#
# Each target runs for SECONDS (60) from what was found before and the examples of e2e/tests/decoders; what ends a run is
# left in TARGET/fuzz/artifacts. Works with a stable compiler: what `cargo fuzz run --sanitizer none` passes to it is stable.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
seconds=${1:-60}; shift || true
host=$(rustc -vV | sed -n 's/^host: //p')
place=$(readlink -f "${CARGO_TARGET_DIR:-../target}")/fuzz
mapfile -t all < <(basename -s .rs fuzz_targets/*.rs)
[ $# -gt 0 ] || set -- "${all[@]}"

SLUICE_EXAMPLES=$place/seeds SLUICE_MUTATIONS=0 cargo test -q --manifest-path ../Cargo.toml --workspace --test decoders >/dev/null

export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
cargo build -q --locked --release --target "$host" --target-dir "$place" $(printf -- '--bin %s ' "$@")

for target in "$@"; do
  mkdir -p "$place/corpus/$target" "$place/artifacts"
  echo "== $target"
  # Bounds as in the test: of memory, of one reading's time.
  "$place/$host/release/$target" -max_total_time="$seconds" -max_len=65536 -timeout=5 -rss_limit_mb=512 \
    -artifact_prefix="$place/artifacts/$target-" -print_final_stats=1 "$place/corpus/$target" "$place/seeds/$target" 2>&1 |
    grep -E '^(Done|stat::(number|peak)|SUMMARY|==[0-9]|Test unit)' || { echo "$target failed" >&2; exit 1; }
done
