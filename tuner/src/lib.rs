//! Search for good configurations: spaces, studies, samplers, pruners.
