# Everything lives in .venv, made on first use; only Python 3.11 or newer, pip and make are needed.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIP_ARGS ?=
PYTEST_ARGS ?= -n auto --dist loadfile --no-loadscope-reorder
COMFYUI_PYTEST_ARGS ?=
BENCH_GPU_ARGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip
# "Installed as pyproject.toml says": what the program needs, and that plus what its makers need.
RUNTIME := .venv/.installed-runtime
DEV := .venv/.installed-dev

.PHONY: help setup demo test test-comfyui check format bench bench-webhooks bench-streams bench-gpu docs

help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1: \2/p' $(MAKEFILE_LIST)

setup: $(DEV) ## make .venv with everything that development needs

demo: $(RUNTIME) ## 20 images in one batch, from nothing, and the history of how they came about
	$(BIN)/hoard demo

test: $(DEV) ## run the tests (PYTEST_ARGS='-k queue' to choose)
	$(BIN)/pytest $(PYTEST_ARGS)

test-comfyui: $(DEV) ## run the tests that need a real ComfyUI, which is installed into .comfyui/ first
	$(BIN)/python -m tests.comfyui.installation
	$(BIN)/pytest tests/comfyui $(COMFYUI_PYTEST_ARGS)

check: $(DEV) ## lint, format, types and import contracts, changing nothing
	$(BIN)/ruff check .
	$(BIN)/black --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV) ## repair what ruff and black can repair
	$(BIN)/ruff check . --fix && $(BIN)/black .

bench: $(DEV) ## measure the running server over HTTP, on SQLite and on PostgreSQL
	$(BIN)/python -m benchmarks

bench-webhooks: $(DEV) ## measure how long a webhook takes to arrive, alone and beside receivers that hang
	$(BIN)/python -m benchmarks.webhooks

bench-streams: $(DEV) ## measure 2,000 open streams of events on one API process
	$(BIN)/python -m benchmarks.streams

bench-gpu: $(DEV) ## measure what a batch costs, on the GPU if there is one (BENCH_GPU_ARGS=--quick)
	$(BIN)/python -m benchmarks.gpu_batch $(BENCH_GPU_ARGS)

docs: $(DEV) ## build the documentation into site/
	$(BIN)/mkdocs build --strict --site-dir site

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Hoard needs Python 3.11 or newer; say which: make PYTHON=/path/to/python3.11")'
	@echo "Making .venv with $$($(PYTHON) --version)"
	$(PYTHON) -m venv .venv

$(RUNTIME): pyproject.toml | $(BIN)/python
	@echo "Installing what Hoard needs to run; the first time takes a few minutes"
	$(PIP) install $(PIP_ARGS) --editable .
	@touch $@

$(DEV): pyproject.toml | $(BIN)/python
	@echo "Installing what Hoard and its makers need; the first time takes a few minutes"
	$(PIP) install $(PIP_ARGS) --editable '.[dev]'
	@touch $(RUNTIME) $@
