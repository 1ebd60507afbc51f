# SPDX-License-Identifier: MIT
# `make help` lists the targets. C++ is built by CMake, the module by kbuild; this file only calls them.

VERSION := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
KVER    ?= $(shell uname -r)
KDIR    ?= /lib/modules/$(KVER)/build
PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   := build

.DEFAULT_GOAL := all

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: all
all: programs $(if $(wildcard $(KDIR)/Makefile),module) ## programs, and the module where this kernel's headers are

.PHONY: programs
programs: ## vramswapd, vramswapctl, test programs, in build/bin
	@scripts/deps build
	@cmake -S . -B $(BUILD) -G Ninja > $(BUILD)-cmake.log 2>&1 || { cat $(BUILD)-cmake.log; exit 1; }
	@rm -f $(BUILD)-cmake.log
	@cmake --build $(BUILD)

.PHONY: module
module: ## vramswap.ko for KDIR, in kmod/
	$(MAKE) -C $(KDIR) M=$(CURDIR)/kmod modules

.PHONY: demo
demo: ## swap for real, here or in a virtual machine, and show it
	@scripts/deps demo
	@$(MAKE) --no-print-directory programs
	@demo/main $(DEMO_ARGS)

.PHONY: check
check: ## build everything, run all tests
	@tests/check

.PHONY: debug-kernel
debug-kernel: ## kernels that watch what they run, for the tests: debug, kcsan and kasan
	@tests/vm/vm fetch debug kcsan kasan

FUZZ_SECONDS ?= 60
FUZZ_KERNELS ?= kasan kcsan
.PHONY: fuzz
fuzz: programs ## a hostile helper and netlink for FUZZ_SECONDS on the debug kernels; FUZZ_SEED=n repeats a run
	@FUZZ_SECONDS=$(FUZZ_SECONDS) $(if $(FUZZ_SEED),FUZZ_SEED=$(FUZZ_SEED)) tests/vm/vm run \
		$(addprefix -k ,$(FUZZ_KERNELS)) hostile_helper_leaks_and_breaks_nothing

.PHONY: torture
torture: programs ## hours of kills, low memory, races and fuzz on the debug kernels; report in docs/results
	@tests/torture

.PHONY: bench
bench: ## vramswap beside its peers, in a virtual machine; report and plots in build/bench. BENCH_ARGS="--rounds 1 ..."
	@scripts/deps bench
	@bench/run $(BENCH_ARGS)

.PHONY: lint
lint: ## checkpatch, W=1, sparse, clang-format, clang-tidy, shellcheck
	@tests/lint

.PHONY: install
install: programs ## programs, units, pages into PREFIX, the module by DKMS if dkms is there, else for this kernel
	@packaging/files install "$(DESTDIR)" $(PREFIX) $(BUILD)
	@packaging/module install $(VERSION) "$(DESTDIR)" $(KVER)

.PHONY: uninstall
uninstall: ## takes away what install put there
	@packaging/files uninstall "$(DESTDIR)" $(PREFIX) $(BUILD)
	@packaging/module uninstall $(VERSION) "$(DESTDIR)" $(KVER)

.PHONY: dist
dist: ## the sources as build/vramswap-VERSION.tar.gz, from git, the same bytes each time
	@packaging/dist $(VERSION)

.PHONY: deb
deb: dist ## packages for this Debian or Ubuntu, in build/deb
	@packaging/deb $(VERSION)

.PHONY: rpm
rpm: dist ## packages for a system with rpm, in build/rpm
	@packaging/rpm/build $(VERSION)

.PHONY: clean
clean: ## takes away what was built; downloads stay in .cache
	rm -rf $(BUILD)
	@if [ -f $(KDIR)/Makefile ]; then $(MAKE) -s -C $(KDIR) M=$(CURDIR)/kmod clean; fi
