# The commands of this repository; each sets up what it needs first.

.DEFAULT_GOAL := help
.PHONY: help demo clean-demo test lint fmt release bench sim ui screenshots

# Where scripts/setup puts the programs that the tests run.
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ekiden/bin
export PATH := $(TOOLS):$(PATH):/usr/sbin
# What the tests use; where all of it is there, no test may be skipped.
TESTED_WITH := build docker consul prometheus python schemathesis dig busybox chromium node
SEED ?= 1

help: ## Shows this list.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

demo: ## Starts Ekiden on this machine's Docker engine and deploys a service of three instances.
	scripts/setup build docker
	scripts/ui --if-possible
	cargo build --workspace --locked
	scripts/with-docker scripts/demo

clean-demo: ## Removes the demo's service, stops Ekiden and forgets its data.
	scripts/with-docker scripts/demo stop
	rm -rf .demo

test: ## Runs every test: unit, property, simulation, end to end on real Docker and Consul.
	scripts/setup $(TESTED_WITH)
	scripts/ui --if-possible
	cargo build --workspace --locked
	EKIDEN_E2E=$$({ scripts/setup $(TESTED_WITH) && scripts/ui --if-possible; } 2>&1 | grep -q 'not available' || echo require) \
		scripts/with-docker cargo test --workspace --locked

ui: ## Builds the web UI; the next build of the program has it in it.
	scripts/ui

screenshots: ## Makes the README's pictures of the web UI anew, beside the service that make demo has left running.
	scripts/setup chromium node
	scripts/ui
	node ui/tests/screenshots.mjs http://127.0.0.1:8080 docs/images apps-light waiting-dark

lint: ## Checks form, lints, docs, licences and what may depend on what.
	scripts/setup build
	scripts/lint

fmt: ## Formats the sources.
	cargo fmt --all

release: ## Builds what is shipped, target/dist/ekiden, and beside it the debug information, ekiden.debug.
	scripts/setup build
	scripts/ui --if-possible
	scripts/release

bench: ## Measures against etcd, Docker Swarm and a bare client, and writes docs/benchmarks.md: make bench ONLY="plan api"
	scripts/setup build docker etcd
	cargo build --release --locked -p ekiden -p tests --bin ekiden --bin bench --features tests/bench
	scripts/with-docker target/release/bench $(ONLY)

sim: ## Replays one seed of the simulation: make sim SEED=7
	cargo run --locked -p tests --bin sim -- --seed $(SEED)
