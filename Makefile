# Everything a person does with this project, by name. `make` alone lists it.

PYTHON ?=
STAGING ?=
ONCE ?=
SIZE ?=
NAMES ?=
WORKERS ?= auto
AIRFLOW_PORT ?= 8080
EMULATOR_HTTP_PORT ?= 18080
EMULATOR_TLS_PORT ?= 18443
export PYTHON AIRFLOW_PORT EMULATOR_HTTP_PORT EMULATOR_TLS_PORT

BIN := .venv/bin
DEMO := exec $(BIN)/python -m local.demo
ONCE_OPTION := $(if $(filter 1 yes true,$(ONCE)),--once)

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo demo-reset screenshots test bench check lock mwaa clean

help: ## List these targets
	@echo "usage: make TARGET"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'
	@echo
	@echo "Ports of the demo: AIRFLOW_PORT=$(AIRFLOW_PORT) EMULATOR_HTTP_PORT=$(EMULATOR_HTTP_PORT) EMULATOR_TLS_PORT=$(EMULATOR_TLS_PORT)"

setup: ## Create .venv from requirements.txt (PYTHON=... chooses the interpreter)
	@sh local/demo/setup.sh

setup-dev: ## The same with what tests and checks need
	@sh local/demo/setup.sh requirements-dev.txt

demo: setup ## Run everything on this machine: stores, sync, Airflow (ONCE=1: one night, check it, stop)
	@$(DEMO) run $(ONCE_OPTION)

demo-reset: setup ## Throw the demo's data away and start it again
	@$(DEMO) run --reset $(ONCE_OPTION)

screenshots: setup-dev ## Take the pictures of the pages for docs/ (while `make demo` runs elsewhere)
	@$(BIN)/python -m local.screenshots

test: setup-dev ## Run the tests (TESTS=tests/local chooses some)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

bench: setup-dev ## Measure, against the way one writes first, into docs/benchmarks.md (an hour; SIZE=10m, NAMES=night)
	@SIZE=$(SIZE) $(BIN)/python -m benchmarks.publish $(NAMES)

check: setup-dev ## Lint, format, types, import rules, spelling: changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

lock: setup-dev ## Compile requirements*.in into requirements*.txt (needs a package index)
	$(BIN)/python -m pip install --quiet uv==0.13.9
	$(BIN)/uv pip compile --universal --python-version 3.11 --no-emit-index-url requirements.in -o requirements.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --no-emit-index-url requirements-dev.in -o requirements-dev.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --no-emit-index-url deploy/kubernetes/requirements.in -o deploy/kubernetes/requirements.txt

mwaa: setup ## Build what Amazon MWAA takes into .local/mwaa (STAGING=s3://bucket/prefix)
	@$(BIN)/python deploy/mwaa/build.py .local/mwaa --staging "$(STAGING)"

clean: ## Stop what the demo left running; remove its data and all caches (keeps .venv)
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m local.demo clean; fi
	@rm -rf .local .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
