# Thin names for commands that can be run by hand just as well.
# CARGO_TARGET_DIR, SLUICE_CACHE (see setup.sh) and the usual cargo variables are respected.
.DEFAULT_GOAL := help
.PHONY: help setup build demo demo-up demo-down test verify fix generate fuzz fuzz-decoders soak bench bench-scale image clean

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
ARCH := $(shell uname -m)-unknown-linux-gnu
# A runner of our own for test binaries: see the script.
RUNNER := CARGO_TARGET_$(shell echo $(ARCH) | tr a-z- A-Z_)_RUNNER=$(CURDIR)/e2e/scripts/test-runner.sh

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## install what building, testing and verifying need
	./setup.sh

build: ## build every program (debug)
	./setup.sh build
	cargo build

demo: build ## three edge nodes: an attack, policies, an edit, a balancer, a dead server; then all of it gone
	cargo run -q --bin demo

demo-up: build ## the same nodes, left running to play with
	cargo run -q --bin demo -- up

demo-down: build ## take them away
	cargo run -q --bin demo -- down

test: ## every test, the real kernel and a real Kubernetes included
	./setup.sh test
	# Tests start the programs, which testing a workspace alone does not build.
	cargo build --workspace --bins
	$(RUNNER) cargo test --workspace --no-fail-fast

verify: ## format, lints, licences and advisories, generated files current, docs build
	./setup.sh build verify
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo deny --log-level error check licenses bans sources
	e2e/scripts/advisories.sh
	e2e/scripts/generated.sh
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

fix: ## what of verify can be mended by a machine
	cargo fmt --all
	cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged

generate: ## make the generated files again
	cargo run -q -p sluice-crds --bin crdgen

fuzz: build ## random packets through kernel and interpreter until they disagree (PACKETS=10000000)
	cargo run -q --bin fuzz -- --number $(or $(PACKETS),10000000)

fuzz-decoders: ## every decoder of what comes from the network, by coverage, from the examples of its test (SECONDS=60 for each)
	./setup.sh build fuzz
	fuzz/run.sh $(or $(SECONDS),60)

soak: build ## what takes too long for every test: 200 replacements of 10,000 rules, 1,000,000 random verdicts, 100,000 damaged messages for each decoder, 1,000 seeds of failing operators, 10 minutes of steady state
	SLUICE_REPLACEMENTS=200 $(RUNNER) cargo test --workspace --test datapath -- replace:: --nocapture
	SLUICE_SEEDS=$(or $(SEEDS),1000) $(RUNNER) cargo test --workspace --lib simulation:: -- --nocapture
	SLUICE_MUTATIONS=$(or $(MUTATIONS),100000) $(RUNNER) cargo test --workspace --test decoders -- --nocapture
	SLUICE_STEADY=600 $(RUNNER) cargo test --workspace --test api_identity
	$(MAKE) fuzz PACKETS=1000000

bench: ## what a packet costs in empty programs, and an edit in milliseconds, for docs/ (BENCH='-o json' for a machine)
	./setup.sh bench
	cargo build --release
	cargo run -q --release --bin bench -- $(or $(BENCH),--write docs)

bench-scale: ## what 5,000 agents cost an operator, for docs/ (SCALE='--agents 500 --json' for less)
	./setup.sh build
	cargo build --release
	ulimit -n 20000 && cargo run -q --release --bin bench-scale -- $(or $(SCALE),--write docs)

image: ## images of operator, agent and cli in TARGET/images, without a container engine
	./setup.sh build
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --target $(ARCH)
	e2e/cluster/images.py $(TARGET_DIR)/$(ARCH)/release $(TARGET_DIR)/images

clean: ## remove what was built; the cache outside the tree stays
	cargo clean
