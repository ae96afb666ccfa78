//! What a user says about the cluster.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A Ray cluster and what each batch may ask of it. Its token is no part of this: what is here is written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RayOptions {
    /// Address of the head's dashboard, e.g. `http://127.0.0.1:8265`.
    pub address: String,
    /// A folder that this machine and all nodes see under the same path.
    pub share: Option<PathBuf>,
    /// Cores for each batch; as many trials run at once on its node.
    pub cpus: u32,
    /// Graphics processors for each batch; leased on its node as on any machine.
    pub gpus: u32,
    /// Memory for each batch in bytes; 0 asks for none in particular.
    pub memory_bytes: u64,
}
