# make run    data to a trained policy and its report     make test   every test
# make serve  that policy over HTTP on this machine       make help   all targets
# DATA=path   use recordings instead of simulated ones    ARGS=...    further options of the command
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# A machine without a GPU saves gigabytes with TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
DATA ?=
ARGS ?=
CODE := kalshi_platform tune_experiments serve_deployments cluster docker tests benchmarks examples

# Where `make run` registers its model; another registry or alias: REGISTRY=..., ARGS="--model ...".
REGISTRY ?= runs/quickstart/registry

.PHONY: help setup run serve test test-unit test-integration check bench device-check alerts-drill clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp is touched last, so an interrupted installation is repeated.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name it with PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) \
	  "$$(grep '^torch==' constraints.txt)" -c constraints.txt
	$(BIN)/python -m pip install --quiet -e '.[all]' -c constraints.txt
	touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -e '.[all,bench]' -c constraints.txt
	touch $@

setup: $(VENV)/.installed ## install everything, pinned, into .venv (skipped where up to date)

run: setup ## quickstart: simulated data, or DATA=path, to runs/quickstart/report.html
	$(BIN)/kalshi-platform quickstart $(if $(DATA),--input "$(DATA)") $(ARGS)

serve: setup ## the model of `make run` on http://127.0.0.1:8000, until Ctrl-C
	$(BIN)/kalshi-platform serve --registry "$(REGISTRY)" $(ARGS)

# The legs run side by side, and the files of the second in three processes: half of their time is waiting, for Ray to
# start or for a process to be missed. Kernels with bounds checks lie in a folder of their own (domain/kernel_cache.py).
test: setup ## every test
	$(MAKE) --no-print-directory -j2 test-unit test-integration

test-unit: setup ## tests/unit, kernels compiled with bounds checks
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest tests/unit $(ARGS)

test-integration: setup ## tests/integration, kernels compiled as they ship
	$(BIN)/python -m pytest tests/integration -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

check: setup ## format, lint, types, layers, Dockerfiles; a missing tool fails
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint docker/*.Dockerfile

bench: $(VENV)/.installed-bench ## every benchmark against its peer; appends to benchmarks/RESULTS.md
	$(BIN)/python benchmarks/run.py $(ARGS)

# Exit 77 (make: Error 77) on a machine without a GPU, where it measures nothing; no other target depends on it.
device-check: setup ## one iteration of every level on the GPU beside the CPU; exit 77 where there is no GPU
	$(BIN)/python benchmarks/device_check.py

alerts-drill: setup ## every alert provoked on a real server and Prometheus (25 minutes), into runs/alerts-drill
	$(BIN)/python tests/drills/alerts.py runs/alerts-drill $(ARGS)

clean: ## remove caches and builds; keeps .venv and runs
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis .pytest_cache
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
