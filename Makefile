# Every target builds what it needs in .venv; PYTHON names the interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
# A process a core.
PARALLEL := -n auto --dist worksteal

# With an NVIDIA driver: ONNX Runtime's GPU build with the CUDA libraries, else the small CPU build.
ifneq ($(wildcard /proc/driver/nvidia/version /dev/nvidiactl),)
INSTALL := -e .[cuda]
else
INSTALL := -r requirements-cpu.txt
endif

.PHONY: demo demo-video check test test-all test-oldest clean

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("styletransfer needs Python 3.11 or newer; set PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python setup.cfg requirements-cpu.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(INSTALL)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

$(VENV)/installed-test: $(VENV)/installed-video $(VENV)/installed-web requirements-cluster.txt requirements-test.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-cluster.txt -r requirements-test.txt
	touch $@

# Stylises a photograph in about two minutes on two cores, and then at once, by a network that paints.
demo: $(VENV)/installed
	$(BIN)/python style.py -s images/style/night.jpg -c images/content/cat.jpg -m vgg16 -n 100 -l 512 --optimizer lbfgs -o outputs/demo.jpg
	$(BIN)/python -m styletransfer stylize -m samples --style 26 -c images/content/cat.jpg -l 512 -o outputs/demo-at-once.jpg

# Paints a film of two seconds that pans over a photograph, in about half a minute on two cores.
demo-video: $(VENV)/installed-video
	$(BIN)/python -m tools.pan images/content/coffee.jpg outputs/pan.mp4
	$(BIN)/python -m styletransfer video outputs/pan.mp4 -s images/style/night.jpg -o outputs/demo.mp4

$(VENV)/installed-video: $(VENV)/installed requirements-video.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-video.txt
	touch $@

$(VENV)/installed-web: $(VENV)/installed requirements-web.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-web.txt
	touch $@

# What can be said without running anything: style, what each module may import, types.
check: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/mypy

# Every capability once, on real weights.
test: check
	$(BIN)/python -m pytest $(PARALLEL)

# The slow ones too.
test-all: $(VENV)/installed-test
	$(BIN)/python -m pytest $(PARALLEL) -m "slow or not slow"

# The tests with the oldest release of each dependency that setup.cfg admits.
test-oldest:
	mkdir -p $(OLDEST)
	$(PYTHON) tools/oldest.py > $(OLDEST)/constraints.txt
	PIP_CONSTRAINT=$(OLDEST)/constraints.txt $(MAKE) VENV=$(OLDEST) $(OLDEST)/installed-test
	$(OLDEST)/bin/python -m pytest $(PARALLEL)

clean:
	rm -rf $(VENV) $(OLDEST)
