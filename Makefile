# `make` alone lists the targets. Every one works from a clean clone, as root or not.

# Queries are checked against the committed .sqlx/: a build needs no database. scripts/sqlx-prepare keeps it fresh.
export SQLX_OFFLINE = true

# With DATABASE_URL the service needs no programs of its own. The tests do: some restart servers, or put one before another.
POSTGRES = $(if $(DATABASE_URL),,postgres)
SUDO = $(if $(filter 0,$(shell id -u)),,sudo)
BUF = node_modules/.bin/buf
# Pinned: what it finds must not change by itself. In a folder named for the version, so that a new one is built anew.
DENY_VERSION = 0.20.2
DENY_ROOT = target/cargo-deny-$(DENY_VERSION)
DENY = $(DENY_ROOT)/bin/cargo-deny

# What `make torture` consists of: one target a part, which takes SEED and ROUNDS as far as they mean something to it: 100
# rounds are 1,000 calls of each kind, 10 million inputs, 60 seconds. Each part has a short form, with few rounds and a seed
# of its own, that runs in `make test`.
TORTURE = torture-faults torture-isolation torture-fuzz torture-overload
ROUNDS = 100
ifndef SEED
SEED := $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
endif

.PHONY: help run test torture $(TORTURE) lint audit bench bench-pure simulate bench-compare sqlx postgres pgbouncer
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

run: $(POSTGRES) ## build and serve on 127.0.0.1:50051 with a private PostgreSQL, the sandbox line and a demo organization
	cargo run --locked -- serve --demo

test: postgres pgbouncer ## run all tests, against a private PostgreSQL (DATABASE_URL overrides)
	cargo test --locked --no-fail-fast --lib --bins --tests

# To the end, whatever fails, and then told at once: a part may take hours.
torture: ## break the service in every way there is a test for; ROUNDS=100 says for how long, SEED=… takes a course again
	@echo "make torture SEED=$(SEED) ROUNDS=$(ROUNDS)"; failed=; \
	for part in $(TORTURE); do \
	  $(MAKE) --no-print-directory $$part SEED=$(SEED) ROUNDS=$(ROUNDS) || failed="$$failed $$part"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed (SEED=$(SEED) ROUNDS=$(ROUNDS))" >&2; exit 1; fi

torture-faults: postgres
	INKBOX_TORTURE_SEED=$(SEED) INKBOX_TORTURE_ROUNDS=$(ROUNDS) \
	  cargo test --locked --test torture -- --nocapture --test-threads=1

# Nothing else should run beside the first and the last: they measure time.
torture-isolation: postgres
	INKBOX_ISOLATION_CALLS=$$(($(ROUNDS) * 10)) \
	  cargo test --locked --test isolation -- --nocapture --test-threads=1

torture-fuzz:
	INKBOX_FUZZ_SEED=$(SEED) INKBOX_FUZZ_EXECUTIONS=$$(($(ROUNDS) * 100000)) \
	  cargo test --locked --profile fuzz --lib -- fuzz:: --nocapture

torture-overload: postgres
	INKBOX_OVERLOAD_SECONDS=$$(($(ROUNDS) * 6 / 10)) \
	  cargo test --locked --release --test overload -- --nocapture --test-threads=1

# COMMENTS on top of proto/buf.yaml: every item of the contract says what it means.
lint: postgres $(BUF) $(DENY) ## formatting, clippy, the contract (buf), dependencies (cargo-deny) and freshness of .sqlx/
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cd proto && ../$(BUF) lint --config '{"version":"v2","lint":{"use":["STANDARD","COMMENTS"]}}'
	cd proto && ../$(BUF) format --diff --exit-code
	scripts/sqlx-prepare --check
	$(DENY) --locked check --hide-inclusion-graph bans licenses sources

audit: $(DENY) ## look for advisories on dependencies; needs the network, GitHub's, unlike everything else here
	$(DENY) --locked check advisories

bench: postgres ## measure the service against pgbench on the same SQL; ARGS="--only get" and the like, --help lists them
	scripts/bench $(ARGS)

bench-pure: ## measure what needs no database (Criterion): page tokens, a page on the wire, a remembered key, verdicts
	cargo bench --locked --bench pure

simulate: postgres ## what calls cost the database with 1,000 organizations of very unequal size: docs/scale.md
	scripts/simulate

bench-compare: ## compare two runs: FIRST and SECOND, files that `make bench ARGS="--out FILE"` wrote
	scripts/bench --compare $(FIRST) $(SECOND)

sqlx: postgres ## write .sqlx/ anew after a change of a query or of migrations/
	scripts/sqlx-prepare

# Without install scripts: the program is in the package of the platform, the script would only look for it.
$(BUF): package.json package-lock.json
	npm ci --ignore-scripts
	@touch $@

# Without optimization: it builds in half the time, and runs for a second. Outside target/, in a folder that goes afterwards,
# so that nothing of the project is built again.
$(DENY):
	env -u CARGO_TARGET_DIR CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0 \
	  cargo install cargo-deny --version $(DENY_VERSION) --locked --debug --no-default-features --root $(DENY_ROOT)
	@touch $@

# The same places as in scripts/sqlx-prepare. On Debian the package would also start a server of the system, which
# nobody asked for: create_main_cluster says no, where this is the first PostgreSQL of the machine.
postgres: ## install PostgreSQL server programs with the system's package manager, where they are missing
	@for dir in "$$(pg_config --bindir 2>/dev/null)" "$$(dirname "$$(command -v initdb || echo /-/-)")" \
	    /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql@*/bin; do \
	  if [ -x "$$dir/initdb" ] && [ -x "$$dir/postgres" ] && [ -x "$$dir/psql" ]; then exit 0; fi; \
	done; \
	echo "PostgreSQL is missing: installing it" >&2; set -e; \
	if command -v apt-get >/dev/null; then \
	  conf=/etc/postgresql-common/createcluster.conf; had=$$(test -e $$conf && echo yes || true); \
	  apt="$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get"; \
	  $$apt update -q; \
	  $$apt install -qy --no-install-recommends postgresql-common; \
	  if [ -z "$$had" ]; then $(SUDO) sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' $$conf || true; fi; \
	  $$apt install -qy --no-install-recommends postgresql; \
	elif command -v dnf >/dev/null; then $(SUDO) dnf install -y postgresql-server; \
	elif command -v apk >/dev/null; then $(SUDO) apk add postgresql setpriv; \
	elif command -v brew >/dev/null; then brew install postgresql@17; \
	else echo "no apt-get, dnf, apk or brew here: please install the PostgreSQL server (15 or newer)" >&2; exit 1; fi

# Debian's package starts a pooler of the system, where there is an init: it is told not to by policy-rc.d, for so long.
pgbouncer: ## install PgBouncer, which the tests put before PostgreSQL, where it is missing
	@if [ -x /usr/sbin/pgbouncer ] || command -v pgbouncer >/dev/null; then exit 0; fi; \
	echo "PgBouncer is missing: installing it" >&2; set -e; \
	if command -v apt-get >/dev/null; then \
	  apt="$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get"; policy=/usr/sbin/policy-rc.d; \
	  $$apt update -q; \
	  if [ ! -e $$policy ]; then \
	    printf '#!/bin/sh\nexit 101\n' | $(SUDO) tee $$policy >/dev/null; $(SUDO) chmod 755 $$policy; \
	    trap '$(SUDO) rm -f '$$policy EXIT; \
	  fi; \
	  $$apt install -qy --no-install-recommends pgbouncer; \
	elif command -v dnf >/dev/null; then $(SUDO) dnf install -y pgbouncer; \
	elif command -v apk >/dev/null; then $(SUDO) apk add pgbouncer; \
	elif command -v brew >/dev/null; then brew install pgbouncer; \
	else echo "no apt-get, dnf, apk or brew here: please install PgBouncer" >&2; exit 1; fi
