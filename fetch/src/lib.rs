//! Every outgoing HTTP call that is not a question to a model.
