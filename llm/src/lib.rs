//! Asking language models: one trait, one tolerant client, one place that decides about retrying, one ledger.
