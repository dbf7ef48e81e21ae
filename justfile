# What people run by hand; `.ci/run` is the whole check.

# The main job, for real, without a cluster.
demo:
    cargo run -- demo

# The whole check of a change, as CI runs it.
ci:
    bash .ci/run

# Format and lints.
lint:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings

# All tests.
test:
    cargo test

# Throughput of the audit and of the loader, on generated input and on the corpus where it is at hand.
bench:
    bash benches/run
