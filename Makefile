# Two commands to begin with: `make demo` and `make test`. Both install into .venv first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help install demo test check lint types format docs web bench clean

help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

.venv/installed: pyproject.toml
	@echo 'Installing posecast and about 70 packages, PyTorch among them, into .venv: a download of'
	@echo 'some hundred MB, or some GB where PyTorch brings its CUDA libraries (usual on Linux). Minutes.'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[dev]'
	touch $@

install: .venv/installed  ## install posecast and its developer tools into .venv

demo: .venv/installed  ## forecast a real person, then draw people, train on them and forecast: pages in demo/
	$(BIN)/posecast demo demo

test: .venv/installed  ## run the tests
	$(BIN)/python -m pytest -n 2

check: lint types test  ## everything CI runs

lint: .venv/installed  ## style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed  ## static types
	$(BIN)/pyright

format: .venv/installed  ## rewrite the code in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/installed  ## build the documentation as a site: site/index.html
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[dev,docs]'
	$(BIN)/zensical build --clean --strict

onnx/posecast-onnx.json: .venv/installed
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[dev,onnx]'
	$(BIN)/posecast export onnx --out onnx

web: onnx/posecast-onnx.json  ## build web/dist: poses forecast in a browser (needs node and npm)
	cd web && npm ci --no-audit --no-fund && node build.mjs ../onnx

bench: .venv/installed  ## measure speed beside the limits of this machine
	$(BIN)/python -m benchmarks.speed

clean:  ## remove what the commands above made
	rm -rf .venv demo onnx site web/dist web/node_modules
