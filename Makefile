# Everything runs in .venv, made from requirements.lock. Needs Python 3.11 and make, and nothing else.
PYTHON ?= python3.11
BIN := .venv/bin
SOURCE ?= worlds
RECIPE ?= tiny
SET ?=
WORK ?= work
PORT ?= 8000
ENGINE ?= docker
IMAGE := kinora/python:$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help demo serve reference test check compile docs images bench aa clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.installed: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv (about two minutes, once) ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: .venv/.installed ## raw clips to a served video, in about 18 minutes on two CPU cores (SOURCE=<folder> for your own)
	@$(BIN)/python -m pipelines.demo --source "$(SOURCE)" --recipe "$(RECIPE)" --set "$(SET)" --work "$(WORK)" --port "$(PORT)"

serve: .venv/.installed ## serve the promoted model again, after a demo
	@$(BIN)/kinora serve --work "$(WORK)" --port "$(PORT)"

reference: .venv/.installed ## make the model again that comes with the package (hours), and put it there
	@$(BIN)/kinora pipeline run --recipe reference --work "$(WORK)"
	@$(BIN)/python -m kinora.reference --artifact-root "$(WORK)/artifacts"

test: .venv/.installed ## run the tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile

check: .venv/.installed ## lint, types, import direction, drift of generated files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pipelines.compile --check
	@$(BIN)/python docs/generate.py --check
	@$(BIN)/zensical build

compile: .venv/.installed ## compile the pipelines to pipelines/compiled/
	@$(BIN)/python -m pipelines.compile

docs: .venv/.installed ## write the generated pages, and the documentation as a site to build/site
	@$(BIN)/python docs/generate.py
	@$(BIN)/zensical build

images: ## build the images of a cluster and prove them (ENGINE=podman for podman)
	$(ENGINE) build -f components/Dockerfile --target cpu -t $(IMAGE)-cpu .
	$(ENGINE) build -f components/Dockerfile --target gpu -t $(IMAGE)-gpu .
	ENGINE=$(ENGINE) components/verify_images.sh $(IMAGE)-cpu $(IMAGE)-gpu

bench: .venv/.installed ## measure what docs/benchmarks.md reports
	@$(BIN)/python -m benchmarks.all

aa: .venv/.installed ## how often the gate promotes a model that is no better, and how large a gain it finds
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.gate_aa

clean: ## remove the environment, the work folder and caches
	rm -rf .venv $(WORK) build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
