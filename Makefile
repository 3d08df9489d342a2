# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Needs Python 3.10 or later with venv, and make; everything else goes into VENV. Where there are
# wheels of ROS 2, which end at Python 3.14, they go there too.

VENV ?= .venv
JAZZY := $(VENV)-jazzy
OLDEST := $(VENV)-oldest
BIN := $(VENV)/bin
SHELL := /bin/sh
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python3.10)
SUPPORTED := import sys; sys.exit(sys.version_info < (3, 10))
WHEELS := import platform as p, sys; sys.exit((p.system(), p.machine()) != ("Linux", "x86_64") \
  or p.python_implementation() != "CPython" or not (3, 10) <= sys.version_info[:2] <= (3, 14))
HAS_PIP := import ensurepip, venv
INSTALL := -m pip --disable-pip-version-check --no-input install
PIP := $(BIN)/python $(INSTALL)
# pyenv's are there without being in the path.
PYENV := $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions
PYTHON312 ?= $(firstword $(wildcard $(PYENV)/3.12.*/bin/python3.12) python3.12)
PYTHON310 ?= $(firstword $(wildcard $(PYENV)/3.10.*/bin/python3.10) python3.10)
# What imports ROS 2, and so can differ from distribution to distribution.
ROS_TESTS := test/ros test/launch test/replay test/demos
# A robot draws no street but that of the engines' check, which has tests of its own.
OLDEST_TESTS := test --ignore test/synthetic

# A ROS 2 that the shell has sourced would mix with the wheels in VENV. Where there are none, the
# demo gets it back.
SOURCED := $(if $(AMENT_PREFIX_PATH),env AMENT_PREFIX_PATH='$(AMENT_PREFIX_PATH)' \
  LD_LIBRARY_PATH='$(LD_LIBRARY_PATH)' PYTHONPATH='$(PYTHONPATH)' \
  $(if $(RMW_IMPLEMENTATION),RMW_IMPLEMENTATION='$(RMW_IMPLEMENTATION)'))
unexport AMENT_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH PYTHONPATH RMW_IMPLEMENTATION

.DEFAULT_GOAL := help
.PHONY: help demo picture test jazzy oldest gpu format clean

help: ## Show what there is to make
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.demo-stamp ## Drive down a synthetic street, through the node, into out/demo/
	@if $(BIN)/python -c '$(WHEELS)'; then $(BIN)/sg_depth demo --out out/demo; \
	else $(SOURCED) $(BIN)/sg_depth demo --out out/demo; fi

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
	@$(MAKE) --no-print-directory jazzy oldest

jazzy: ## Test what imports ROS 2 on the wheels of Jazzy, where Python 3.12 is at hand
	@if $(PYTHON312) -c '$(HAS_PIP); $(WHEELS)' 2>/dev/null; then \
	  $(MAKE) --no-print-directory $(JAZZY)/.stamp && $(JAZZY)/bin/python -m pytest $(ROS_TESTS); \
	else echo 'No Python 3.12 with venv (PYTHON312=...), or no wheels for this machine:' \
	  'Jazzy was NOT tested.'; fi

oldest: ## Test on the oldest libraries, those of Humble, where Python 3.10 is at hand
	@if $(PYTHON310) -c '$(HAS_PIP)' 2>/dev/null; then \
	  $(MAKE) --no-print-directory $(OLDEST)/.stamp && $(OLDEST)/bin/python -m pytest $(OLDEST_TESTS); \
	else echo 'No Python 3.10 with venv (PYTHON310=...): the oldest libraries were NOT tested.'; fi

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
	@$(call install,report)
	@touch $@

$(VENV)/.test-stamp: setup.py | $(BIN)/pip
	@echo 'Installing all that tests need into $(VENV), with PyTorch about 7 GB; only this once.'
	@$(call install,train$(comma)report$(comma)test)
	@touch $@ $(VENV)/.demo-stamp

$(VENV)/.gpu-$(TENSORRT)-stamp: setup.py | $(BIN)/pip
	@echo 'Installing what the GPU needs into $(VENV), about 2 GB; only this once.'
	$(PIP) --editable '.[ros,report,$(TENSORRT)]' pytest pytest-timeout
	@touch $@

comma := ,
define install
if $(BIN)/python -c '$(WHEELS)'; then $(PIP) --editable '.[ros,$(1)]'; \
else echo 'There are no wheels of ROS 2 for this machine or Python: one that is sourced serves.'; \
  $(PIP) --editable '.[$(1)]'; fi
endef

$(JAZZY)/.stamp: setup.py test/jazzy.txt
	@echo 'Installing the wheels of Jazzy into $(JAZZY), about 800 MB; only this once.'
	$(PYTHON312) -m venv $(JAZZY)
	$(JAZZY)/bin/python $(INSTALL) --requirement test/jazzy.txt
	$(JAZZY)/bin/python $(INSTALL) --no-deps --editable .
	@touch $@

$(OLDEST)/.stamp: setup.py test/oldest.txt
	@echo 'Installing the libraries of Humble into $(OLDEST), about 400 MB; only this once.'
	$(PYTHON310) -m venv $(OLDEST)
	$(OLDEST)/bin/python $(INSTALL) --requirement test/oldest.txt
	$(OLDEST)/bin/python $(INSTALL) --no-deps --editable .
	@touch $@

# ensurepip is what Debian and Ubuntu leave out of python3.
$(BIN)/pip:
	@found=; bare=; \
	for wanted in '$(WHEELS)' '$(SUPPORTED)'; do \
	  for python in $(CANDIDATES); do \
	    $$python -c "$$wanted" 2>/dev/null || continue; \
	    if $$python -c '$(HAS_PIP)' 2>/dev/null; then found=$$python; break 2; fi; \
	    bare=$$python; \
	  done; \
	done; \
	if [ -n "$$found" ]; then \
	  echo "Making $(VENV) with $$found ($$($$found --version))"; \
	  $$found -m venv $(VENV); \
	elif [ -n "$$bare" ]; then \
	  echo "$$bare cannot make virtual environments; on Debian and Ubuntu:" \
	    "sudo apt install python3-venv" >&2; exit 1; \
	else \
	  echo "Found no Python 3.10 or later as any of: $(CANDIDATES);" \
	    "install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; \
	fi
