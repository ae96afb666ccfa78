//! Seeds: one number from the user, from which every other is derived by name.

use serde::{Deserialize, Serialize};

/// The seed of a run or of a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// The seed of a named part: the first eight bytes of SHA-256 over this seed and the name.
    #[must_use]
    pub fn derive(self, name: &str) -> Self {
        use sha2::{Digest, Sha256};
        let digest = Sha256::new().chain_update(self.0.to_le_bytes()).chain_update(name).finalize();
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest[..8]);
        Self(u64::from_le_bytes(bytes))
    }

    /// The seed as a number that every Python library accepts (31 bits).
    pub fn for_python(self) -> u32 {
        (self.0 & 0x7fff_ffff) as u32
    }
}
