# Thin front of CMake (CMakePresets.json has the builds). `make help` lists the targets.
PRESET ?= release
BUILD := build/$(PRESET)
JOBS ?= $(shell nproc)
SAROS := $(BUILD)/bin/saros

# Ninja where it is installed, make elsewhere; a configured build keeps its own.
ifneq ($(shell command -v ninja),)
export CMAKE_GENERATOR ?= Ninja
endif

C_FILES = $(shell find src tests cmake -name '*.[ch]')

.PHONY: help packages configure build program run test asan coverage bench format lint install clean

help:
	@echo 'make run       build, then train the names classifier and show what it learned'
	@echo 'make test      build everything and run all tests'
	@echo 'make build     build only;   PRESET=debug|asan|coverage|cuda for another build'
	@echo 'make asan      the tests under AddressSanitizer and UndefinedBehaviorSanitizer'
	@echo 'make coverage  the tests, then a coverage report (needs lcov)'
	@echo 'make bench     the benchmarks, one JSON line each'
	@echo 'make format    clang-format;   make lint  check format and Lua style'
	@echo 'make install   cmake --install (PREFIX=/usr/local)'

packages:
	@cmake/install_packages.sh

configure: packages
	@cmake --preset $(PRESET)

build: configure
	@cmake --build $(BUILD) --parallel $(JOBS)

program: configure
	@cmake --build $(BUILD) --parallel $(JOBS) --target saros_program

run: program
	$(SAROS) scripts/710_names_classification.lua --retrain

test: build
	@ctest --preset $(PRESET)

asan:
	@$(MAKE) --no-print-directory test PRESET=asan

coverage:
	@$(MAKE) --no-print-directory test PRESET=coverage
	lcov --quiet --capture --directory build/coverage --output-file build/coverage/all.info
	lcov --quiet --extract build/coverage/all.info '$(CURDIR)/src/*' \
	  --output-file build/coverage/saros.info
	genhtml --quiet --output-directory build/coverage/html build/coverage/saros.info
	@lcov --summary build/coverage/saros.info
	@echo 'build/coverage/html/index.html'

bench: program
	@for workload in $(filter-out %/common.lua,$(wildcard tests/bench/*.lua)); do \
	  $(SAROS) $$workload $(BENCH_FLAGS) || exit 1; \
	done

format:
	clang-format -i $(C_FILES)

lint:
	clang-format --dry-run -Werror $(C_FILES)
	luacheck --quiet lua scripts tests

install: build
	cmake --install $(BUILD) $(if $(PREFIX),--prefix $(PREFIX))

clean:
	rm -rf build
