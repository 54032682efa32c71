# One target a habit. Needs only Python 3.11 or later and make; everything else goes into .venv and var.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test loop lint bench

run: $(VENV)/.installed  ## the app with its demo on this machine, until Ctrl-C
	@$(BIN)/python manage.py up

test: $(VENV)/.installed-dev  ## all tests
	@$(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder

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

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements.txt requirements-dev.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $(VENV)/.installed $@
