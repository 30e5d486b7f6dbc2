# Every target builds what it needs in .venv; PYTHON names the interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# With an NVIDIA driver: ONNX Runtime's GPU build with the CUDA libraries, else the small CPU build.
ifneq ($(wildcard /proc/driver/nvidia/version /dev/nvidiactl),)
INSTALL := -e .[cuda]
else
INSTALL := -r requirements-cpu.txt
endif

.PHONY: demo test test-all check clean

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("styletransfer needs Python 3.11 or newer; set PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python setup.cfg requirements-cpu.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(INSTALL)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

$(VENV)/installed-test: $(VENV)/installed requirements-test.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	touch $@

# Stylises a photograph in about two minutes on two cores.
demo: $(VENV)/installed
	$(BIN)/python style.py -s images/style/night.jpg -c images/content/cat.jpg -m vgg16 -n 100 -l 512 --optimizer lbfgs -o outputs/demo.jpg

# Every capability once, on real weights.
test: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest

# The slow ones too.
test-all: $(VENV)/installed-test
	$(BIN)/python -m pytest -m "slow or not slow"

clean:
	rm -rf $(VENV)
