# One environment, .venv, made here; what is installed in it is stamped, so that it is done once.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install -q -c constraints.txt
ARGS ?=

.PHONY: help demo test lint browser bench soak soak-day docs clean

#: Recordings of trades for soak-day; the public sample by default.
DAY ?= $(wildcard ../shared/data/equity/tick/*/*_trade.zip)

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 16

demo: $(VENV)/.installed ## Live candles in the browser, without any key (ARGS="--port 9000")
	@exec $(BIN)/workbench demo $(ARGS)

test: $(VENV)/.test browser lint ## Style, types, import layers and all tests
	@$(BIN)/workbench warm
	@if .ci/chromium; then exec $(BIN)/python -m pytest $(ARGS); \
	else exec $(BIN)/python -m pytest -m 'not browser' $(ARGS); fi

lint: $(VENV)/.test ## Style, types and import layers only
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

browser:
	@.ci/chromium --install

bench: $(VENV)/.bench ## Figures, each against its floor or a peer in the same run
	@for script in tests/bench/bench_*.py; do \
	    echo "== $$script"; \
	    $(BIN)/python "$$script" $(ARGS) || exit 1; \
	done

soak: $(VENV)/.test ## A hundred seeds of faults, fifty kills, a thousand reconnects (hours)
	@$(BIN)/python -m tests.soak.run $(ARGS)

soak-day: $(VENV)/.test ## A recorded trading day at 50x under faults (DAY="files of trades")
	@$(BIN)/python -m tests.soak.day $(DAY) $(ARGS)

docs: $(VENV)/.docs ## Build the documentation into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

clean: ## Remove the environment and everything that was built
	@rm -rf $(VENV) site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis \
	    .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A link to an interpreter that has gone counts as missing, so the environment is made anew.
$(BIN)/python:
	@python=$$(.ci/python); \
	echo "Making $(VENV) with $$($$python --version)"; \
	$$python -m venv --clear $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt $(BIN)/python
	@echo "Installing Workbench into $(VENV) (once) ..."
	@$(PIP) -e .
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt $(BIN)/python
	@echo "Installing Workbench with what its tests need into $(VENV) (once) ..."
	@$(PIP) -e '.[test,notebook]'
	@touch $(VENV)/.installed $@

$(VENV)/.bench: $(VENV)/.test
	@echo "Installing the libraries that figures are compared with into $(VENV) (once) ..."
	@$(PIP) -e '.[test,bench]'
	@touch $(VENV)/.installed $(VENV)/.test $@

$(VENV)/.docs: pyproject.toml constraints.txt $(BIN)/python
	@echo "Installing what builds the documentation into $(VENV) (once) ..."
	@$(PIP) -e '.[docs]'
	@touch $(VENV)/.installed $@
