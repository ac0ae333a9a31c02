# Two commands on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export POPNET_CACHE ?= $(CURDIR)/.jax_cache

.PHONY: demo test lint format bench clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    install, fit a bundled table, show where model and report are"
	@echo "make test    install, run all tests (at most 10 minutes on 2 cores)"
	@echo "make lint    ruff (lint and format) and pyright"
	@echo "make bench   the speed benchmark against PyTorch and scikit-learn"

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[test]'
	touch $@

demo: $(STAMP)
	$(BIN)/python examples/demo.py

test: $(STAMP)
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# PyTorch's CPU build has to be there, or comes with the extra; see docs/benchmarks/speed.md.
bench: $(STAMP)
	$(BIN)/python -m pip install --quiet -e '.[bench]'
	$(BIN)/python -m benchmarks.speed

clean:
	rm -rf $(VENV) .jax_cache .pytest_cache .ruff_cache popnet-demo
