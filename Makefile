# `make` alone says what there is. Everything can be run twice, as root or not, and leaves nothing running.
SHELL := /bin/bash
# Compilers at a time; each takes about a gigabyte.
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test check proto clean setup

help: ## what there is to make
	@echo "make TARGET"
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  %-8s %s\n' "$$name" "$$text"; done
	@echo "Variables: KEEP=1 (demo: leave the mesh running)  ONLY=Filter (test)  JOBS=$(JOBS)"

demo: ## move 100.00 GBP through four real processes, and prove it (KEEP=1 leaves them running)
	@JOBS=$(JOBS) KEEP=$(KEEP) scripts/demo.sh

test: ## build and run every test, with a real throw-away PostgreSQL (ONLY=LedgerRulesTests runs some)
	@scripts/setup.sh --protoc
	@JOBS=$(JOBS) scripts/test.sh $(if $(ONLY),--filter '$(ONLY)')

check: ## everything a machine can say about style and structure
	@scripts/setup.sh --protoc
	@scripts/check.sh

proto: ## generate code from proto/
	@scripts/setup.sh --protoc
	@scripts/proto.sh

clean: ## remove what was built, run and generated here; not what is committed
	@scripts/clean.sh

setup: ## install what is missing (apt packages; says where to get Swift)
	@scripts/setup.sh
