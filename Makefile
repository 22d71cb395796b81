# `make` alone lists what there is. Everything bootstraps itself into .venv from hashed requirements.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
# Made anew whenever the requirements change, and only then.
STAMP := .venv/.requirements-$(shell sha256sum requirements/dev.txt | cut -c1-16)
PYTEST := $(PYTHON) -m pytest
SOURCES := functions layers/lifecycle local tests tools

.PHONY: help demo up down status health scale plan test test-unit lint checkov format generate lock build validate preflight bench clean

help: ## Show this list
	@printf '%s\n\n' 'Camunda 8 on Amazon ECS: provision, scale, watch, remove. Start with: make demo'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 13 | sed 's/^/  /'
	@printf '\n%s\n' 'Settings: BROKERS=real|fake  KEEP=1  INPUT=events/<file>  BLOCK=127.<n>'

demo: $(STAMP) ## Bring a real cluster up on this machine, show it, stop everything
	@$(PYTHON) -m local demo

up: $(STAMP) ## The same, left running; .local/endpoints.json says where
	@$(PYTHON) -m local up

down: $(STAMP) ## Stop what `make up` started
	@$(PYTHON) -m local down

status: $(STAMP) ## Show what runs on this machine
	@$(PYTHON) -m local status

health: $(STAMP) ## Check a cluster now and print the report, worst first
	@$(PYTHON) -m tools.health $(ARGS)

scale: $(STAMP) ## Scale the brokers of a cluster: make scale N=4
	@$(PYTHON) -m tools.scale scale $(N) $(ARGS)

plan: $(STAMP) ## Tell what scaling would do, and change nothing: make plan N=4
	@$(PYTHON) -m tools.scale plan $(N) $(ARGS)

# What starts no processes uses every processor; what does has the machine to itself.
test: $(STAMP) ## Run every test, real brokers and PostgreSQL included
	@$(PYTEST) -n auto --cov --cov-report= tests/unit tests/property tests/statemachines $(ARGS)
	@$(PYTEST) --cov --cov-append --cov-report=term:skip-covered tests/contract tests/integration \
		tests/e2e $(ARGS)

test-unit: $(STAMP) ## Run the tests that need neither network nor processes
	@$(PYTEST) tests/unit tests/property $(ARGS)

lint: $(STAMP) ## Check style, types and templates
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@.venv/bin/mypy --strict --ignore-missing-imports local
	@.venv/bin/cfn-lint template.yaml 'stacks/*.yaml'

# Its pins clash with those of the embedded AWS: a virtual environment of its own.
CHECKOV_STAMP := .venv-checkov/.requirements-$(shell sha256sum requirements/checkov.txt | cut -c1-16)
checkov: $(CHECKOV_STAMP) ## Check the templates against security rules; exceptions in .checkov.yaml
	@.venv-checkov/bin/checkov --config-file .checkov.yaml -f template.yaml stacks/*.yaml

$(CHECKOV_STAMP): $(STAMP)
	@rm -rf .venv-checkov
	@$(PYTHON) -m venv .venv-checkov
	@.venv-checkov/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/checkov.txt
	@touch $@

format: $(STAMP) ## Format the code and correct what can be corrected
	@.venv/bin/ruff check --fix
	@.venv/bin/ruff format

generate: $(STAMP) ## Write what is derived from the templates and the API routes
	@$(PYTHON) -m tools.generate_parameters
	@PYTHONPATH=layers/lifecycle $(PYTHON) -m tools.generate_openapi
	@PYTHONPATH=layers/lifecycle $(PYTHON) -m tools.generate_health
	@PYTHONPATH=layers/lifecycle $(PYTHON) -m tools.generate_scaling
	@$(PYTHON) -m tools.generate_strict

LOCK := .venv/bin/uv pip compile --quiet --generate-hashes --python-version 3.13 \
	--no-emit-index-url --no-emit-find-links
lock: export UV_CUSTOM_COMPILE_COMMAND := make lock
lock: $(STAMP) ## Pin the requirements anew, with hashes
	@$(LOCK) -o requirements/dev.txt requirements/dev.in
	@$(LOCK) -o requirements/checkov.txt requirements/checkov.in
	@$(LOCK) -c requirements/dev.txt -o requirements/lambda-runtime.txt requirements/lambda-runtime.in
	@for layer in lifecycle postgres; do \
		$(LOCK) -c requirements/dev.txt -o layers/$$layer/requirements.txt layers/$$layer/requirements.in; \
	done

build: $(STAMP) ## Build functions and layers for AWS (sam build)
	@PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/sam build

validate: $(STAMP) ## Validate the templates as AWS does (sam validate --lint)
	@.venv/bin/sam validate --lint --region eu-central-1

preflight: $(STAMP) ## On AWS: check what `sam deploy` needs before it creates anything
	@$(PYTHON) tools/preflight.py $(if $(STACK),--stack $(STACK)) $(if $(NAT_GATEWAYS),--nat-gateways $(NAT_GATEWAYS))

bench: $(STAMP) ## Measure sizes and cold starts of the functions; see benchmarks/README.md
	@$(PYTHON) -m benchmarks.sizes
	@$(PYTHON) -m benchmarks.cold_start

clean: ## Remove what was built and installed; downloads in .cache stay
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m local down; fi
	@rm -rf .aws-sam .local .venv .venv-checkov .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage

$(STAMP):
	@./tools/bootstrap "$@"
