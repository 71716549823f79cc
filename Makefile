# Every command a person needs. `make` alone lists them.
#
# Nothing has to be prepared: each target makes the virtual environment it needs, with plain pip
# and the hashed pins of requirements/. Flags: PYTEST_FLAGS="-k consent" for `make test`.

SHELL := /bin/sh
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check
JOBS ?= 2
PYTEST_FLAGS ?=

# A stamp holds the sum of what was installed, so that a new checkout time alone installs nothing.
SUM := cat pyproject.toml requirements/*.txt | cksum

.PHONY: help
help: ## list the commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z-]*:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- set-up ------------------------------------------------------------------------------------

.PHONY: venv
venv:
	@if ! $(PY) -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  for python in $(PYTHON) python3.13 python3.12 python3.11 python3.14 python3 python; do \
	    if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	    then found=$$python; break; fi; \
	  done; \
	  if [ -z "$${found:-}" ]; then \
	    echo "agegate needs Python 3.11 or newer with its venv module (Debian: python3-venv)." >&2; exit 1; \
	  fi; \
	  echo "making $(VENV) with $$("$$found" --version)"; \
	  rm -rf $(VENV); "$$found" -m venv $(VENV); \
	fi

# $(call install,NAME): the pins of requirements/NAME.txt, then this checkout, editable.
define install
	@sum=$$($(SUM)); stamp=$(VENV)/.installed-$(1); \
	if [ "$$sum" != "$$(cat $$stamp 2>/dev/null)" ] || [ ! -x $(BIN)/agegate ]; then \
	  echo "installing requirements/$(1).txt"; \
	  $(PIP) install --quiet --quiet --require-hashes -r requirements/$(1).txt; \
	  $(PIP) install --quiet --quiet --no-deps --no-build-isolation --editable .; \
	  echo "$$sum" > $$stamp; \
	fi
endef

.PHONY: setup
setup: venv ## the virtual environment with everything for development, and the git hook
	$(call install,dev)
	@if [ -z "$${CI:-}" ] && [ -e .git ] && ! git config --get core.hooksPath >/dev/null; then \
	  git config core.hooksPath .githooks || true; \
	fi

.PHONY: setup-demo
setup-demo: venv
	@if [ "$$($(SUM))" = "$$(cat $(VENV)/.installed-dev 2>/dev/null)" ]; then \
	  $(SUM) > $(VENV)/.installed-demo; \
	fi
	$(call install,demo)

# --- use ---------------------------------------------------------------------------------------

.PHONY: demo
demo: setup-demo ## the whole product on this machine: service, worker, letter box, demo app
	@exec $(BIN)/agegate demo

# --- develop -----------------------------------------------------------------------------------

.PHONY: format
format: setup ## format the code and sort its imports
	@$(BIN)/ruff check --quiet --select I --fix .
	@$(BIN)/ruff format .

.PHONY: lint
lint: setup ## format check, ruff, types, import rules
	@$(BIN)/ruff format --check --quiet --diff .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

.PHONY: quick
quick: setup ## ten seconds: format and lint what is about to be committed, import rules
	@files=$$(git diff --cached --name-only --diff-filter=ACMR -- '*.py'); \
	if [ -n "$$files" ]; then \
	  $(BIN)/ruff format --check --quiet --diff $$files; $(BIN)/ruff check --quiet $$files; \
	fi
	@$(BIN)/lint-imports --no-logo

.PHONY: check
check: lint ## under two minutes: lint, the rulebook, unit and contract tests on memory and SQLite
	@$(BIN)/agegate rules check
	@$(BIN)/pytest tests/unit tests/contract -q -n $(JOBS) --dist loadfile -m "not postgres and not browser" $(PYTEST_FLAGS)

.PHONY: test
test: setup ## every test: SQLite, a real PostgreSQL, a real SMTP sink, a browser if there is one
	@$(BIN)/pytest -n $(JOBS) --dist loadfile $(PYTEST_FLAGS)

.PHONY: coverage
coverage: setup ## every test, measured; writes htmlcov/
	@$(BIN)/pytest -n $(JOBS) --dist loadfile --cov --cov-report=html --cov-report=term $(PYTEST_FLAGS)

.PHONY: ci
ci: check wheel audit test ## what a submission must pass

.PHONY: bench
bench: setup ## speed against limits measured in the same run
	@$(PY) -m benchmarks

.PHONY: migration
migration: setup ## a new migration: make migration NAME=add_appeals
	@test -n "$(NAME)" || { echo "say what it does: make migration NAME=add_appeals" >&2; exit 2; }
	@$(PY) -m tests.support.new_migration "$(NAME)"; $(BIN)/ruff format --quiet migrations

# --- ship --------------------------------------------------------------------------------------

.PHONY: wheel
wheel: setup ## build the wheel and try its base install in a clean environment
	@$(PY) -m tests.support.wheel

.PHONY: audit
audit: setup ## known vulnerabilities in the pinned requirements
	@$(PY) -m tests.support.audit requirements/guard.txt requirements/server.txt requirements/dev.txt

.PHONY: lock
lock: setup ## compile requirements/*.txt anew from pyproject.toml
	@set -- $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header $(LOCK_FLAGS) pyproject.toml; \
	"$$@" -o requirements/guard.txt; \
	"$$@" --extra server -c requirements/guard.txt -o requirements/server.txt; \
	"$$@" --extra server --group demo -c requirements/server.txt -o requirements/demo.txt; \
	"$$@" --extra server --group dev -c requirements/demo.txt -o requirements/dev.txt

.PHONY: clean
clean: ## remove the virtual environment, caches and build results; var/ (your data) stays
	@rm -rf $(VENV) dist build htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache \
	  .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
