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

.PHONY: help setup run serve record paper faults test test-unit test-integration test-cluster check bench alerts-drill device-check audit \
  fuzz overload signals-drill images \
  images-smoke clean

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

# Two minutes of a simulated exchange at sixty times the speed, with the recorder's page; then dataset, policy, report.
record: setup ## record a simulated exchange, then build, train and judge on it: runs/record
	$(BIN)/python examples/record_simulated.py runs/record $(ARGS)

# MODE=simulated sends orders to the simulated exchange instead; the account is compared with the server's then.
# On a terminal a screen shows the session, elsewhere and with PLAIN=1 lines do.
MINUTES ?= 10
MODE ?= paper
PLAIN ?=
paper: setup ## the model of `make run` trades at a simulated exchange for MINUTES=10 (PLAIN=1: no screen): runs/paper
	$(BIN)/python examples/trade_simulated.py runs/paper --mode $(MODE) --minutes $(MINUTES) --registry "$(REGISTRY)" $(if $(PLAIN),--plain) $(ARGS)

# The table is written last, below what the tests said; where a fault misses something, it says so in its row.
faults: setup ## faults of recorder and sessions, 300 schedules of faults for the trader (an hour); logs in runs/faults
	mkdir -p runs/faults && rm -f runs/faults/table
	status=0; FAULTS=whole FAULTS_TABLE=$(CURDIR)/runs/faults/table KILLS=50 $(BIN)/python -m pytest -v -s $(ARGS) \
	  tests/integration/trading/test_recorder_faults.py tests/integration/trading/test_fault_table.py \
	  2>&1 | tee runs/faults/log || status=$$?; \
	  cat runs/faults/table | tee -a runs/faults/log; \
	  FAULTS=whole FAULT_SCHEDULES=300 $(BIN)/python -m pytest -v -s --timeout 7200 $(ARGS) \
	  tests/integration/trading/test_execution_faults.py tests/integration/trading/test_session_faults.py 2>&1 | tee runs/faults/trading.log || status=$$?; exit $$status

# `make check test`: the checks, then both legs side by side; mypy beside them made Ray's starts too slow for Ray.
ifeq ($(filter-out check test,$(MAKECMDGOALS)),)
MAKEFLAGS += --jobs=2
ifneq ($(filter check,$(MAKECMDGOALS)),)
test-unit test-integration: | check
endif
endif
FILES := --dist loadfile --no-loadscope-reorder

# Two processes and three: of the second leg's time half is waiting, for Ray to start or a process to be missed; what one
# process compiles, the others wait for. Kernels with bounds checks lie in a folder of their own (domain/kernel_cache.py).
test: test-unit test-integration ## every test

test-unit: setup ## tests/unit, kernels compiled with bounds checks
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest tests/unit -n 2 $(FILES) $(ARGS)

test-integration: setup ## tests/integration, kernels compiled as they ship
	$(BIN)/python -m pytest tests/integration -n 3 $(FILES) $(ARGS)

# Not a leg of `test`: a sweep that loses a worker, its head, a shard, disk space, on machines made of namespaces (Linux).
# Fails where this computer makes none. What the sweeps said lies in runs/test-cluster/*.log, the whole in log.
test-cluster: setup ## clusters that share no disk and lose machines: 15 minutes, log in runs/test-cluster
	mkdir -p runs/test-cluster
	$(BIN)/python -m pytest tests/cluster tests/integration/test_share_nothing.py -v $(ARGS) 2>&1 | tee runs/test-cluster/log

check: setup ## format, lint, types, layers, Dockerfiles; a missing tool fails
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint docker/Dockerfile

# Serve's side of `make faults`: what happens to models, and what other clients do, while 100 requests a second come.
overload: setup ## models changed and clients that attack under 100 requests a second (10 minutes), tables in runs/overload
	rm -rf runs/overload && mkdir -p runs/overload
	PYTHONPATH=.:tests:tests/integration:tests/drills $(BIN)/python tests/drills/models_under_load.py runs/overload/models
	PYTHONPATH=.:tests:tests/integration:tests/drills $(BIN)/python tests/drills/load_table.py runs/overload/load $(ARGS)

bench: $(VENV)/.installed-bench ## every benchmark against its peer; appends to benchmarks/RESULTS.md
	$(BIN)/python benchmarks/run.py $(ARGS)

alerts-drill: setup ## every alert provoked on a real server and Prometheus (25 minutes), into runs/alerts-drill
	PYTHONPATH=.:tests:tests/integration $(BIN)/python tests/drills/alerts.py runs/alerts-drill $(ARGS)

# Exit 77 (make: Error 77) on a machine without a GPU, where it measures nothing; no other target depends on it.
device-check: setup ## one iteration of every level on the GPU beside the CPU; exit 77 where there is no GPU
	$(BIN)/python benchmarks/device_check.py

# Outside CI: the list lies on the network. Exit 77 (make: Error 77) where it cannot be reached: nothing is decided then.
audit: setup ## an SBOM of the pinned versions and what a public advisory list says of them, into runs/audit
	$(BIN)/python .ci/audit $(ARGS)

# `make test` draws a sample of each target; FUZZ_SEED=... draws others, FUZZ_SECONDS=... bounds each target (hours
# without), FUZZ_FROM=... goes on where one ended. A finding names its case (tests/made/fuzzing.py).
fuzz: setup ## 100,000 odd files, bodies, frames, answers of every fuzz target; log in runs/fuzz
	mkdir -p runs/fuzz
	FUZZ_CASES=$${FUZZ_CASES:-100000} NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest tests/unit/fuzz \
	  tests/unit/data/market_data/importers/test_odd_files.py -s --timeout 0 $(ARGS) 2>&1 | tee runs/fuzz/log

# Outside CI, which ends four commands: a quarter of an hour. Seconds are told; above 10 on a quiet machine is a fault.
signals-drill: setup ## every command ended by SIGTERM at random moments; log in runs/signals-drill
	mkdir -p runs/signals-drill
	PYTHONPATH=.:tests $(BIN)/python tests/drills/signals.py runs/signals-drill/place $(ARGS) 2>&1 \
	  | tee runs/signals-drill/log

# Outside CI: as root, a quarter of an hour and 20 GB; ARGS="--torch-index URL" where pip finds no CPU wheel of torch.
images: ## both images without a container engine (docker/build-rootless.sh)
	docker/build-rootless.sh $(ARGS)

images-smoke: ## train and serve inside the images of `make images`
	docker/smoke.sh $(ARGS)

clean: ## remove caches and builds; keeps .venv and runs
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis .pytest_cache
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
