# All that a person or CI types. `make` alone says what there is.
.DEFAULT_GOAL := help
.PHONY: help demo test lint format schemas histories bench frontier sixteen-days chaos fuzz overload model clients lock clean
.DELETE_ON_ERROR:

# Where the environment is made from; PYTHON=… says another one.
PYTHONS = $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
BIN := .venv/bin
RUN := $(BIN)/python -m

# Variables of the caller's shell that may lead to a real Temporal, Azure or webhook. Tests run without them.
CALLERS_VARIABLES = $(filter TEMPORAL_% MARKETPLACE_% AZURE_% DEMO_% PAYLOAD_ENCRYPTION_KEYS CODEC_SERVER_TOKEN NOTIFY_% \
  GO_LIVE_APPROVERS OTEL_% METRICS_ADDRESS LOG_LEVEL LOG_FORMAT HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY \
  http_proxy https_proxy no_proxy all_proxy,$(.VARIABLES))

WITH_PATH = PATH="$(CURDIR)/$(BIN):$$PATH"
# Dozens of processes import the same modules. They share the bytecode, even if the caller's shell writes none.
ISOLATED = env $(CALLERS_VARIABLES:%=-u %) -u PYTHONDONTWRITEBYTECODE TEMPORAL_CONFIG_FILE=/dev/null $(WITH_PATH)

help: ## Say what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-21s%s\n", $$1, $$2 }'

demo: .venv/run-installed ## Publish a sample offer on a local Temporal, marketplace sandbox and worker
	@$(RUN) sandbox.demo

test: lint ## Check style and types, then run all tests; ARGS="-k approval" runs some
	@$(ISOLATED) $(RUN) pytest -n 4 --dist worksteal $(ARGS)

lint: .venv/dev-installed ## Check style and types only
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy

format: .venv/dev-installed ## Correct what the formatter and the linter can
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

schemas: .venv/dev-installed ## Write examples/schemas from the workflows' inputs
	@$(RUN) examples.make_schemas

histories: .venv/dev-installed ## Record the histories of scenes that have none yet
	@$(WITH_PATH) $(RUN) tests.replay.record

bench: .venv/dev-installed ## Measure against other engines, side by side (an hour); ARGS="--quick" is short
	@$(WITH_PATH) $(RUN) bench.compare $(ARGS)

sixteen-days: .venv/dev-installed ## Count what a publication of sixteen days costs
	@$(WITH_PATH) $(RUN) bench.sixteen_days

frontier: .venv/dev-installed .bench/plots/installed.txt ## Compare when to look with other schedules, into docs/looks.md
	@$(RUN) bench.frontier .bench/plots/bin/python

fuzz: .venv/dev-installed ## Try 100 times as many hostile inputs and answers as `make test`, others each time (5 minutes)
	@$(ISOLATED) FUZZ_TIMES=100 $(RUN) pytest \
	  -n 2 --dist worksteal --timeout 3600 tests/test_hostile_inputs.py tests/marketplace/cloud_partner/test_hostile_answers.py $(ARGS)

chaos: .venv/dev-installed ## Publish 300 times through each API under fault, and check the results (half an hour); see ARGS="--help"
	@$(ISOLATED) $(RUN) tests.campaigns.chaos $(ARGS)

overload: .venv/dev-installed ## Start 2000 runs at once where 5 requests a second are allowed (half an hour); see ARGS="--help"
	@$(ISOLATED) $(RUN) tests.campaigns.overload $(ARGS)

model: .venv/dev-installed ## Check the procedures against a model through both APIs, step by step (40 minutes); see ARGS="--help"
	@$(ISOLATED) $(RUN) tests.campaigns.model $(ARGS)

clients: .venv/dev-installed .bench/released-clients/installed.txt ## Publish with released clients of others beside ours, into docs/released-clients.md (10 minutes)
	@$(ISOLATED) $(RUN) pytest tests/campaigns/released_clients
	@$(ISOLATED) $(RUN) tests.campaigns.released_clients $(ARGS)

lock: .venv/dev-installed ## Lock the newest allowed versions of all packages, for every platform
	@$(LOCK) --extra sandbox --extra tracing pyproject.toml --output-file requirements.txt
	@$(LOCK) --extra sandbox --extra tracing --group dev --constraint requirements.txt pyproject.toml --output-file requirements-dev.txt

# From the public index, whatever this machine is set up to use: a lock is for everybody.
LOCK = $(RUN) uv --no-config pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

clean: ## Forget the demo's state and all caches; what is installed stays
	@rm -rf .demo .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info build
	@find . \( -path ./.venv -o -path ./.bench \) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/run-installed: requirements.txt | $(BIN)/python
	@echo "Installing the packages of requirements.txt into .venv"
	@$(RUN) pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/dev-installed: requirements-dev.txt | $(BIN)/python
	@echo "Installing the packages of requirements-dev.txt into .venv"
	@$(RUN) pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

# matplotlib is installed apart from the product, because only plots need it.
.bench/plots/installed.txt: bench/plots.txt | $(BIN)/python
	@echo "Installing the packages of plots into .bench"
	@$(RUN) venv --clear .bench/plots
	@.bench/plots/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@cp $< $@

# What others have released, never installed beside the product.
.bench/released-clients/installed.txt: tests/campaigns/released_clients/environment.txt | $(BIN)/python
	@echo "Installing the packages of the released clients into .bench"
	@$(RUN) venv --clear .bench/released-clients
	@.bench/released-clients/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@cp $< $@

$(BIN)/python:
	@for python in $(PYTHONS); do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  "$$python" -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$$python lacks its venv module. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	  echo "Making .venv with $$("$$python" --version)"; \
	  exec "$$python" -m venv --clear .venv; \
	done; \
	echo "Python 3.11 or later is needed, and none of these is: $(PYTHONS). Say where one is: make PYTHON=/path/to/python3.12 ..." >&2; \
	exit 1
