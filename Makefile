# Everything runs in a virtual environment of its own, made on first use.
PYTHON ?= python3.11
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: help setup demo test check bench-training constraints clean

help:
	@echo "make demo            set everything up and run the demonstration (minutes on a laptop CPU)"
	@echo "make test            set everything up, check the code and run the tests"
	@echo "make check           formatting, lint, types and the layers of the design"
	@echo "make bench-training  images per second: ours, a plain loop, deepinv's Trainer"

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

constraints: $(STAMP)
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
