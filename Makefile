# Each target does its own set-up, once.
PORT ?= 8000
HOST ?= 127.0.0.1
PYTHON ?= python3
BIN := .venv/bin
CLIENTS := tests/clients/node_modules/.package-lock.json
SWITCHES := http1_client direct_answers compiled_queries http1_client,direct_answers \
  http1_client,compiled_queries direct_answers,compiled_queries off

.DEFAULT_GOAL := help
.PHONY: help serve sandbox test test-switches test-pythons test-long check audit sbom bench format lock reference docs clients pages wheel clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

serve: .venv/serve gateway/http/pages/static/index.html ## serve GraphQL and GraphiQL over the sandbox (PORT=8000)
	@$(BIN)/python -m gateway serve --host $(HOST) --port $(PORT)

sandbox: .venv/serve ## serve the four provider sandboxes alone (port 9000)
	@$(BIN)/python -m gateway sandbox

test: .venv/dev gateway/http/pages/static/index.html $(CLIENTS) ## run all tests
	@$(BIN)/python -m pytest -n auto $(ARGS)

# `make test` has all cases of each test. Comparing in the background and webhooks hardly meet a fast path:
# `make test-long` has them, too.
test-switches: .venv/dev ## run the end-to-end and security tests with the fast paths off
	@FAST_PATHS=$(or $(FAST_PATHS),off) CASES=$(if $(LONG),,$(or $(CASES),4)) $(BIN)/python -m pytest -n auto -m "not no_fast_paths and not postgres" \
	  $(if $(LONG),,--ignore tests/e2e/watching --ignore tests/e2e/webhooks) tests/e2e tests/security $(ARGS)

test-pythons: .venv/dev ## run the unit tests on the other Pythons of this machine (3.11 to 3.13)
	@$(BIN)/python tools/pythons.py $(ARGS)

test-long: .venv/dev gateway/http/pages/static/index.html $(CLIENTS) ## run all tests with large numbers and all switches (hours)
	@LONG=1 $(BIN)/python -m pytest -n auto $(ARGS)
	@for off in $(SWITCHES); do $(MAKE) test-switches LONG=1 FAST_PATHS=$$off || exit 1; done

check: .venv/dev ## check format, lint, types, imports, locks, schema and its breaking changes
	@$(BIN)/python tools/check.py

audit: .venv/dev ## look up known vulnerabilities of the locked packages
	@$(BIN)/python tools/audit.py

sbom: .venv/dev ## write sbom.json, the list of what a running gateway consists of (CycloneDX)
	@$(BIN)/python tools/sbom.py > sbom.json

bench: .venv/dev ## compare with other gateways (25 minutes; ARGS=--quick: two)
	@$(BIN)/python -m bench.gateways $(ARGS)

format: .venv/dev ## format the code
	@$(BIN)/ruff format && $(BIN)/ruff check --fix

lock: .venv/dev ## update requirements/*.lock from pyproject.toml
	@$(BIN)/python tools/lock.py

reference: .venv/dev ## update docs/reference from the code
	@$(BIN)/python tools/reference.py

docs: .venv/dev ## build the documentation site in dist/docs, ready to be read offline
	@$(BIN)/python tools/docs.py

clients: .venv/dev $(CLIENTS) ## install the GraphQL clients that the tests use, and those of the examples

pages: .venv/serve gateway/http/pages/static/index.html ## build the browser pages

wheel: .venv/dev gateway/http/pages/static/index.html ## build dist/*.whl, with the pages
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

clean: ## remove everything that was generated
	rm -rf dist .venv gateway/http/pages/static web/node_modules tests/clients/node_modules tests/clients/federation/node_modules \
	  examples/*/node_modules examples/*/dist examples/*/src/gql examples/*/src/__generated__ sbom.json

.venv/serve: requirements/serve.lock pyproject.toml
	@$(PYTHON) tools/environment.py serve

.venv/dev: requirements/dev.lock pyproject.toml
	@$(PYTHON) tools/environment.py dev

gateway/http/pages/static/index.html: web/package-lock.json web/index.html web/pages.html web/vite.config.ts schema.graphql $(shell find web/src web/public -type f ! -name generated.ts)
	@$(BIN)/python tools/pages.py

$(CLIENTS): tests/clients/package-lock.json tests/clients/federation/package-lock.json $(wildcard examples/*/package-lock.json)
	@$(BIN)/python tools/clients.py
