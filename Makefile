# Everything a person or CI runs. `make` alone lists the targets.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
CONFIG ?= emobatch-distilbert-6x384
STUDENT ?= emobatch-distilbert-3x384
MODEL  ?=
DATA   ?=
EMOBATCH_DATA ?= ../shared/data/goemotions

.DEFAULT_GOAL := help
.PHONY: help demo up test check train distil eval eval-dev bench bench-quick clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

# One stamp for each set of extras: installing again is a no-op until what is asked for changes.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.local: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet -c constraints.txt -e '.[local]'
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet -c constraints.txt -e '.[test]'
	@touch $@ $(VENV)/.local

$(VENV)/.train: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet -c constraints.txt -e '.[train]'
	@touch $@

$(VENV)/.bench: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet -c constraints.txt -e '.[bench]'
	@touch $@ $(VENV)/.local $(VENV)/.train

demo: $(VENV)/.local  ## label examples/reviews.csv through the real stack
	@$(BIN)/emobatch label examples/reviews.csv -o examples/reviews.labelled.csv
	@echo
	@$(BIN)/python -m emobatch.show examples/reviews.labelled.csv

up: $(VENV)/.local  ## start the local stack and print its address
	$(BIN)/emobatch up

test: $(VENV)/.test  ## run the tests, on servers of their own
	$(BIN)/python -m pytest

check: $(VENV)/.test  ## lint, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

train: $(VENV)/.train  ## train the shipped model again (CONFIG=name; data from EMOBATCH_DATA)
	$(BIN)/python -m training.train --config $(CONFIG) --data $(EMOBATCH_DATA)

distil: $(VENV)/.train  ## distil the shipped model into a smaller one again (STUDENT=name; data from EMOBATCH_DATA)
	$(BIN)/python -m training.distil --config $(STUDENT) --data $(EMOBATCH_DATA)

eval: $(VENV)/.train  ## figures of the shipped model (or MODEL=name) on DATA=file.tsv, as JSON
	@$(BIN)/python -m training.evaluate --data $(DATA) $(if $(MODEL),--model $(MODEL))

eval-dev: $(VENV)/.train  ## the same on GoEmotions dev, cross-fitted
	@$(BIN)/python -m training.evaluate --data $(EMOBATCH_DATA)/dev.tsv --cross-fit $(if $(MODEL),--model $(MODEL))

bench: $(VENV)/.bench  ## measure everything, about half an hour: table, JSON and plot in benchmarks/results
	@EMOBATCH_DATA=$(EMOBATCH_DATA) $(BIN)/python -m benchmarks

bench-quick: $(VENV)/.bench  ## the short form, under three minutes: one line of JSON
	@EMOBATCH_DATA=$(EMOBATCH_DATA) $(BIN)/python -m benchmarks --quick

clean:  ## remove what the other targets made, but no data directory
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info examples/*.labelled.csv
