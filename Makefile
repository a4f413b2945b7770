# Everything runs in a virtual environment of its own, made on first use.
PYTHON ?= python3.11
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: help setup demo test test-fast check trainers bench-training bench-quality bench-laws bench-theory bench-scale slurm-loopback docs docs-setup accessibility dist release-check fuzz audit sbom constraints clean

help:
	@echo "make demo            set everything up and run the demonstration (minutes on a laptop CPU)"
	@echo "make test            set everything up, check the code and run the tests"
	@echo "make test-fast       the checks and the quick rooms of the tests: the inner loop"
	@echo "make check           formatting, lint, types and the layers of the design"
	@echo "make trainers        whole trainers of others, unmodified, as commands: examples/trainers (a quarter of an hour, 10 GB)"
	@echo "make bench-laws      forecasts, surfaces, verdicts and designs: ours beside the peers"
	@echo "make bench-theory    the linear estimator: the paper's figure, expectations, real photographs"
	@echo "make bench-scale     a million images, 200 injected faults, two nodes, what plan predicts (an hour)"
	@echo "make slurm-loopback  Debian's Slurm unpacked into a folder, and our tests in its queue"
	@echo "make bench-training  images per second by network: ours, a plain loop, deepinv's Trainer"
	@echo "make bench-quality   seconds of one core to a quality: ours, and the recipes of others (hours; goes on when called again)"
	@echo "make docs            the documentation as a site: build/site/index.html"
	@echo "make accessibility   axe-core over a page of every kind and the site, light and dark (minutes; needs npm and Chromium)"
	@echo "make dist            wheel and source package, checked: dist/ (packaging/ has images made of the wheel)"
	@echo "make release-check   the wheel tried as the documentation says, with every Python that is here (half an hour)"
	@echo "make fuzz HOURS=1    coverage-guided fuzzing of every reader of a user's file"
	@echo "make audit           known vulnerabilities of the pinned packages (needs PyPI's advisories)"
	@echo "make sbom            what is installed, as CycloneDX JSON: dist/sbom.json"

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

setup: $(STAMP)

demo: $(STAMP)
	$(BIN)/reconscale demo

# Rooms whose tests compute little; a new test belongs to the tier of its room.
QUICK := laws study results importers data physics networks test_doc_links.py test_plain_english.py test_structure.py

test-fast: check
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(addprefix tests/,$(QUICK))

test: check
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

check: $(STAMP)
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

# fastMRI 0.3.0 wants Lightning 1 and BasicSR 1.4.2 a torchvision below 0.17: they share an environment of older packages.
TRAINERS := .venv-trainers

$(TRAINERS)/current/.installed: examples/trainers/current.txt
	$(PYTHON) -m venv $(TRAINERS)/current
	$(TRAINERS)/current/bin/python -m pip install --quiet -r examples/trainers/current.txt --editable '.[figures,ray]'
	@touch $@

$(TRAINERS)/older/.installed: examples/trainers/older.txt
	$(PYTHON) -m venv $(TRAINERS)/older
	$(TRAINERS)/older/bin/python -m pip install --quiet -r examples/trainers/older.txt --editable '.[figures]'
	@touch $@

trainers: $(STAMP) $(TRAINERS)/current/.installed $(TRAINERS)/older/.installed
	RECONSCALE_TRAINERS=$(TRAINERS) $(BIN)/python -m pytest -s tests/trainers

bench-training: $(STAMP)
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/training_mri.py

# What is there already is not computed again. DATA: the data folder, where $RECONSCALE_DATA does not say it.
bench-quality: $(STAMP)
	$(BIN)/python benchmarks/quality.py --all $(if $(DATA),--data $(DATA))
	$(BIN)/python benchmarks/quality.py --collect --figure .bench-quality/quality.png

# The strongest peer wants Python 3.12: it gets an environment of its own, and is left out where there is none.
PEER_PYTHON ?= python3.12
PEERS := .venv-peers

$(PEERS)/.installed:
	@if command -v $(PEER_PYTHON) > /dev/null; then \
	  $(PEER_PYTHON) -m venv $(PEERS) && $(PEERS)/bin/pip install --quiet simple-scaling-laws==0.2.0 && touch $@; \
	else echo "no $(PEER_PYTHON): simple-scaling-laws is left out"; fi

bench-laws: $(STAMP) $(PEERS)/.installed
	$(BIN)/python benchmarks/laws.py
	$(BIN)/python benchmarks/flattening.py
	$(BIN)/python benchmarks/related.py
	$(BIN)/python benchmarks/surfaces.py
	$(BIN)/python benchmarks/mixture.py
	$(BIN)/python benchmarks/verdicts.py
	$(BIN)/python benchmarks/design.py

bench-theory: $(STAMP)
	$(BIN)/python benchmarks/theory_paper.py
	$(BIN)/python benchmarks/theory_equivalents.py
	$(BIN)/python benchmarks/theory_images.py

bench-scale: $(STAMP)
	$(BIN)/python benchmarks/store.py
	$(BIN)/python benchmarks/faults.py
	$(BIN)/python benchmarks/cluster.py
	$(BIN)/python benchmarks/plan.py

# Nothing is installed and no service is started: see tests/training/executors/loopback_slurm.py.
SLURM := .slurm-loopback

$(SLURM)/usr/bin/sbatch:
	python3 tests/training/executors/loopback_slurm.py fetch $(SLURM)

slurm-loopback: $(STAMP) $(SLURM)/usr/bin/sbatch
	$(BIN)/python -m pip install --quiet 'submitit>=1.5'
	RECONSCALE_SLURM=$(SLURM) $(BIN)/python -m pytest tests/training/executors/test_slurm.py tests/training/executors/test_slurm_real.py

# What builds the site; without it its tests are skipped.
DOCS := $(VENV)/.docs

$(DOCS): $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	@touch $@

docs-setup: $(DOCS)

# Strict: a warning, a link that leads nowhere or a missing anchor is a failure (tests/test_site.py looks at what was built).
docs: $(DOCS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build
	@echo "build/site/index.html"

# Slower than the gate, and no part of it: axe-core is asked of npm, and where that or Chromium is missing nothing is done.
AXE := .accessibility/node_modules/axe-core/axe.min.js
AXE_VERSION := 4.14.1

$(AXE):
	@if command -v npm > /dev/null && npm install --prefix .accessibility --no-audit --no-fund --silent axe-core@$(AXE_VERSION); \
	then true; else echo "no npm, or no way to its registry: axe-core $(AXE_VERSION) is not there"; fi

accessibility: $(STAMP) $(AXE)
	$(BIN)/python website/accessibility.py --axe $(AXE) --make build/accessibility $(wildcard build/site) $(wildcard demo*/report/report.html)

# Building has an environment of its own. The wheel is tried in a third one, with what it says it needs and nothing else.
BUILD := .venv-build

$(BUILD)/.installed:
	$(PYTHON) -m venv $(BUILD)
	$(BUILD)/bin/python -m pip install --quiet build twine
	@touch $@

dist: $(BUILD)/.installed
	rm -rf dist/reconscale-* $(BUILD)/try
	$(BUILD)/bin/python -m build --outdir dist .
	$(BUILD)/bin/twine check --strict dist/reconscale-*
	$(PYTHON) -m venv $(BUILD)/try
	$(BUILD)/try/bin/python -m pip install --quiet --constraint constraints.txt dist/reconscale-*.whl
	$(BUILD)/try/bin/reconscale --version
	$(BUILD)/try/bin/reconscale demo --help > /dev/null

# The wheel alone, in environments that have nothing else: the analysis side with every Python that is here, and some tests
# of laws; the demonstration, the first tutorial and a notebook with training installed (several GB). A Python that is there
# in name alone, as pyenv's are, is none. TRAINED=python3.13 tries training with another one.
PYTHONS ?= $(PYTHON) python3.12 python3.13
TRAINED ?= $(PYTHON)
TRIED := $(addprefix tests/laws/,test_points.py test_forecast.py test_metrics.py test_data_frame.py named)

release-check: dist
	for python in $(PYTHONS); do \
	  if ! $$python --version > /dev/null 2>&1; then echo "no $$python: left out"; continue; fi; \
	  place=$(BUILD)/$$(basename $$python); rm -rf $$place; \
	  $$python -m venv $$place && $$place/bin/python -m pip install --quiet dist/reconscale-*.whl \
	    && $$place/bin/python -P packaging/release_check.py core \
	    && $$place/bin/python -m pip install --quiet pytest hypothesis matplotlib pandas pyyaml \
	    && $$place/bin/python -P -m pytest -q $(TRIED) -k "not take_seconds" || exit 1; done
	rm -rf $(BUILD)/train
	$(TRAINED) -m venv $(BUILD)/train
	$(BUILD)/train/bin/python -m pip install --quiet --constraint constraints.txt "$$(ls dist/reconscale-*.whl)[train,pandas]"
	$(BUILD)/train/bin/python -P packaging/release_check.py train

HOURS ?= 1
fuzz: $(STAMP)
	$(BIN)/python -m pip install --quiet --editable '.[fuzz]'
	$(BIN)/python fuzz/campaign.py --hours $(HOURS)

# The tools have an environment of their own, so that they are not counted among what is audited.
AUDIT := .venv-audit

$(AUDIT)/.installed: pyproject.toml
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --constraint constraints.txt '.[audit]'
	@touch $@

# --strict: a package whose advisories cannot be looked up is a failure, not a clean bill.
audit: $(AUDIT)/.installed
	$(AUDIT)/bin/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip

sbom: $(STAMP) $(AUDIT)/.installed
	@mkdir -p dist
	$(AUDIT)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-format JSON --output-file dist/sbom.json $(BIN)/python

constraints: $(STAMP)
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

clean:
	rm -rf $(VENV) $(TRAINERS) build .accessibility .venv-audit .venv-build .fuzz .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
