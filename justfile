# Commands for people who work on Ansatz. `just --list` shows them.

# Everything that CI runs.
check:
    .ci/run

# Fast checks while editing.
quick:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings

# All tests, the worker's included, after bringing what they need.
test *ARGS:
    scripts/test {{ARGS}}

# The whole attack table against every kind of cell: root's, an ordinary user's, other implementations.
attacks *ARGS:
    scripts/setup-tests
    ANSATZ_SOAK=1 cargo test -p ansatz-sandbox --test attacks -- --nocapture {{ARGS}}
    ANSATZ_SOAK=1 cargo test -p ansatz --test hostile -- --nocapture

# Long suites: the whole attack table, 500 trials, kill -9 twenty times.
soak:
    ANSATZ_SOAK=1 cargo test --workspace -- --nocapture

# Ratios against references that run beside; prints them, asserts nothing.
bench *ARGS:
    python3 benches/strength.py {{ARGS}}

# The sandbox beside bubblewrap and Podman: start, kill, memory, cost, leftovers. `just figures start kill PYTHON`
figures *ARGS:
    cargo run -p ansatz-sandbox --example figures -- {{ARGS}}
