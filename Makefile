# `make` alone lists the targets. Each works from a clean clone. Programs that are missing are named, and `make setup`
# installs them; only `make run` installs PostgreSQL itself, so that one command is enough to try the service.

# Queries are checked against the committed .sqlx/, so a build needs no database. scripts/sqlx-prepare keeps it up to date.
export SQLX_OFFLINE = true
# Tests that run at once, also on two processors: most of them wait, for the database or for a delay of a carrier.
export RUST_TEST_THREADS ?= 4

BUF = node_modules/.bin/buf
# Pinned, so that its findings change only with a commit. The folder is named for the version, so that a new one is built.
DENY_VERSION = 0.20.2
DENY_ROOT = target/cargo-deny-$(DENY_VERSION)
DENY = $(DENY_ROOT)/bin/cargo-deny

# The parts of `make torture`, one target each. A round is one round of faults, 40 steps of each writer of events, 100
# model steps, 10 calls of each kind in the isolation test, 100,000 fuzzing inputs, or 0.6 s of overload. `make test` runs
# a short form of each part.
TORTURE = torture-faults torture-events torture-model torture-isolation torture-fuzz torture-overload torture-neighbour
ROUNDS = 100
ifndef SEED
SEED := $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
endif
STRESS = INKBOX_STRESS_SEED=$(SEED) INKBOX_STRESS_ROUNDS=$(ROUNDS) cargo test --locked --test stress

.PHONY: help run setup test test-fast torture $(TORTURE) lint fmt doc audit bench bench-pure bench-compare sqlx \
  proto-release need-postgres need-pgbouncer
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

# With DATABASE_URL the service starts no private PostgreSQL.
run: ## build and serve on 127.0.0.1:50051 with a private PostgreSQL, the sandbox carrier and a demo organization
	$(if $(DATABASE_URL),,@scripts/install-postgres postgres)
	cargo run --locked -- serve --demo

# npm runs no install scripts: the package for the platform has the program. cargo-deny is built without optimization, which
# halves the build time, and outside target/, so that the build leaves the project's own artifacts alone.
setup: ## install what test and lint need: PostgreSQL, PgBouncer, buf and cargo-deny
	scripts/install-postgres postgres pgbouncer
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 18 or newer, which brings it" >&2; exit 1; }
	@test $(BUF) -nt package-lock.json || { npm ci --ignore-scripts && touch $(BUF); }
	@test -x $(DENY) || env -u CARGO_TARGET_DIR CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0 \
	  cargo install cargo-deny --version $(DENY_VERSION) --locked --debug --no-default-features --root $(DENY_ROOT)

test: need-postgres need-pgbouncer ## run all tests, with a private PostgreSQL (DATABASE_URL overrides it)
	cargo test --locked --no-fail-fast --lib --bins --tests

test-fast: need-postgres ## run the unit tests and the tests of the API
	cargo test --locked --no-fail-fast --lib --bins --test api

# A part may take hours, so a failure does not end the others; all failures are named at the end.
torture: ## run the stress tests at length: ROUNDS=100 sets the length, SEED=… repeats a run
	@echo "make torture SEED=$(SEED) ROUNDS=$(ROUNDS)"; failed=; \
	for part in $(TORTURE); do \
	  $(MAKE) --no-print-directory $$part SEED=$(SEED) ROUNDS=$(ROUNDS) || failed="$$failed $$part"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed (SEED=$(SEED) ROUNDS=$(ROUNDS))" >&2; exit 1; fi

torture-faults: need-postgres
	$(STRESS) -- faults:: --nocapture --test-threads=1

torture-events: need-postgres
	$(STRESS) -- events::no_event --nocapture --test-threads=1

torture-model: need-postgres
	$(STRESS) -- model:: --nocapture --test-threads=1

# The isolation, neighbour and overload tests measure time: nothing else should run on the machine.
torture-isolation: need-postgres
	$(STRESS) -- isolation:: --nocapture --test-threads=1

torture-fuzz:
	INKBOX_FUZZ_SEED=$(SEED) INKBOX_FUZZ_EXECUTIONS=$$(($(ROUNDS) * 100000)) \
	  cargo test --locked --profile fuzz --lib -- fuzz:: --nocapture

torture-neighbour: need-postgres
	$(STRESS) --release -- neighbour:: --nocapture --test-threads=1

torture-overload: need-postgres
	$(STRESS) --release -- overload:: --nocapture --test-threads=1

# COMMENTS, in addition to the rules in proto/buf.yaml: every element of the API has a comment. `buf breaking` compares with
# the API as last released; see proto-release.
lint: need-postgres $(BUF) $(DENY) ## check formatting, clippy, rustdoc, the API (buf), dependencies (cargo-deny) and .sqlx/
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	$(MAKE) --no-print-directory doc
	cd proto && ../$(BUF) lint --config '{"version":"v2","lint":{"use":["STANDARD","COMMENTS"]}}'
	cd proto && ../$(BUF) format --diff --exit-code
	cd proto && ../$(BUF) breaking --against released.binpb
	scripts/sqlx-prepare --check
	$(DENY) --locked check --hide-inclusion-graph bans licenses sources

fmt: $(BUF) ## format the Rust sources and the API
	cargo fmt
	cd proto && ../$(BUF) format --write

doc: ## build the documentation of the code, private items included, and fail on a warning
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

audit: $(DENY) ## look for security advisories on dependencies; needs GitHub, unlike every other target
	$(DENY) --locked check advisories

bench: need-postgres ## compare the service with pgbench on the same SQL; ARGS="--only get …", ARGS=--help lists them
	scripts/bench $(ARGS)

bench-pure: ## measure what needs no database (Criterion): page tokens, encoding a page, the key cache, contact rules
	cargo bench --locked --bench pure

bench-compare: ## compare two runs: FIRST and SECOND are files that `make bench ARGS="--out FILE"` wrote
	scripts/bench --compare $(FIRST) $(SECOND)

sqlx: need-postgres ## update .sqlx/ after a change of a query or a migration
	scripts/sqlx-prepare

# Part of a release: from then on `make lint` refuses changes that would break clients of this version. An image instead of
# a git revision, because a clone of one commit has no other revision.
proto-release: $(BUF) ## record the API in proto/ as released, in proto/released.binpb
	cd proto && ../$(BUF) build --exclude-source-info --output released.binpb

$(BUF): package-lock.json
	@echo "buf is missing or older than package-lock.json: run \`make setup\`" >&2; exit 1

$(DENY):
	@echo "cargo-deny $(DENY_VERSION) is missing: run \`make setup\`" >&2; exit 1

need-postgres:
	@scripts/install-postgres --check postgres

need-pgbouncer:
	@scripts/install-postgres --check pgbouncer
