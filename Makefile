# Everything a person or CI runs. `make` alone lists the targets.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
CONFIG ?= emobatch-distilbert-6x384
BASE   ?=
STUDENT ?= emobatch-distilbert-3x384
MODEL  ?=
MINUTES ?=
DATA   ?=
A      ?= emobatch-distilbert-3x384
B      ?= emobatch-distilbert-6x384
EMOBATCH_DATA ?= ../shared/data/goemotions

.DEFAULT_GOAL := help
.PHONY: help demo up test check pages secrets docs lock audit sbom contract faults train distil runs search ablate eval eval-dev report neutral compare bench bench-quick fairness machines load soak clean

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

$(VENV)/.audit: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet -c constraints.txt -e '.[local,audit]'
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

secrets:  ## write the secrets that docker-compose.yml reads into ./secrets; what is there stays
	@deploy/make-secrets

docs: $(VENV)/.test  ## write the pages that are made from code and packages: settings, licences
	$(BIN)/python -m tests.documents

lock: $(VENV)/.test  ## write requirements/*.lock: what is pinned in constraints.txt, with hashes
	$(BIN)/python -m deploy.lock

audit: $(VENV)/.audit  ## known vulnerabilities of every package that is locked
	@$(BIN)/python -m deploy.audit

sbom: $(VENV)/.audit  ## what is installed here, as CycloneDX, in build/sbom.json
	@mkdir -p build
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --short-PURLs --no-validate --of JSON -o build/sbom.json $(BIN)/python

pages: $(VENV)/.test  ## picture every page in every state, for docs/pages, and README's picture; some minutes
	@$(BIN)/python -m tests.pages.screenshots

contract: $(VENV)/.test  ## Schemathesis asks a live server whatever the OpenAPI document allows and forbids, all checks; two minutes
	@$(BIN)/python -m tests.contract

faults: $(VENV)/.test  ## the fault campaign, at most 90 minutes: kills, cuts, freezes and floods; table in docs/reliability.md
	$(BIN)/python -m tests.faults

train: $(VENV)/.train  ## train a model (CONFIG=name in training/configs, BASE=hub name or folder; data from EMOBATCH_DATA)
	$(BIN)/python -m training.train --config $(CONFIG) --data $(EMOBATCH_DATA) $(if $(BASE),--base $(BASE))

distil: $(VENV)/.train  ## distil the shipped model into a smaller one again (STUDENT=name; data from EMOBATCH_DATA)
	$(BIN)/python -m training.distil --config $(STUDENT) --data $(EMOBATCH_DATA)

runs: $(VENV)/.train  ## the page of all training runs, docs/model/runs.md
	@$(BIN)/python -m training.runs

search: $(VENV)/.train  ## search settings with Optuna, for hours; what was stopped goes on
	nice $(BIN)/python -m training.search --data $(EMOBATCH_DATA)

ablate: $(VENV)/.train  ## train the variants of training/ablations.toml, for hours; what was stopped goes on
	$(BIN)/python -m training.ablate --data $(EMOBATCH_DATA)

eval: $(VENV)/.train  ## figures of the shipped model (or MODEL=name) on DATA=file.tsv, as JSON
	@$(BIN)/python -m training.evaluate --data $(DATA) $(if $(MODEL),--model $(MODEL))

eval-dev: $(VENV)/.train  ## the same on GoEmotions dev, cross-fitted
	@$(BIN)/python -m training.evaluate --data $(EMOBATCH_DATA)/dev.tsv --cross-fit $(if $(MODEL),--model $(MODEL))

report: $(VENV)/.train  ## figures with intervals, plots and card of the shipped model (or MODEL=name), in docs/model
	@$(BIN)/python -m training.report --card --data $(EMOBATCH_DATA) $(if $(MODEL),--model $(MODEL))

neutral: $(VENV)/.train  ## what each lever against too much neutral costs and gives, in docs/model
	@$(BIN)/python -m training.neutral --data $(EMOBATCH_DATA) $(if $(MODEL),--model $(MODEL)) $(if $(B),--with $(B))

compare: $(VENV)/.train  ## two models (A=, B=: directories or hub names) on DATA=file.csv: page and CSV in .training/compare
	@$(BIN)/python -m training.compare $(A) $(B) --data $(DATA) --out .training/compare

bench: $(VENV)/.bench  ## measure everything, about half an hour: table, JSON and plot in benchmarks/results
	@EMOBATCH_DATA=$(EMOBATCH_DATA) $(BIN)/python -m benchmarks

bench-quick: $(VENV)/.bench  ## the short form, under three minutes: one line of JSON
	@EMOBATCH_DATA=$(EMOBATCH_DATA) $(BIN)/python -m benchmarks --quick

fairness: $(VENV)/.bench  ## how long small jobs wait for big ones, how evenly accounts share: a quarter of an hour
	@EMOBATCH_DATA=$(EMOBATCH_DATA) $(BIN)/python -m benchmarks.fairness

machines: $(VENV)/.bench  ## a job across four network namespaces, cut and healed; needs root
	@$(BIN)/python -m benchmarks.machines

load: $(VENV)/.bench  ## 500 pollers, slow transfers, jobs that come and go, a table of a million rows: a quarter of an hour
	@$(BIN)/python -m benchmarks.load

soak: $(VENV)/.bench  ## half an hour with a random fault a minute, every row judged (MINUTES=n)
	@$(BIN)/python -m benchmarks.soak $(if $(MINUTES),--minutes $(MINUTES))

clean:  ## remove what the other targets made, but no data directory
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info examples/*.labelled.csv
