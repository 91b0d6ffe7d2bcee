# `make demo` and `make test` are all that a newcomer needs; `make help` lists the rest.

SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
TARGET ?= $(or $(CARGO_TARGET_DIR),target)
LIBRARY := $(TARGET)/release/libgstdensepose.so
PREFIX ?= $(or $(XDG_DATA_HOME),$(HOME)/.local/share)/gstreamer-1.0/plugins
INPUT ?=
OUTPUT ?= out/demo.mp4

.PHONY: help
help: ## List the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

.PHONY: demo
demo: ## Draw the body parts on a clip: make demo [INPUT=FILE or /dev/video0] [OUTPUT=FILE.mp4].
	scripts/dependencies.sh run
	cargo build --release --lib
	scripts/demo.sh "$(INPUT)" "$(OUTPUT)"

.PHONY: build
build: ## Build the plugin: target/release/libgstdensepose.so.
	scripts/dependencies.sh build
	cargo build --release --lib

.PHONY: install
install: build ## Put the plugin where GStreamer finds it (PREFIX=... for another directory).
	install -D -m 755 $(LIBRARY) "$(DESTDIR)$(PREFIX)/libgstdensepose.so"
	@echo "Installed to $(DESTDIR)$(PREFIX). Try: gst-inspect-1.0 densepose"

.PHONY: uninstall
uninstall: ## Take it away again.
	rm -f "$(DESTDIR)$(PREFIX)/libgstdensepose.so"

.PHONY: test
test: dependencies lint test-rust test-zoo ## Everything that CI runs.

.PHONY: dependencies
dependencies:
	scripts/dependencies.sh test

.PHONY: lint
lint: ## Formatting and lints.
	cargo fmt --check
	cargo clippy --release --all-targets -- -D warnings

# Tests run with dependencies' warnings fatal; the same features for library and tests save a second build of them.
.PHONY: test-rust
test-rust: ## The plugin's tests: units, harness, real pipelines, Python reader, leaks.
	cargo build --release --all-targets
	G_DEBUG=fatal_warnings cargo test --release --all-targets
	cargo test --release --doc

.PHONY: test-zoo
test-zoo: $(VENV)/ready ## The Python package's tests.
	cd models && PYTHONPATH=. ../$(VENV)/bin/python -m pytest -q zoo/tests

$(VENV)/ready: models/zoo/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q --disable-pip-version-check -r models/zoo/requirements.txt
	touch $@

.PHONY: bench
bench: ## Milliseconds per stage and frame.
	for threads in 1 2; do \
		cargo run --release --example bench_stages -- examples/media/astronaut.jpg --threads $$threads; done
	cargo run --release --example bench_render
