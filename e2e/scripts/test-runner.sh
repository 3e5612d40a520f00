#!/usr/bin/env bash
# Cargo's runner of test binaries: those of e2e own interfaces, ports and one kernel, so their tests take turns,
# while the tests of every other crate use all processors. Cargo sets CARGO_MANIFEST_DIR.
set -eu
case $CARGO_MANIFEST_DIR:$1 in
  */e2e:*/deps/*) exec "$@" --test-threads=1 ;;
  *) exec "$@" ;;
esac
