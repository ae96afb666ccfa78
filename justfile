# Commands for people who work on Ansatz. `just --list` shows them.

# Everything that CI runs.
check:
    .ci/run

# Fast checks while editing.
quick:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings

# All tests, the worker's included.
test:
    cargo test --workspace

# Long suites: the whole attack table, 500 trials, kill -9 twenty times.
soak:
    ANSATZ_SOAK=1 cargo test --workspace -- --nocapture

# Ratios against references that run beside; prints them, asserts nothing.
bench *ARGS:
    python3 benches/strength.py {{ARGS}}
