# `make report` and `make test` need Python 3.11 or newer, pip and make. They install everything else.
# MODULES: the number of random modules that `make fuzz` counts.
# FILES: the files that `make mutants` changes, such as ops/cost.py; all by default.
# TORCH, VISION: the release of PyTorch that `make compat` installs, and that of torchvision if the Makefile
# does not know it. TESTS: the tests that it runs; all but the slow ones by default, and TESTS= for all.
# TORCH_INDEX: an additional package index for torch. On Linux,
# TORCH_INDEX=https://download.pytorch.org/whl/cpu installs the CPU build instead of the CUDA build.

PYTHON ?= python3
TORCH_INDEX ?=
MODULES ?= 5000
FILES ?=
TORCH ?= 2.6.0
TESTS ?= -m "not slow"

# the torchvision of each PyTorch; pip finds it for other releases, if VISION does not name it
VISION_2.6 := 0.21
VISION_2.7 := 0.22
VISION_2.8 := 0.23
VISION_2.9 := 0.24
VISION_2.10 := 0.25
VISION_2.11 := 0.26
VISION_2.12 := 0.27
VISION_2.13 := 0.28
VISION_2.14 := 0.29
MINOR := $(word 1,$(subst ., ,$(TORCH))).$(word 2,$(subst ., ,$(TORCH)))
VISION ?= $(if $(VISION_$(MINOR)),$(VISION_$(MINOR)).*)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

# one thread for each worker: more of them only wait for each other
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

COMPAT := .venv-torch-$(TORCH)$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))

LOWEST := .venv-lowest

EXAMPLE := mobilenet_v2 --alpha 0.75 --resolution 192

# pages that load nothing from servers: widgets are shown as tables and pictures
OFFLINE := --template offline --TemplateExporter.extra_template_basedirs=notebooks \
	--ExecutePreprocessor.store_widget_state=False

.DEFAULT_GOAL := help
.PHONY: help report reports guard notebooks docs test test-fast compat lowest fuzz mutants benchmark benchmark-time check lint format clean

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

compat: $(COMPAT)/installed ## Run the tests with TORCH (2.6.0) in an environment of its own; TESTS= runs the slow ones too
	OMP_NUM_THREADS=1 $(COMPAT)/bin/python -m pytest -n 2 -p no:cacheprovider $(TESTS)

lowest: $(LOWEST)/installed ## Run the tests with the lowest versions of pyproject.toml, except that of torch
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -n 2 -p no:cacheprovider -o filterwarnings=default $(TESTS)

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
	rm -rf $(VENV) .venv-torch-* $(LOWEST) build site

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

# PyTorch 2.6 pins another sympy than constraints.txt
$(COMPAT)/installed: pyproject.toml constraints.txt tests/schemas.txt
	@echo "installing torch $(TORCH) into $(COMPAT) (several minutes, several gigabytes)"
	@$(PYTHON) -m venv $(COMPAT)
	@grep -vE '^(torch|torchvision|sympy)==' constraints.txt > $(COMPAT)/constraints.txt
	@printf 'torch==$(TORCH)\n$(if $(VISION),torchvision==$(VISION)\n)' >> $(COMPAT)/constraints.txt
	@$(COMPAT)/bin/python -m pip --disable-pip-version-check install --quiet \
		--constraint $(COMPAT)/constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) \
		torch torchvision --editable '.[test]'
	@$(COMPAT)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --requirement tests/schemas.txt
	@touch $@

$(LOWEST)/installed: pyproject.toml constraints.txt tests/lowest.py tests/schemas.txt
	@echo "installing the lowest versions into $(LOWEST) (several minutes)"
	@$(PYTHON) -m venv $(LOWEST)
	@$(PYTHON) tests/lowest.py > $(LOWEST)/constraints.txt
	@grep -E '^(torch|torchvision)==' constraints.txt >> $(LOWEST)/constraints.txt
	@$(LOWEST)/bin/python -m pip --disable-pip-version-check install --quiet \
		--constraint $(LOWEST)/constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	@$(LOWEST)/bin/python -m pip --disable-pip-version-check install --quiet \
		--constraint $(LOWEST)/constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) \
		--editable '.[test]'
	@$(LOWEST)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --requirement tests/schemas.txt
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
