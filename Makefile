# `make report` and `make test` need Python 3.11 or newer, pip and make. They install everything else.
# MODULES: the number of random modules that `make fuzz` counts.
# FILES: the files that `make mutants` changes, such as ops/cost.py; all by default.
# TORCH_INDEX: an additional package index for torch. On Linux,
# TORCH_INDEX=https://download.pytorch.org/whl/cpu installs the CPU build instead of the CUDA build.

PYTHON ?= python3
TORCH_INDEX ?=
MODULES ?= 5000
FILES ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

# one thread for each worker: more of them only wait for each other
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

EXAMPLE := mobilenet_v2 --alpha 0.75 --resolution 192

# pages that load nothing from servers: widgets are shown as tables and pictures
OFFLINE := --template offline --TemplateExporter.extra_template_basedirs=notebooks \
	--ExecutePreprocessor.store_widget_state=False

.DEFAULT_GOAL := help
.PHONY: help report reports guard notebooks docs test test-fast fuzz mutants benchmark benchmark-time check lint format clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

report: $(VENV)/installed ## Report MobileNetV2 (alpha 0.75, 192 px) by block, with a check against fvcore
	@$(BIN)/mbanalyze report $(EXAMPLE) --by block --check
	@echo
	@echo "every layer: $(BIN)/mbanalyze report $(EXAMPLE)"

reports: $(VENV)/installed-test ## Write the files in reports/ and docs/images/
	@$(BIN)/python -m reports
	@$(BIN)/python docs/draw_code.py
	@$(BIN)/python docs/draw_report.py
	@$(BIN)/mbanalyze guard update --allow-ci

guard: $(VENV)/installed ## Compare the known networks with reports/mbanalyze.lock.json
	@$(BIN)/mbanalyze guard

notebooks: $(VENV)/installed-notebook ## Execute the notebooks and write them as HTML to build/notebooks
	$(BIN)/jupyter nbconvert --execute --to html $(OFFLINE) --output-dir build/notebooks notebooks/*.ipynb

docs: $(VENV)/installed-docs ## Build the documentation into site/index.html
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

test: $(VENV)/installed-test ## Run every test
	$(PYTEST)

test-fast: $(VENV)/installed-test ## Run all tests except the slow ones
	$(PYTEST) -m "not slow"

fuzz: $(VENV)/installed-test ## Count MODULES (5000) random modules; a failing one is printed as a script
	FUZZ_EXAMPLES=$(MODULES) $(BIN)/python -m pytest tests/test_fuzz.py

mutants: $(VENV)/installed-mutants ## Change FILES of the package, and print the changes that no test notices (hours for all)
	$(BIN)/python tests/mutants.py $(FILES)

benchmark: $(VENV)/installed-test ## Time counting against other counters and write benchmarks/DATE.md (some minutes)
	$(BIN)/python -m benchmarks

benchmark-time: $(VENV)/installed-test ## Predict networks, measure them and write benchmarks/time/DATE.md (some minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.predicted_times

check: lint test ## Run lint and test

lint: $(VENV)/installed-test ## Run ruff, ruff format --check, mypy --strict and lint-imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/installed-test ## Format the code and fix what ruff can fix
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean: ## Remove everything that the other targets installed and built
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

$(VENV)/installed-mutants: $(VENV)/installed-test tests/mutants.txt
	@echo "installing cosmic-ray"
	@$(INSTALL) --requirement tests/mutants.txt
	@touch $@
