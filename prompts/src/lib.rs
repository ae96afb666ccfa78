//! Prompts: every one a file with a type.
