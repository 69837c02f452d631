# Every target installs what it needs, says what it does, and can be repeated.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3

# Ansible's own tools have an environment of their own: they pin what the engine doesn't.
ANSIBLE := .cache/ansible
COLLECTION := ansible_collections/os_migrate/os_migrate

# What the tools' tests and the bench run for real; the lab installs what it needs itself.
PACKAGES := nbdkit libnbd-bin qemu-utils openssh-server openssh-client sudo e2fsprogs iproute2 util-linux mount python3-venv \
	partclone xfsprogs btrfs-progs ntfs-3g dosfstools mtools fdisk lvm2 cryptsetup-bin procps zstd
PACKAGE_COMMANDS := nbdkit nbdcopy nbdinfo qemu-nbd ssh-keygen sudo mkfs.ext4 losetup \
	partclone.extfs mkfs.xfs mkfs.btrfs ntfs-3g mkfs.vfat mcopy sfdisk pvs cryptsetup pkill zstd

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 16

.PHONY: demo
demo: $(VENV)/ready ## Build two OpenStack clouds, migrate a server from one into the other, show the proof
	@$(BIN)/python -m lab up
	@$(BIN)/python -m lab.demo

.PHONY: test
test: packages $(VENV)/ready collection-check ## Run all tests: unit, contract, crash, tools, and acceptance on the two clouds of the lab
	@echo "== tests that need no cloud"
	@$(BIN)/pytest -q -m "not lab"
	@$(BIN)/python -m lab up
	@echo "== tests on the two clouds of the lab"
	@$(BIN)/pytest -v -m lab --durations=15

.PHONY: test-fast
test-fast: packages $(VENV)/ready ## Run the tests that need no cloud
	@$(BIN)/pytest -q -m "not lab"

.PHONY: collection
collection: $(ANSIBLE)/ready ## Build the Ansible collection, as an archive in build/
	@rm -f build/os_migrate-os_migrate-*.tar.gz
	@$(ANSIBLE)/bin/ansible-galaxy collection build --force --output-path build $(COLLECTION) >/dev/null
	@ls build/os_migrate-os_migrate-*.tar.gz

# It is installed outside the work tree: both linters pass over what git ignores.
.PHONY: collection-check
collection-check: collection ## Install the collection from its archive, and check it with ansible-lint, ansible-test sanity and ansible-doc
	@set -e; there=$$(mktemp -d); trap 'rm -rf "$$there"' EXIT; export ANSIBLE_COLLECTIONS_PATH=$$there; \
	installed=$$there/$(COLLECTION); bin=$(CURDIR)/$(ANSIBLE)/bin; \
	$$bin/ansible-galaxy collection install --force -p $$there build/os_migrate-os_migrate-*.tar.gz >/dev/null; \
	echo "== ansible-lint, profile production"; \
	(cd $$installed && PATH=$$bin:$$PATH ansible-lint -q --offline --strict --nocolor); \
	echo "== ansible-test sanity"; \
	$$bin/python -m tests.ansible.sanity $$installed .cache/ansible-home; \
	echo "== ansible-doc of every module, filter and role"; \
	for kind in module filter role; do \
	  names=$$($$bin/ansible-doc -j -t $$kind -l os_migrate.os_migrate | $$bin/python -c 'import json, sys; print(*json.load(sys.stdin))'); \
	  $$bin/ansible-doc -t $$kind $$names >/dev/null; \
	done

.PHONY: kills
kills: packages $(VENV)/ready ## Kill the migrator at random instants on the lab: make kills KILLS=20 SEED=7
	@$(BIN)/python -m lab up
	@KILLS=$(or $(KILLS),20) SEED=$(SEED) $(BIN)/pytest -v -s -m lab tests/acceptance/test_kills.py

.PHONY: bench
bench: packages $(VENV)/bench-ready ## Measure the data path beside the plain way: make bench CASES="ext4-1g zero" ROUNDS=1
	@$(BIN)/python -m bench $(CASES) --rounds $(or $(ROUNDS),5) $(if $(STRICT),--strict) $(if $(VERBOSE),--verbose)

.PHONY: bench-scale
bench-scale: $(VENV)/ready ## Migrate 500 workloads, 50 at once, on fake clouds with 50 ms a call; figures also in bench-scale.json
	@$(BIN)/python -m bench.scale --json bench-scale.json

.PHONY: check
check: $(VENV)/ready ## Check style, types and layers; never writes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(VENV)/ready ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: lab
lab: $(VENV)/ready ## Start the two clouds of the lab
	@$(BIN)/python -m lab up

.PHONY: lab-down
lab-down: $(VENV)/ready ## Stop the lab; its data is kept
	@$(BIN)/python -m lab down

.PHONY: lab-destroy
lab-destroy: $(VENV)/ready ## Remove the lab; what was slow to build stays in the cache
	@$(BIN)/python -m lab destroy

.PHONY: packages
packages:
	@missing=$$(for c in $(PACKAGE_COMMANDS); do command -v $$c >/dev/null || echo $$c; done); \
	[ -x /usr/sbin/sshd ] || missing="$$missing sshd"; \
	if [ -n "$$missing" ]; then \
	  echo "== installing packages, for:" $$missing; \
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
	    apt-get -qq -o DPkg::Lock::Timeout=900 install -y --no-install-recommends $(PACKAGES) >/dev/null; \
	fi

$(ANSIBLE)/ready: pyproject.toml $(VENV)/ready
	@echo "== installing Ansible's tools into $(ANSIBLE)"
	@[ -x $(ANSIBLE)/bin/python ] || $(BIN)/uv venv -q --seed --python $(BIN)/python $(ANSIBLE)
	@VIRTUAL_ENV=$(ANSIBLE) $(BIN)/uv pip install -q --editable . --group ansible
	@touch $@

$(VENV)/bench-ready: $(VENV)/ready
	@echo "== installing what the bench's plot needs into $(VENV)"
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install -q --editable . --group bench
	@touch $@

$(VENV)/ready: pyproject.toml
	@echo "== installing the Python environment into $(VENV)"
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { apt-get -qq update && apt-get -qq install -y python3-venv >/dev/null; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --upgrade pip uv
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install -q --editable . --group dev
	@touch $@
