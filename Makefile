# Everything that is generated lies in bin/ (the programs) and build/.
# `make help` lists the targets.

.DEFAULT_GOAL := build
.NOTPARALLEL:
.DELETE_ON_ERROR:
SHELL := /bin/bash

# The checkout may belong to another user than root.
VERSION := $(shell git -c safe.directory='*' describe --tags --always --dirty 2>/dev/null || echo dev)

# That is all that is taken from git: go build would fail on such a checkout.
export GOFLAGS := $(filter-out -buildvcs=%,$(GOFLAGS)) -buildvcs=false

programs := $(patsubst cmd/%/main.go,%,$(wildcard cmd/lithos_*/main.go))
static := CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION)'
# On amd64, PID 1 begins without Go's runtime: spawn/knot/bare.go.
knot_entry := $(if $(filter amd64,$(shell go env GOARCH)), -E lithosKnotEntry)
demo := build/examples/demo -bin bin -hello build/examples/hello -config examples/hello/hello.yaml

# cmd/e2e has lines of its own: it needs the programs and images, and it is the
# real programs that it tests, which the race detector would not see.
packages = $$(go list ./... | grep -vE '^lithos/cmd/e2e(/attack)?$$')

##@ To run it

.PHONY: build
build: ## build all programs, static, into bin/ (the default)
	@mkdir -p bin build/examples
	$(static) -o bin/ $(addprefix ./cmd/,$(filter-out lithos_knot,$(programs)))
	$(static:'=$(knot_entry)') -o bin/ ./cmd/lithos_knot
	@$(static) -o build/examples/ ./examples/hello ./examples/demo ./examples/walk

.PHONY: demo
demo: build ## run three containers on a host of their own, until Ctrl-C (DEMO_DIR, DEMO_PORT)
	@$(demo)

.PHONY: demo-check
demo-check: build ## run the demo unattended and check everything it shows
	@$(demo) -check

##@ To check it

.PHONY: test
test: preflight build images ## run all tests on this machine: needs root
	go test $(packages)
	go test -race $(packages)
	go test -count=1 -timeout=30m -skip '^TestPrograms$$' ./cmd/e2e
	go test -count=1 -timeout=20m -parallel=6 -run '^TestPrograms$$' ./cmd/e2e
	go test -count=1 -timeout=20m -parallel=8 ./cmd/e2e/attack

# SEEDS and STEPS, or DURATION (10m if neither is said), from the seed FIRST on.
.PHONY: soak
soak: ## simulate the daemon's actors, seed after seed, on all cores: SEEDS, STEPS, FIRST or DURATION
	GOGC=400 go test -count=1 -timeout=0 -run '^TestSoak$$' ./actors/simulation -first $(or $(FIRST),1) \
		-seeds $(or $(SEEDS),0) -steps $(or $(STEPS),1000) -duration $(or $(DURATION),$(if $(SEEDS),0,10m))

.PHONY: upgrades
upgrades: build ## upgrade the daemon in place ROUNDS times (200) with 100 containers, and as often with a TERM in the middle
	LITHOS_E2E_UPGRADES=$(or $(ROUNDS),200) go test -count=1 -timeout=0 -v -run '^Test(ProgramReplacedDuringItsTrial|UpgradeInPlaceKeepsContainers|TermDuringAnUpgrade)$$' ./cmd/e2e

# The seed is printed; SEED=N has the same things done to the same containers again.
.PHONY: chaos
chaos: build ## kill, stop, switch, upgrade and break by chance, and see that the books balance: SEED, COUNT, ROUNDS or DURATION (5m), ONLY=kills
	LITHOS_E2E_CHAOS="$(if $(ROUNDS),rounds=$(ROUNDS),duration=$(or $(DURATION),5m)) count=$(or $(COUNT),150) seed=$(SEED) only=$(ONLY)" \
		go test -count=1 -timeout=0 -v -run '^TestChaos$$' ./cmd/e2e

.PHONY: restarts
restarts: build ## restart containers ROUNDS times (10000) and see that the daemon takes no more of the host than before
	LITHOS_E2E_RESTARTS=$(or $(ROUNDS),10000) go test -count=1 -timeout=0 -v -run 'RestartsLeaveNothing$$' ./cmd/e2e

# RUN=NAME takes one row, UPDATE=1 writes what was seen into examples/programs.
.PHONY: programs
programs: build ## run all programs of examples/programs and compare them with docs/programs.md: needs pip, npm, mvn, go, cargo (RUN=NAME, UPDATE=1)
	cmd/e2e/images/programs.sh all
	LITHOS_E2E_PROGRAMS=all go test -count=1 -timeout=0 -parallel=6 -run '^TestPrograms$$/^$(or $(RUN),.*)$$' ./cmd/e2e $(if $(UPDATE),-update)
	go test -count=1 ./cmd/internal/catalog $(if $(UPDATE),-update)

.PHONY: findings
findings: ## run all scripts of findings/, which install what they are about: by hand, needs the registries
	@failed=; for script in findings/*.sh; do echo "== $$script"; timeout 600 "$$script" || failed="$$failed $$script"; done; \
		[ -z "$$failed" ] || { echo "changed, or cannot be tried:$$failed"; exit 1; }

.PHONY: attack-mutations
attack-mutations: ## take one defence after the other out and see that the attacks succeed: minutes, by hand
	go test -count=1 -timeout=60m -tags mutations -v -run TestMutations ./cmd/e2e/attack

.PHONY: test-vm
test-vm: build images ## run the kernel's part of them in a small virtual machine: cgroup v2, Debian's kernel
	cmd/e2e/vm/run.sh

# With QUICK=1 a short run, which shows that everything works and writes nothing
# into the checkout. REFERENCE_BIN=DIR measures the lithos there too, RUN=PATTERN some only.
bench_out = bench/results/$$(date -u +%Y-%m-%d)-$$(git -c safe.directory='*' rev-parse --short=12 HEAD) $(if $(RUN),,-page docs/performance.md)

.PHONY: bench
bench: build ## measure whole programs beside the limit and others (QUICK=1, REFERENCE_BIN=DIR, RUN=PATTERN)
	go build -trimpath -o build/bench ./bench
	build/bench -bin bin -run '$(RUN)' $(if $(REFERENCE_BIN),-reference '$(REFERENCE_BIN)') -o $(if $(QUICK),build/bench-quick -quick,$(bench_out))

.PHONY: bench-vm
bench-vm: build ## ours beside the limit with cgroup version 2 only, in the virtual machine of test-vm (RUN=PATTERN)
	cmd/e2e/vm/bench.sh

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, shellcheck and the house rules
	@.ci/lint

.PHONY: images
images: ## build the images for the tests from Debian's packages (kept in build/images)
	cmd/e2e/images/build.sh
	cmd/e2e/images/programs.sh

.PHONY: preflight
preflight: ## say what this machine lacks for `make test`
	@.ci/preflight

##@ To give it to others

.PHONY: deb
deb: ## make the Debian package for this machine, into build/packages (ARCH=arm64: for that one)
	packaging/build.sh deb $(ARCH)

.PHONY: extras
extras: build ## make the manual pages and the completions for bash, zsh and fish, into build/extras
	go run ./packaging/gen -bin bin -o build/extras

.PHONY: tarballs
tarballs: ## make tarballs of the static programs, for amd64 and arm64
	packaging/build.sh tar amd64
	packaging/build.sh tar arm64

.PHONY: test-package
test-package: build ## install, upgrade and remove the package in a clean Debian, and walk through docs/tutorial.md
	packaging/test.sh

.PHONY: test-systemd
test-systemd: build ## the package on a booted Debian with systemd, in the virtual machine: start, kill -9, upgrade, stop, boot
	cmd/e2e/vm/systemd.sh

##@ To tidy up

.PHONY: clean
clean: ## remove bin/ and build/
	rm -rf bin build

.PHONY: help
help: ## print this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "%s%s\n", sep, substr($$0, 5); sep = "\n" } \
		/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
