# Clean Construction System: `make help` lists the verbs.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
DEMO_VENV ?= .venv-demo
BIN := $(VENV)/bin
DEMO_ARGS ?=
FLEET_ARGS ?=
SOAK_ARGS ?=
SEED ?= 1
EXAMPLES ?= 40
KILLS ?=
MUTMUT ?=
SOURCES := edge_agent central simulators benchmarks scripts tests

# Half of a test's time is waiting for a server, a reader or a browser: more of them at once than there are processors.
TESTS_AT_ONCE := $(shell echo $$(($$(nproc) * 2)))
# The tests start hundreds of processes: a module is compiled once, and not by each of them.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help demo test check types tidy mutants mutmut crash bench soak soak-processes pages faults sim fleet access-matrix ask-everything lock system clean

help: ## List the verbs
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | sort | awk 'BEGIN {FS = ":.*?## "} {printf "  make %-8s %s\n", $$1, $$2}'

demo: $(DEMO_VENV)/ready ## Play a site day here: database, broker, central, three terminals, 200 workers (DEMO_ARGS="--help")
	@exec $(DEMO_VENV)/bin/ccs-sim demo $(DEMO_ARGS)

test: system $(VENV)/ready ## Everything: checks, then every test against real servers, readers and a browser
	$(MAKE) --no-print-directory check
	$(BIN)/pytest -n $(TESTS_AT_ONCE) --dist loadgroup --ignore tests/architecture --ignore tests/wire -p no:cacheprovider --durations 25

check: $(VENV)/ready ## Format, lint, types, imports, architecture, unit tests (under a minute)
	@$(MAKE) --no-print-directory --jobs 2 --output-sync types tidy

types: $(VENV)/ready
	$(BIN)/mypy

tidy: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest -q -n auto tests/architecture tests/wire -p no:cacheprovider

mutants: system $(VENV)/ready ## Break every promise on purpose, and show that its test fails
	CCS_LONG=1 $(BIN)/pytest -n auto -p no:cacheprovider tests/mutants

mutmut: $(VENV)/ready ## Change the core modules in every small way, and count what the unit tests notice (MUTMUT="name*" for some)
	$(BIN)/python scripts/mutation.py $(MUTMUT)

bench: system $(VENV)/ready ## Measure the numbers of docs/performance.md (ratios within one run) and rewrite its table
	$(BIN)/python -m benchmarks

crash: $(VENV)/ready ## Cut, fail and change a journal's disk at every single operation, byte and length (CCS_CRASH_SEED=2 for other tears)
	CCS_CRASH=all $(BIN)/pytest -n auto -s --timeout 3600 -p no:cacheprovider tests/edge/test_journal_crash.py tests/edge/test_journal_rot.py

soak: $(VENV)/ready ## Play the whole system in virtual time, seed after seed, until Ctrl-C (SOAK_ARGS="--help")
	$(BIN)/ccs-sim soak $(SOAK_ARGS)

soak-processes: system $(VENV)/ready ## Kill edge, worker, broker and database at random until told to stop (KILLS=200: so many, once)
	$(if $(KILLS),CCS_KILLS=$(KILLS),CCS_SOAK=1) $(BIN)/pytest -x -s tests/system/test_kill_anything.py

pages: system $(VENV)/ready ## Walk every page in every language at every width, and play the long forms beside (CCS_LONG)
	CCS_LONG=1 $(BIN)/pytest -n auto -p no:cacheprovider tests/central tests/system/test_fleet.py

faults: system $(VENV)/ready ## Do every real fault of docs/faults.md to real processes, the long forms too (as root)
	CCS_LONG=1 $(BIN)/pytest -s -p no:cacheprovider tests/faults

sim: $(VENV)/ready ## Play the run of SEED in virtual time; its trace goes to .sim/
	$(BIN)/ccs-sim virtual --seed $(SEED)

fleet: system $(VENV)/ready ## Play a city's morning on this machine (FLEET_ARGS="--scale 0.1 --speed 200")
	$(BIN)/ccs-sim fleet $(FLEET_ARGS)

access-matrix: system $(VENV)/ready ## Write docs/access-matrix.md anew from what a real server answers to every role
	CCS_WRITE_MATRIX=1 $(BIN)/pytest -q -p no:cacheprovider tests/central/access/test_every_role.py

ask-everything: system $(VENV)/ready ## Ask the whole API made-up requests as somebody of every role (SEED=7 for others, EXAMPLES=15 for fewer)
	CCS_LONG=1 CCS_SEED=$(SEED) CCS_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -n auto -p no:cacheprovider tests/central/access/test_whole_api.py

lock: $(VENV)/ready ## Write the hashed requirement locks anew
	scripts/lock.sh $(BIN)/uv

system: ## Install the system parts that the tests drive (as root), or say what is missing
	@scripts/system.sh

clean: ## Remove environments, caches and demo data
	rm -rf $(VENV) $(DEMO_VENV) .demo .mutation .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info

# pip checks each hash; the project itself is installed without touching dependencies again.
$(VENV)/ready: requirements/dev.txt pyproject.toml | system
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: set PYTHON="; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(DEMO_VENV)/ready: requirements/demo.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: set PYTHON="; exit 1; }
	@echo "Making the demo's environment (first run only) …"
	@$(PYTHON) -m venv $(DEMO_VENV)
	@$(DEMO_VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/demo.txt
	@$(DEMO_VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@
