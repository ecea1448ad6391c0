# Everything a newcomer, a developer and the gate need. `make serve` and `make test` are the two commands of the README.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLATFORM ?= cpu
INSTALLED := $(VENV)/.installed-$(PLATFORM)
DEVELOPED := $(VENV)/.developed-$(PLATFORM)
VLLM_VENV := .venv-vllm
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: bench bench-calibration bench-gate bench-generation bench-indexes bench-models bench-quality bench-speed bench-training serve test test-vllm torture lint types layers check clean

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

$(INSTALLED): pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) torch==2.13.0 -e '.[$(PLATFORM)]'
	touch $@

$(DEVELOPED): $(INSTALLED)
	$(PIP_INSTALL) -e '.[$(PLATFORM),dev,ragas]'
	touch $@

serve: $(INSTALLED) ## install, ingest the sample documents, serve API and web page
	$(BIN)/citewell serve --samples

test: $(DEVELOPED) ## install what the tests need, then run them
	.ci/system-packages
	$(BIN)/python -m pytest

$(VLLM_VENV)/.installed: constraints-vllm.txt .ci/vllm-environment
	PYTHON=$(PYTHON) .ci/vllm-environment $(VLLM_VENV)
	touch $@

test-vllm: $(DEVELOPED) ## install a real vLLM for the CPU beside, and run the tests that need it (x86-64 Linux)
	@if [ "$$(uname -sm)" = "Linux x86_64" ]; then \
	  $(MAKE) --no-print-directory $(VLLM_VENV)/.installed && \
	  $(BIN)/python -m pytest tests/vllm --timeout 900 --vllm $(VLLM_VENV)/bin/vllm; \
	else echo "test-vllm is skipped: there is a CPU build of vLLM for x86-64 Linux only"; fi

torture: $(DEVELOPED) ## kill the service sixty times, and send it hostile files in full size
	$(BIN)/python -m pytest tests/torture --kills 60 --timeout 3600

DATA ?= ../shared/datasets
bench-indexes: $(DEVELOPED) ## speed, recall and memory of both indexes at 1,000 to 1,000,000 chunks; needs the question sets in DATA
	$(BIN)/python -m eval.bench.index_vectors --data $(DATA) --sizes 0,1000,10000,100000,1000000
	$(BIN)/python -m eval.bench.index_lexical --data $(DATA)

BENCH_VENV := .venv-bench
$(BENCH_VENV)/.installed: eval/bench/peers.txt
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

bench-quality: $(DEVELOPED) $(BENCH_VENV)/.installed ## quality of retrieval on the question sets in DATA, beside txtai, Haystack and LlamaIndex
	$(BIN)/python -m eval.bench.quality --data $(DATA) --peers $(BENCH_VENV)/bin/python --plot docs/retrieval-quality.svg

bench-speed: $(DEVELOPED) $(BENCH_VENV)/.installed ## speed, memory and size beside txtai, Haystack, LlamaIndex, bm25s and rank_bm25
	$(BIN)/python -m api.bench.speed --data $(DATA) --peers $(BENCH_VENV)/bin/python --markdown .bench/speed.md --plot docs/search-speed.svg

bench: bench-quality bench-speed bench-indexes bench-models bench-gate bench-calibration bench-generation ## everything that is measured without a running service

bench-generation: $(DEVELOPED) ## checked sentences, and stored answers given again after a restart; with VLLM=URL also what citewell adds to vLLM
	$(BIN)/python -m eval.bench.support --data $(DATA)
	$(BIN)/python -m eval.bench.replay
	$(if $(VLLM),$(BIN)/python -m eval.bench.generation --vllm $(VLLM))

bench-gate: $(DEVELOPED) ## planted regressions and clean nights, judged by the gate; what is observed is kept in .bench/gate
	$(BIN)/python -m api.bench gate --data $(DATA)

bench-calibration: $(DEVELOPED) ## the promise about wrong answers, over a hundred random splits of real labels
	$(BIN)/python -m api.bench labels --data $(DATA)

bench-models: $(DEVELOPED) ## reranked against fused, answers from gold passages, and speed; needs the question sets in DATA
	$(BIN)/python -m eval.bench.models --data $(DATA)

bench-training: $(DEVELOPED) ## the recipe of the reranker and reader, run small with three seeds: how far they differ (half an hour)
	$(BIN)/python -m eval.bench.seeds --data $(DATA)

lint: $(DEVELOPED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEVELOPED)
	$(BIN)/mypy

layers: $(DEVELOPED)
	$(BIN)/lint-imports

check: lint types layers test test-vllm ## everything the gate runs

clean:
	rm -rf $(VENV) $(VLLM_VENV) $(BENCH_VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
