# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Needs Python 3.10, 3.11 or 3.12 with venv, and make; everything else goes into VENV.

VENV ?= .venv
BIN := $(VENV)/bin
SHELL := /bin/sh
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3 python3.12 python3.11 python3.10)
SUPPORTED := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install

# A ROS 2 that the shell has sourced would mix with the wheels in VENV.
unexport AMENT_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH PYTHONPATH RMW_IMPLEMENTATION

.DEFAULT_GOAL := help
.PHONY: help demo picture test gpu format clean

help: ## Show what there is to make
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.demo-stamp ## Drive down a synthetic street, through the node, into out/demo/
	$(BIN)/sg_depth demo --out out/demo

picture: demo ## Make the pictures in README.md and docs/ from the demo and a street
	mkdir -p docs
	$(BIN)/python -c "import cv2; strip = cv2.imread('out/demo/depth.png'); \
	  cv2.imwrite('docs/street.jpg', cv2.resize(strip[:len(strip) // 3], None, fx=0.67, fy=0.67, \
	  interpolation=cv2.INTER_AREA))"
	$(BIN)/python -m sg_depth_ros.cli.cloud --out docs --rounds 0

test: $(VENV)/.test-stamp ## Check format, lint, types and imports, and run the tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

# Which TensorRT: tensorrt-rtx for GeForce RTX, tensorrt for others, as in setup.py.
TENSORRT ?= tensorrt-rtx

gpu: $(VENV)/.gpu-$(TENSORRT)-stamp ## Prove the engines on this machine's NVIDIA GPU: out/gpu/report.md
	$(BIN)/python -m sg_depth_ros.cli.gpu --out out/gpu --engine $(subst -,_,$(TENSORRT))

format: $(VENV)/.test-stamp ## Format the code and mend what lint can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean: ## Remove what was built and the demo; the virtual environment stays
	rm -rf build install log out/demo *.egg-info .mypy_cache .pytest_cache .ruff_cache
	rm -rf .import_linter_cache
	find launch sg_depth_ros test -name __pycache__ -type d -prune -exec rm -r {} +

$(VENV)/.demo-stamp: setup.py | $(BIN)/pip
	@echo 'Installing what the demo needs into $(VENV), about 700 MB; only this once.'
	$(PIP) --editable '.[ros,report]'
	@touch $@

$(VENV)/.test-stamp: setup.py | $(BIN)/pip
	@echo 'Installing all that tests need into $(VENV), with PyTorch about 7 GB; only this once.'
	$(PIP) --editable '.[ros,train,report,test]'
	@touch $@ $(VENV)/.demo-stamp

$(VENV)/.gpu-$(TENSORRT)-stamp: setup.py | $(BIN)/pip
	@echo 'Installing what the GPU needs into $(VENV), about 2 GB; only this once.'
	$(PIP) --editable '.[ros,report,$(TENSORRT)]' pytest pytest-timeout
	@touch $@

# ensurepip is what Debian and Ubuntu leave out of python3.
$(BIN)/pip:
	@found=; bare=; \
	for python in $(CANDIDATES); do \
	  $$python -c '$(SUPPORTED)' 2>/dev/null || continue; \
	  if $$python -c 'import ensurepip, venv' 2>/dev/null; then found=$$python; break; fi; \
	  bare=$$python; \
	done; \
	if [ -n "$$found" ]; then \
	  echo "Making $(VENV) with $$found ($$($$found --version))"; \
	  $$found -m venv $(VENV); \
	elif [ -n "$$bare" ]; then \
	  echo "$$bare cannot make virtual environments; on Debian and Ubuntu:" \
	    "sudo apt install python3-venv" >&2; exit 1; \
	else \
	  echo "Found no Python 3.10, 3.11 or 3.12 as any of: $(CANDIDATES);" \
	    "install one, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; \
	fi
