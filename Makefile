# `make demo` and `make test` are all that a newcomer needs; `make help` lists the rest.

SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
TARGET ?= $(or $(CARGO_TARGET_DIR),target)
LIBRARY := $(TARGET)/release/libgstdensepose.so
PROGRAM := $(TARGET)/release/densepose
# The program, the C header and its pkg-config file: a user's own directories, or those below a PREFIX that is given.
ifdef PREFIX
BINDIR ?= $(PREFIX)/bin
DATADIR ?= $(PREFIX)/share
INCLUDEDIR ?= $(PREFIX)/include
PKGCONFIGDIR ?= $(PREFIX)/pkgconfig
else
PREFIX := $(or $(XDG_DATA_HOME),$(HOME)/.local/share)/gstreamer-1.0/plugins
BINDIR ?= $(HOME)/.local/bin
DATADIR ?= $(or $(XDG_DATA_HOME),$(HOME)/.local/share)
INCLUDEDIR ?= $(HOME)/.local/include
PKGCONFIGDIR ?= $(HOME)/.local/lib/pkgconfig
endif
INPUT ?=
OUTPUT ?=
OPTIONS ?=

.PHONY: help
help: ## List the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

.PHONY: demo
demo: ## Draw the body parts: make demo [INPUT=VIDEO, PHOTO, FOLDER, /dev/video0 or ADDRESS] [OUTPUT=...] [OPTIONS=...].
	scripts/dependencies.sh run
	cargo build --release --bin densepose
	@$(MAKE) -s demo-run

.PHONY: demo-run
demo-run:
	@set -e; input="$(or $(INPUT),examples/media/people.mp4)" output="$(OUTPUT)"; options=(--force); \
	case "$${input,,}" in /dev/video*) options+=(--seconds 10) ;; esac; \
	if [ -d "$$input" ]; then output="$${output:-out/demo}"; else case "$${input,,}" in \
		*.jpg | *.jpeg | *.png | *.webp | *.bmp | *.tif | *.tiff) output="$${output:-out/demo.png}" ;; \
		*) output="$${output:-out/demo.mp4}"; options+=(--picture "$${output%.*}.png") ;; esac; fi; \
	"$(TARGET)/release/densepose" "$$input" "$$output" "$${options[@]}" $(OPTIONS)

.PHONY: build
build: ## Build plugin and program: target/release/libgstdensepose.so, target/release/densepose.
	scripts/dependencies.sh build
	cargo build --release --lib --bin densepose

.PHONY: install
install: build install-header install-program ## Install the program, and the plugin where GStreamer finds it (PREFIX=...).
	install -D -m 755 $(LIBRARY) "$(DESTDIR)$(PREFIX)/libgstdensepose.so"
	@echo "Installed to $(DESTDIR)$(PREFIX) and $(DESTDIR)$(BINDIR). Try: gst-inspect-1.0 densepose; densepose --help"

COMPLETIONS := bash:bash-completion/completions/densepose zsh:zsh/site-functions/_densepose \
	fish:fish/vendor_completions.d/densepose.fish

# What is in PROGRAM is installed as it is, with the manual and completions that it prints.
.PHONY: install-program
install-program:
	install -D -m 755 $(PROGRAM) "$(DESTDIR)$(BINDIR)/densepose"
	install -d "$(DESTDIR)$(DATADIR)/man/man1"
	$(PROGRAM) manual >"$(DESTDIR)$(DATADIR)/man/man1/densepose.1"
	for pair in $(COMPLETIONS); do file="$(DESTDIR)$(DATADIR)/$${pair#*:}"; \
		install -d "$$(dirname "$$file")" && $(PROGRAM) completions "$${pair%%:*}" >"$$file" || exit 1; done

.PHONY: install-header
install-header: ## Install the C header and gst-densepose-1.0.pc (INCLUDEDIR=..., PKGCONFIGDIR=...).
	install -D -m 644 include/gst/densepose/densepose-meta.h "$(DESTDIR)$(INCLUDEDIR)/gst/densepose/densepose-meta.h"
	install -d "$(DESTDIR)$(PKGCONFIGDIR)"
	sed -e "s|@includedir@|$$(realpath -ms "$(INCLUDEDIR)")|" -e "s|@pluginsdir@|$$(realpath -ms "$(PREFIX)")|" \
		-e "s|@version@|$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)|" \
		include/gst-densepose-1.0.pc.in >"$(DESTDIR)$(PKGCONFIGDIR)/gst-densepose-1.0.pc"

.PHONY: uninstall
uninstall: ## Take it away again.
	rm -f $(foreach pair,$(COMPLETIONS),"$(DESTDIR)$(DATADIR)/$(lastword $(subst :, ,$(pair)))") \
		"$(DESTDIR)$(BINDIR)/densepose" "$(DESTDIR)$(DATADIR)/man/man1/densepose.1"
	rm -f "$(DESTDIR)$(PREFIX)/libgstdensepose.so" "$(DESTDIR)$(PKGCONFIGDIR)/gst-densepose-1.0.pc" \
		"$(DESTDIR)$(INCLUDEDIR)/gst/densepose/densepose-meta.h"
	rmdir "$(DESTDIR)$(INCLUDEDIR)/gst/densepose" 2>/dev/null || true

.PHONY: test
test: dependencies lint test-rust test-features test-neon test-analytics test-backend test-zoo ## Everything that CI runs.

.PHONY: dependencies
dependencies:
	scripts/dependencies.sh test

.PHONY: lint
lint: ## Formatting and lints.
	cargo fmt --check
	cargo clippy --release --all-targets -- -D warnings
	cargo check --release --lib --no-default-features
	cargo check --release --lib --no-default-features --features gstreamer
	cargo check --release --lib --no-default-features --features embedded-model

# Tests run with dependencies' warnings fatal; the same features for library and tests save a second build of them.
.PHONY: test-rust
test-rust: ## The plugin's tests: units, harness, real pipelines, Python reader, leaks.
	cargo build --release --all-targets
	G_DEBUG=fatal_warnings cargo test --release --all-targets
	cargo test --release --doc

.PHONY: test-features
test-features: ## The library without GStreamer, and the plugin without a network inside.
	cargo test --release --no-default-features --lib
	cargo test --release --no-default-features --features gstreamer --test unembedded

.PHONY: test-neon
test-neon: ## ARM's vectors, on other processors under an emulator.
	scripts/test_neon.sh

# Debian 12 has no GStreamer 1.24, newer systems have it in libgstreamer-plugins-bad1.0-dev.
.PHONY: test-analytics
test-analytics: ## The standard analytics metas, where GStreamer 1.24 or newer has them.
	@if pkg-config --atleast-version=1.26 gstreamer-analytics-1.0; then feature=v1_26; \
	elif pkg-config --atleast-version=1.24 gstreamer-analytics-1.0; then feature=v1_24; \
	else echo "No GStreamer analytics library of version 1.24 or newer: nothing to test."; exit 0; fi; set -ex; \
	cargo clippy --release --lib --features $$feature -- -D warnings; \
	G_DEBUG=fatal_warnings cargo test --release --lib --features $$feature -- analytics meta::

# PyPI's wheel, which the zoo's tests need, too, brings the library.
.PHONY: test-backend
test-backend: $(VENV)/ready ## The networks run by ONNX Runtime, in a build with that feature.
	cargo clippy --release --lib --test onnxruntime --features onnxruntime -- -D warnings
	ORT_DYLIB_PATH="$$(echo $(abspath $(VENV))/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*)" \
	G_DEBUG=fatal_warnings cargo test --release --features onnxruntime --lib --test estimator --test onnxruntime

.PHONY: test-zoo
test-zoo: $(VENV)/ready ## The Python package's tests.
	cd models && PYTHONPATH=. ../$(VENV)/bin/python -m pytest -q zoo/tests

$(VENV)/ready: models/zoo/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q --disable-pip-version-check -r models/zoo/requirements.txt
	touch $@

SOAK_SECONDS ?= 20
SOAK_CYCLES ?= 100

.PHONY: soak
soak: ## A live source under load: frames in time, fresh results, flat memory [SOAK_SECONDS=20] [SOAK_CYCLES=100].
	cargo run --release --example soak -- --seconds $(SOAK_SECONDS) --cycles $(SOAK_CYCLES)

SECONDS_EACH ?= 60

# cargo-fuzz asks for a nightly compiler; RUSTC_BOOTSTRAP lets the stable one do. The address sanitizer sees what
# vectors read beyond their slices; rustc.sh spares the dependencies.
.PHONY: fuzz
fuzz: ## Throw random bytes at every parser, each for SECONDS_EACH (60); needs `cargo install cargo-fuzz`.
	@cargo fuzz --version >/dev/null 2>&1 || { echo "cargo-fuzz is missing: cargo install cargo-fuzz" >&2; exit 1; }
	cd fuzz && cargo run --release --bin seeds
	for target in packet sei jsonl coco manifest onnx; do \
		RUSTC_BOOTSTRAP=1 RUSTC_WRAPPER=$(CURDIR)/fuzz/rustc.sh cargo fuzz run -s address $$target -- -max_total_time=$(SECONDS_EACH) -rss_limit_mb=4096 -timeout=20 || exit 1; done

.PHONY: bench
bench: ## Milliseconds per stage and frame.
	cargo run --release --example bench_stages -- examples/media/astronaut.jpg --persons 1
	cargo run --release --example bench_render

.PHONY: bench-models
bench-models: $(VENV)/ready ## The paper's networks with random weights: size, speed and memory, into models/README.md.
	PYTHON="$(abspath $(VENV))/bin/python" scripts/bench_models.sh out/bench

.PHONY: performance
performance: $(VENV)/ready ## Networks beside ONNX Runtime and PyTorch, into docs/performance.md.
	PYTHON="$(abspath $(VENV))/bin/python" scripts/performance.sh
