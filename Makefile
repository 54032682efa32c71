# One target a habit. Needs only Python 3.11 or later and make; everything else goes into .venv and var.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test test-all loop lint bench lock supply-chain

run: $(VENV)/.installed  ## the app with its demo on this machine, until Ctrl-C
	@$(BIN)/python manage.py up

PYTEST := $(BIN)/python -m pytest -q -rs -n auto --dist worksteal

test: $(VENV)/.installed-dev  ## the tests, without those that take long
	@$(PYTEST) -m "not slow"
	@$(BIN)/python -m pytest -q --collect-only -m slow | tail -n 1 | \
		sed -E 's/^([0-9]+)\/.*/\1 slow tests were left out; make test-all runs them, too/'

test-all: $(VENV)/.installed-dev  ## all tests
	@$(PYTEST)

loop: $(VENV)/.installed  ## the whole loop without hands, with simulated raters
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py loop

lint: $(VENV)/.installed-dev  ## linters, types, architecture, migrations
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run

bench: $(VENV)/.installed-dev  ## measurements; see bench/README.md
	@$(BIN)/python bench/hand_out.py

lock: $(VENV)/.installed-dev  ## requirements.lock and docs/reference/licences.md anew, after a change of requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
		--custom-compile-command "make lock" --output-file requirements.lock requirements.txt
	$(BIN)/python .ci/licences.py

supply-chain: $(VENV)/.installed-dev  ## an SBOM (CycloneDX) in var/sbom.json, and known vulnerabilities
	@mkdir -p var
	$(BIN)/cyclonedx-py requirements requirements.lock --output-reproducible --of JSON -o var/sbom.json
	$(BIN)/python .ci/audit.py

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# The versions of the lock without its hashes, which know no CPU build of torch.
$(VENV)/constraints.txt: requirements.lock | $(VENV)/bin/python
	@sed -nE 's/^([A-Za-z0-9._-]+)(\[[^]]*\])?(==[^ ]+( ;[^\\]*)?).*/\1\3/p' requirements.lock > $@

$(VENV)/.installed: requirements.txt $(VENV)/constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(VENV)/constraints.txt -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements.txt requirements-dev.txt $(VENV)/constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(VENV)/constraints.txt -r requirements-dev.txt
	@touch $(VENV)/.installed $@
