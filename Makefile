# `make report` and `make test` need Python 3.11 or newer, pip and make; everything else they install.
# TORCH_INDEX: a package index to look for torch in besides PyPI. On Linux,
# TORCH_INDEX=https://download.pytorch.org/whl/cpu spares you the CUDA build.

PYTHON ?= python3
TORCH_INDEX ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.DEFAULT_GOAL := help
.PHONY: help report reports guard notebooks docs test test-fast benchmark check lint format clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

report: $(VENV)/installed ## Report MobileNetV2 at alpha 0.75 and 192 px, checked against fvcore
	@$(BIN)/mbanalyze report mobilenet_v2 --alpha 0.75 --resolution 192 --check

reports: $(VENV)/installed ## Write the files in reports/ again
	@$(BIN)/python -m reports
	@$(BIN)/mbanalyze guard update --allow-ci

guard: $(VENV)/installed ## Hold the known networks against reports/mbanalyze.lock.json
	@$(BIN)/mbanalyze guard

notebooks: $(VENV)/installed-notebook ## Execute the notebooks; pages with their outputs go to build/notebooks
	$(BIN)/jupyter nbconvert --execute --to html --output-dir build/notebooks notebooks/*.ipynb

docs: $(VENV)/installed-docs ## Build the documentation: site/index.html
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

test: $(VENV)/installed-test ## Run every test
	$(BIN)/python -m pytest -n 2

test-fast: $(VENV)/installed-test ## Run the tests for a working day
	$(BIN)/python -m pytest -n 2 -m "not slow"

benchmark: $(VENV)/installed-benchmark ## Time counting beside other counters (some minutes); writes benchmarks/DATE.md
	$(BIN)/python -m benchmarks

check: lint test ## Lint, types, and every test

lint: $(VENV)/installed-test ## ruff, ruff format --check, import-linter, mypy --strict
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

format: $(VENV)/installed-test ## Format the code and mend what ruff can
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean: ## Remove what the other targets installed and built
	rm -rf $(VENV) build site

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mbanalyze needs Python 3.11 or newer: make PYTHON=...")'
	@echo "installing into $(VENV) (a few minutes the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) torch
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed tests/schemas.txt
	@echo "installing the test extra"
	@$(INSTALL) --editable '.[test]'
	@$(PIP) install --quiet --no-deps --requirement tests/schemas.txt
	@touch $@

$(VENV)/installed-notebook: $(VENV)/installed
	@echo "installing the notebook extra"
	@$(INSTALL) --editable '.[notebook]'
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed
	@echo "installing the docs extra"
	@$(INSTALL) --editable '.[docs]'
	@touch $@

$(VENV)/installed-benchmark: $(VENV)/installed-test benchmarks/requirements.txt
	@echo "installing the counters to compare with"
	@$(INSTALL) --requirement benchmarks/requirements.txt
	@touch $@
