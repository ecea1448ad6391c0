# Everything a newcomer, a developer and the gate need. `make serve` and `make test` are the two commands of the README.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLATFORM ?= cpu
INSTALLED := $(VENV)/.installed-$(PLATFORM)
DEVELOPED := $(VENV)/.developed-$(PLATFORM)
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: serve test torture lint types layers check clean

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

$(INSTALLED): pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) torch==2.13.0 -e '.[$(PLATFORM)]'
	touch $@

$(DEVELOPED): $(INSTALLED)
	$(PIP_INSTALL) -e '.[$(PLATFORM),dev]'
	touch $@

serve: $(INSTALLED) ## install, ingest the sample documents, serve API and web page
	$(BIN)/citewell serve --samples

test: $(DEVELOPED) ## install what the tests need, then run them
	.ci/system-packages
	$(BIN)/python -m pytest

torture: $(DEVELOPED) ## kill the service sixty times, and check what is left
	$(BIN)/python -m pytest tests/torture --kills 60 --timeout 3600

lint: $(DEVELOPED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEVELOPED)
	$(BIN)/mypy

layers: $(DEVELOPED)
	$(BIN)/lint-imports

check: lint types layers test ## everything the gate runs

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
