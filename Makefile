# Every target sets up what it needs in .venv; nothing else has to be installed than Python 3.11 or newer.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
STORE_OPTION := $(if $(STORE),--store $(STORE))

.PHONY: help emodb demo test test-core chaos package bench docs lint format

help:
	@echo "make emodb SOURCE=download.zip   build Emo-DB with 75 augmented copies a recording (no SOURCE: download it)"
	@echo "make demo                        the same on a small synthesised corpus, without a network"
	@echo "make test | lint                 what has to pass before a change is merged"
	@echo "make test-core PYTHON=python3.13  what needs no torch, with the newest libraries that pip finds"
	@echo "make chaos                       the long attacks on the store's promises (docs/reliability.md), half an hour"
	@echo "make package                     the steps of the Dockerfile as plain commands, in an empty environment"
	@echo "make bench SOURCE=download.zip   time everything against other tools and write docs/performance.md"
	@echo "make docs                        write docs/corpora.md from the manifests, and build the site into site/"
	@echo "STORE=folder                     where features are kept (default: the user's cache folder)"

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test,lint,tune]"
	touch $@

emodb: $(READY)
	$(BIN)/featurestore build emodb --augment 75 $(if $(SOURCE),--source $(SOURCE)) $(STORE_OPTION)

demo: $(READY)
	$(BIN)/featurestore build demo --augment 4 --set snr_db=10,40 $(STORE_OPTION)
	$(BIN)/featurestore info demo $(STORE_OPTION)
	rm -rf demo-output
	$(BIN)/featurestore train --recipe demo --run demo-output $(STORE_OPTION)
	$(BIN)/featurestore report demo-output

test: $(READY)
	$(BIN)/python -m pytest --numprocesses 3 --dist worksteal

NEWEST = import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	print(*(d for d in p["dependencies"] + p["optional-dependencies"]["test"] if not d.startswith("torch")), sep="\n")

test-core:
	$(PYTHON) -m venv $(VENV)-core
	$(VENV)-core/bin/python -c '$(NEWEST)' | $(VENV)-core/bin/python -m pip install --quiet --upgrade --requirement /dev/stdin
	$(VENV)-core/bin/python -m pip install --quiet --no-deps --editable .
	$(VENV)-core/bin/python -m pytest --numprocesses 3 --dist worksteal

chaos: $(READY)
	FEATURESTORE_CHAOS=long $(BIN)/python -m pytest tests/chaos tests/attacks/test_fuzz*.py tests/attacks/test_hostile_stores.py tests/attacks/test_hostile_runs.py -o timeout=3600 -o faulthandler_timeout=0

package: $(READY)
	$(BIN)/python tests/package/container_steps.py

bench: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[bench]"
	$(PYTHON) -m venv $(VENV)-peers
	$(VENV)-peers/bin/python -m pip install --quiet --requirement benchmarks/peers.txt
	$(BIN)/python benchmarks/run.py --peers-python $(VENV)-peers/bin/python $(if $(SOURCE),--source $(SOURCE))

docs: $(READY)
	$(BIN)/featurestore corpora --markdown > corpora.md.part
	mv corpora.md.part docs/corpora.md
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
