# `make quickstart` and `make test` need Python 3.11 or later and make; they set up all else in $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN := runs/quickstart
# The tests compile more than they compute.
QUICK_COMPILES := XLA_FLAGS="--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true --xla_cpu_use_fusion_emitters=false"
TENSORFLOW := KERAS_BACKEND=tensorflow $(QUICK_COMPILES)
JAX := KERAS_BACKEND=jax $(QUICK_COMPILES)
PARITY := .venv-parity
PARITY_TRANSFORMERS ?= 5.23.0
PARITY_SENTENCES := $(if $(filter 5.%,$(PARITY_TRANSFORMERS)),sentence-transformers==6.2.0)

.PHONY: help install quickstart test test-slow parity check format clean

help:
	@echo "make quickstart  train, look at, generate with and export a character GPT; under 5 minutes"
	@echo "make test        the test suite, on TensorFlow and on JAX"
	@echo "make test-slow   the long tests, on both: training and export of every head, killed runs, examples"
	@echo "make parity      side by side with Transformers and timm; PARITY_TRANSFORMERS=4.57.1 takes that version"
	@echo "make check       lint, format and types"
	@echo "make format      put the code into its format"
	@echo "make clean       remove what the above made, runs apart"

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev,jax]'
	@touch $@

quickstart: install
	$(BIN)/keras-tx train --name quickstart --overwrite
	$(BIN)/keras-tx export $(RUN)
	@echo && echo "From the SavedModel, in a process that has TensorFlow alone:" && echo
	@$(BIN)/python examples/generate_from_saved_model.py $(RUN)/saved_model/1 "The " 2>/dev/null

test: install
	$(TENSORFLOW) $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"
	$(JAX) $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

# TensorFlow keeps every program that XLA compiled until its process ends: training has processes of its own.
TRAINING := tests/test_contract_training.py
test-slow: install
	$(TENSORFLOW) $(BIN)/python -m pytest -n 2 --dist worksteal -m slow $(TRAINING)
	$(TENSORFLOW) $(BIN)/python -m pytest -n 2 --dist worksteal -m slow --ignore $(TRAINING)
	$(JAX) $(BIN)/python -m pytest -n 2 --dist worksteal -m slow

parity: $(PARITY)/transformers-$(PARITY_TRANSFORMERS)
	$(PARITY)/bin/python -m pytest tests/parity

$(PARITY)/transformers-$(PARITY_TRANSFORMERS): pyproject.toml
	$(PYTHON) -m venv $(PARITY)
	$(PARITY)/bin/python -m pip install --quiet --upgrade pip
	$(PARITY)/bin/python -m pip install --quiet torch==2.13.0 timm==1.0.31 transformers==$(PARITY_TRANSFORMERS) $(PARITY_SENTENCES) --editable '.[dev,jax]'
	@rm -f $(PARITY)/transformers-* && touch $@

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(PARITY) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
