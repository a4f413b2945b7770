# Everything runs in a virtual environment of its own, made on first use.
PYTHON ?= python3.11
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: help setup demo test check bench-training bench-laws bench-theory constraints clean

help:
	@echo "make demo            set everything up and run the demonstration (minutes on a laptop CPU)"
	@echo "make test            set everything up, check the code and run the tests"
	@echo "make check           formatting, lint, types and the layers of the design"
	@echo "make bench-laws      forecasts, surfaces, verdicts and designs: ours beside the peers"
	@echo "make bench-theory    the linear estimator: the paper's figure, expectations, real photographs"
	@echo "make bench-training  images per second by network: ours, a plain loop, deepinv's Trainer"

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

setup: $(STAMP)

demo: $(STAMP)
	$(BIN)/reconscale demo

test: check
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: $(STAMP)
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

bench-training: $(STAMP)
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/training_mri.py

# The strongest peer wants Python 3.12: it gets an environment of its own, and is left out where there is none.
PEER_PYTHON ?= python3.12
PEERS := .venv-peers

$(PEERS)/.installed:
	@if command -v $(PEER_PYTHON) > /dev/null; then \
	  $(PEER_PYTHON) -m venv $(PEERS) && $(PEERS)/bin/pip install --quiet simple-scaling-laws==0.2.0 && touch $@; \
	else echo "no $(PEER_PYTHON): simple-scaling-laws is left out"; fi

bench-laws: $(STAMP) $(PEERS)/.installed
	$(BIN)/python benchmarks/laws.py
	$(BIN)/python benchmarks/surfaces.py
	$(BIN)/python benchmarks/verdicts.py
	$(BIN)/python benchmarks/design.py

bench-theory: $(STAMP)
	$(BIN)/python benchmarks/theory_paper.py
	$(BIN)/python benchmarks/theory_equivalents.py
	$(BIN)/python benchmarks/theory_images.py

constraints: $(STAMP)
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
