# Everything lives in .venv, made on first use; only Python 3.11 or newer, pip and make are needed.
# `make` alone lists the verbs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# The tests start some hundred processes: each would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIP_ARGS ?=
PYTEST_ARGS ?= -n auto --dist loadfile --no-loadscope-reorder
COMFYUI_PYTEST_ARGS ?=
BENCH_GPU_ARGS ?=

BIN := .venv/bin
# The lock reaches pip by the environment, since that holds for the tools that build Hoard, too.
INSTALL := PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install $(PIP_ARGS)
# "Installed as pyproject.toml and constraints.txt say": what the program needs, and that plus what
# its makers need.
RUNTIME := .venv/.installed-runtime
DEV := .venv/.installed-dev
BUILD_REQUIRES := $(PYTHON) -c 'import tomllib; \
	print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"])'

.PHONY: help setup demo test coverage test-comfyui check format hooks bench bench-webhooks \
	bench-streams bench-gpu docs wheel lock

# The sed keeps the verbs and what stands behind ##; colour is for people, so not for pipes and files.
help: ## list these verbs
	@if [ -t 1 ]; then colour=$$'\e[36m' plain=$$'\e[0m'; else colour= plain=; fi; \
	sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r verb does; do \
		printf '  %smake %-15s%s%s\n' "$$colour" "$$verb" "$$plain" "$$does"; \
	done

setup: $(DEV) ## make .venv with everything that development needs

demo: $(RUNTIME) ## 20 images in one batch, from nothing, and the history of how they came about
	$(BIN)/hoard demo

test: $(DEV) ## run the tests (PYTEST_ARGS='-k queue' to choose)
	$(BIN)/pytest $(PYTEST_ARGS)

coverage: $(DEV) ## run the unit tests, traced, and say how much of the code they reach
	$(BIN)/pytest $(PYTEST_ARGS) tests/unit -q --cov --cov-report=
	@echo "Coverage by unit tests, lines and branches: $$($(BIN)/python -m coverage report --format=total) %"

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

hooks: $(DEV) ## have git run the checks of .pre-commit-config.yaml before each commit
	$(BIN)/pre-commit install

bench: $(DEV) ## measure the running server over HTTP, on SQLite and on PostgreSQL
	$(BIN)/python -m benchmarks

bench-webhooks: $(DEV) ## measure how long a webhook takes to arrive, alone and beside receivers that hang
	$(BIN)/python -m benchmarks.webhooks

bench-streams: $(DEV) ## measure 2,000 open streams of events on one API process
	$(BIN)/python -m benchmarks.streams

bench-gpu: $(DEV) ## measure what a batch costs, on the GPU if there is one (BENCH_GPU_ARGS=--quick)
	$(BIN)/python -m benchmarks.gpu_batch $(BENCH_GPU_ARGS)

docs: $(DEV) ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir site

wheel: | $(BIN)/python ## build the wheel into dist/
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip wheel $(PIP_ARGS) --no-deps --wheel-dir dist .

# A constraint has no local version: torch's +cpu and +cu130 are the same release, and pip may choose.
lock: ## resolve all versions anew, in an environment of their own, into constraints.txt
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	PIP_CONSTRAINT= build/lock/bin/python -m pip install --no-compile $(PIP_ARGS) '.[dev]' $$($(BUILD_REQUIRES))
	{ sed -n '/^#/p' constraints.txt; \
	  build/lock/bin/python -m pip freeze --all --exclude pip --exclude hoard-ledger | sed 's/+.*//'; } >build/lock/constraints.txt
	mv build/lock/constraints.txt constraints.txt
	rm -rf build/lock

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Hoard needs Python 3.11 or newer; say which: make PYTHON=/path/to/python3.11")'
	@echo "Making .venv with $$($(PYTHON) --version)"
	$(PYTHON) -m venv .venv

$(RUNTIME): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what Hoard needs to run; the first time takes a few minutes"
	$(INSTALL) --editable .
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what Hoard and its makers need; the first time takes a few minutes"
	$(INSTALL) --editable '.[dev]'
	@touch $(RUNTIME) $@
