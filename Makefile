# `make` alone lists the targets. Everything bootstraps itself into .venv from hashed requirements.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
# One stamp per set of requirements, named by their hash: rebuilt only when they change.
stamp = .venv/.$(1)-$(shell cat $(patsubst %,requirements/%.txt,lock $(2)) cli/pyproject.toml | sha256sum | cut -c1-16)
LOCAL := $(call stamp,local,local)
TEST := $(call stamp,test,local test)
LINT := $(call stamp,lint,local test lint)
MUTATION := $(call stamp,mutation,local test mutation)
PYTEST := $(PYTHON) -m pytest
# Tools with virtual environments of their own: their pins clash with others, or nothing else needs them.
apart = .venv-$(1)/.requirements-$(shell sha256sum requirements/$(1).txt | cut -c1-16)

.PHONY: help demo up down status env health scale plan test test-all coverage test-unit contract lint checkov policies client spectral format generate site pictures lock licences build validate preflight close-group acceptance bench mutation clean

help: ## Show this list
	@printf '%s\n\n' 'Camunda 8 on Amazon ECS: provision, scale, watch, remove. Start with: make demo'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 13 | sed 's/^/  /'
	@printf '\n%s\n' 'Settings: KEEP=1  INPUT=events/<file>  BLOCK=127.<n>; of acceptance: docs/acceptance.md'

demo: $(LOCAL) ## Start a cluster on this machine, show it, stop everything
	@$(PYTHON) -m local demo

up: $(LOCAL) ## The same, left running; endpoints in .local/endpoints.json
	@$(PYTHON) -m local up

down: $(LOCAL) ## Stop what `make up` started
	@$(PYTHON) -m local down

status: $(LOCAL) ## Show what runs on this machine
	@$(PYTHON) -m local status

# Without $(LOCAL), whose output would be evaluated.
env: ## Point this shell at it (AWS's tools, camunda-ecs): eval "$(make env)"
	@$(PYTHON) -m local env

# Make turns every exit code into 2: scripts call .venv/bin/camunda-ecs.
CLI := .venv/bin/camunda-ecs
NAMED := $(if $(CLUSTER),--cluster $(CLUSTER)) $(ARGS)
GOAL := $(if $(N),--brokers $(N)) $(if $(PARTITIONS),--partitions $(PARTITIONS))
health: $(LOCAL) ## Check a cluster now and print the report, worst first
	@$(CLI) health --fresh $(NAMED)

scale: $(LOCAL) ## Scale a cluster: make scale N=4 (brokers) or PARTITIONS=6
	@$(CLI) scale $(GOAL) $(NAMED)

plan: $(LOCAL) ## Preview a scale operation (dry run): make plan N=4 or PARTITIONS=6
	@$(CLI) plan $(GOAL) $(NAMED)

# Chromium for the tests of the console; CHROMIUM=/path uses another one.
BROWSER := $(if $(CHROMIUM),,.browser/.lock-$(shell sha256sum requirements/browser/package-lock.json | cut -c1-16))

# Tests without processes use every CPU. The others run two modules in parallel, each on its own
# addresses, the longest first.
SHORT := tests/unit tests/property tests/statemachines
WHOLE := tests/e2e tests/integration tests/contract
test: $(TEST) $(call apart,client) $(BROWSER) ## Run the tests, PostgreSQL and the embedded AWS included
	@$(PYTEST) -n auto $(SHORT) $(ARGS)
	@$(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder $(WHOLE) $(ARGS)

test-all: $(TEST) ## The same with the long tests: minutes more, and they rarely fail alone
	@$(MAKE) test ARGS="--long $(ARGS)"

coverage: $(TEST) ## Show the coverage of the tests without processes; takes twice as long
	@$(PYTEST) -n auto --cov --cov-report=term:skip-covered $(SHORT) $(ARGS)

test-unit: $(TEST) ## Run the tests that need neither network nor processes
	@$(PYTEST) -n auto tests/unit tests/property $(ARGS)

contract: $(LOCAL) ## Compare a running Camunda with the recordings: make contract URL=http://host:9600 REST=http://host:8080
	@$(PYTHON) -m tools.contract

lint: $(LINT) ## Check style, types, templates, the words of the docs and licences
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@PYTHONPATH=layers/lifecycle $(PYTHON) -m tools.check_openapi
	@.venv/bin/cfn-lint template.yaml 'stacks/*.yaml'
	@$(PYTHON) -m tools.prose
	@$(PYTHON) -m tools.licences
	@$(PYTHON) -m tools.notices --check
	@$(MAKE) policies

checkov: $(call apart,checkov) ## Check the templates against security rules; exceptions in .checkov.yaml
	@.venv-checkov/bin/checkov --config-file .checkov.yaml -f template.yaml stacks/*.yaml

policies: $(TEST) $(call apart,policies) ## Analyse the IAM policies (parliament, cloudsplaining); reasons in SECURITY.md
	@PYTHONPATH=layers/lifecycle $(PYTHON) -m tools.policies

$(foreach name,checkov policies client site,$(call apart,$(name))): $(LOCAL)
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D)
	@.venv/bin/uv pip install --quiet --python $(@D)/bin/python --require-hashes --requirement requirements/$(@D:.venv-%=%).txt || \
		$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/$(@D:.venv-%=%).txt
	@touch $@

$(BROWSER): $(LOCAL)
	@$(PYTHON) -m tools.browser

client: $(TEST) $(call apart,client) ## Generate client code from docs/openapi.json and use it; also in make test
	@$(PYTEST) tests/integration/test_client_code.py $(ARGS)

# Exact, as the requirements are.
SPECTRAL := @stoplight/spectral-cli@6.16.3
spectral: ## Check docs/openapi.json against the rules of .spectral.yaml; needs Node 18
	@npx --yes $(SPECTRAL) lint --ruleset .spectral.yaml --fail-severity warn docs/openapi.json

format: $(LINT) ## Format the code and apply automatic fixes
	@.venv/bin/ruff check --fix
	@.venv/bin/ruff format

generate: $(TEST) ## Regenerate files derived from the templates, the API routes and the retry policies
	@PYTHONPATH=layers/lifecycle $(PYTHON) -m tools.generate_parameters
	@PYTHONPATH=layers/lifecycle $(PYTHON) -m tools.generate_openapi
	@PYTHONPATH=layers/lifecycle $(PYTHON) -m tools.generate_health
	@PYTHONPATH=layers/lifecycle $(PYTHON) -m tools.generate_scaling
	@PYTHONPATH=layers/lifecycle $(PYTHON) -m tools.generate_cli
	@PYTHONPATH=layers/lifecycle $(PYTHON) -m tools.generate_console
	@$(PYTHON) -m tools.generate_definitions
	@$(PYTHON) -m tools.generate_strict
	@$(PYTHON) -m tools.site --addresses

site: $(call apart,site) ## Build the documents as a site in .cache/site (Zensical)
	@$(PYTHON) -m tools.site --zensical .venv-site/bin/zensical

pictures: $(LINT) ## Render the pictures of the docs from docs/pictures/*.d2; needs Go 1.24
	@$(PYTHON) -m tools.pictures

# SAM's CLI lists cfn-lint only for `sam validate --lint`; `make validate` installs it.
LINT_ONLY := cfn-lint sympy mpmath networkx
LOCK := .venv/bin/uv pip compile --quiet --generate-hashes --python-version 3.13 \
	--no-emit-index-url --no-emit-find-links
lock: export UV_CUSTOM_COMPILE_COMMAND := make lock
lock: $(LOCAL) ## Update the pinned requirements, with hashes
	@$(LOCK) -o requirements/lock.txt requirements/lock.in
	@$(LOCK) $(LINT_ONLY:%=--no-emit-package %) -o requirements/local.txt requirements/local.in
	@$(LOCK) -c requirements/local.txt -o requirements/test.txt requirements/test.in
	@$(LOCK) -c requirements/local.txt -c requirements/test.txt -o requirements/lint.txt requirements/lint.in
	@$(LOCK) -c requirements/local.txt -c requirements/test.txt -o requirements/mutation.txt requirements/mutation.in
	@$(LOCK) -o requirements/checkov.txt requirements/checkov.in
	@$(LOCK) -o requirements/policies.txt requirements/policies.in
	@$(LOCK) -o requirements/client.txt requirements/client.in
	@$(LOCK) -o requirements/site.txt requirements/site.in
	@$(LOCK) -o requirements/sdk-8.9.txt requirements/sdk-8.9.in
	@$(LOCK) -o requirements/sdk-8.10.txt requirements/sdk-8.10.in
	@$(LOCK) -c requirements/local.txt -o requirements/lambda-runtime.txt requirements/lambda-runtime.in
	@$(LOCK) -c requirements/test.txt -o layers/lifecycle/requirements.txt layers/lifecycle/requirements.in
	@$(LOCK) -c requirements/local.txt -o layers/postgres/requirements.txt layers/postgres/requirements.in

licences: $(LINT) ## Read the licences of the pinned requirements; write notices and SBOMs of what is shipped
	@$(PYTHON) -m tools.licences --update
	@$(PYTHON) -m tools.notices

build: $(LOCAL) ## Build functions and layers for AWS (sam build)
	@PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/sam build

validate: $(LINT) ## Validate the templates as AWS does (sam validate --lint)
	@.venv/bin/sam validate --lint --region eu-central-1

preflight: $(LOCAL) ## On AWS: check what `sam deploy` needs before it creates anything
	@PATH="$(CURDIR)/.venv/bin:$$PATH" PYTHONPATH=layers/lifecycle $(PYTHON) -m tools.preflight $(if $(STACK),--stack $(STACK)) $(if $(NAT_GATEWAYS),--nat-gateways $(NAT_GATEWAYS)) $(if $(ZONES),--zones $(ZONES)) $(if $(API_LOG_ROLE),--api-log-role $(API_LOG_ROLE)) $(if $(CONSOLE),--console $(CONSOLE)) $(if $(API_DOMAIN),--api-domain $(API_DOMAIN))

close-group: $(LOCAL) ## On AWS: close the default security group of the created VPC: STACK=<control stack>
	@$(PYTHON) -m tools.default_group --stack $(STACK)

acceptance: $(LOCAL) ## Run all operations and report: on this machine, or STACK=<name> REGION=<region>
	@$(PYTHON) -m acceptance $(ARGS)

bench: $(TEST) ## Measure sizes and cold starts of the functions; see benchmarks/README.md
	@$(PYTHON) -m benchmarks.sizes
	@$(PYTHON) -m benchmarks.cold_start

mutation: $(MUTATION) ## Change the code at random and report which tests notice: make mutation SEED="1 2 3"
	@$(PYTHON) -m tools.mutation $(if $(SEED),--seed $(SEED)) $(ARGS)

clean: ## Remove build results and installations; keeps the downloads in .cache
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m local down; fi
	@rm -rf .aws-sam .browser .local .venv .venv-checkov .venv-client .venv-policies .venv-site .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage

$(LOCAL):
	@./tools/bootstrap "$@" local

$(TEST):
	@./tools/bootstrap "$@" local test

$(LINT):
	@./tools/bootstrap "$@" local test lint

$(MUTATION):
	@./tools/bootstrap "$@" local test mutation
