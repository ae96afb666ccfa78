//! As whom a cell runs on an engine: never as root, and such that this process may read what it leaves and end it.
//!
//! A launcher of root gives every cell a user of its own. An ordinary user's cells run as that user, inside and outside:
//! what a stranger wrote could not be collected. Podman keeps the id through its user name space when asked; Docker without
//! root cannot, and is refused.

use super::client::Nature;
use super::socket::Flavour;
use crate::error::{SandboxError, SandboxErrorKind};
use crate::slot::{Slot, Slots};

/// Whose cells they are.
#[derive(Debug)]
pub(super) enum People {
    /// One user for each.
    Own(Slots),
    /// All of them are this process's user.
    Ours {
        uid: u32,
        gid: u32,
        /// The engine has a user name space through which the id must be kept.
        kept: bool,
    },
}

/// The user of one cell.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether the id has to be kept through the engine's user name space.
    pub(super) kept: bool,
    /// Whether nobody else's processes count as this user's where the kernel counts them.
    pub(super) alone: bool,
    pub(super) slot: Option<Slot>,
}

impl People {
    /// Who runs cells on this engine for the user `uid` of the host.
    pub(super) fn new(
        nature: &Nature,
        flavour: Flavour,
        (uid, gid): (u32, u32),
    ) -> Result<Self, SandboxError> {
        match (uid, nature.owner) {
            (0, 0) => {
                // Ids that exist in the engine's user name space.
                let ids = if nature.maps_users { "0 0 65536" } else { "0 0 4294967295" };
                Ok(Self::Own(Slots::new(std::process::id(), ids)))
            }
            (_, 0) if !nature.maps_users => Ok(Self::Ours { uid, gid, kept: false }),
            (_, owner) if owner != 0 && (owner == uid || uid == 0) && flavour == Flavour::Podman => {
                Ok(Self::Ours {
                    uid: owner,
                    gid: if uid == 0 { nature.owner_group } else { gid },
                    kept: true,
                })
            }
            _ => {
                let kind = SandboxErrorKind::Unavailable {
                    missing: "an engine whose cells leave results that this user may read".into(),
                    hint: "use Podman as an ordinary user (`systemctl --user start podman.socket`), or an engine of root \
                           without a user name space"
                        .into(),
                };
                Err(SandboxError::new("choosing a user for cells", kind))
            }
        }
    }

    /// The user of the next cell; `None` when too many live at once.
    pub(super) fn next(&self) -> Option<Person> {
        match self {
            Self::Own(slots) => {
                let slot = slots.take()?;
                Some(Person { uid: slot.uid, gid: slot.uid, kept: false, alone: true, slot: Some(slot) })
            }
            Self::Ours { uid, gid, kept } => {
                Some(Person { uid: *uid, gid: *gid, kept: *kept, alone: *kept, slot: None })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uid: u32, owner: u32, maps_users: bool, flavour: Flavour, expected: &str) {
        let nature =
            Nature { maps_users, limits_cpu: true, owner, owner_group: owner, runtime: String::new() };
        let said = match People::new(&nature, flavour, (uid, uid)) {
            Ok(people) => {
                let person = people.next().unwrap();
                let own = if person.slot.is_some() { "own" } else { "ours" };
                assert_ne!(person.uid, 0);
                format!("{own} kept {} alone {} wide {}", person.kept, person.alone, person.uid > 0xffff)
            }
            Err(error) => error.kind().to_string(),
        };
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn cells_of_root_have_users_of_their_own() {
        check(0, 0, false, Flavour::Docker, "own kept false alone true wide true");
        check(0, 0, true, Flavour::Docker, "own kept false alone true wide false");
    }

    #[test]
    fn cells_of_an_ordinary_user_are_that_users() {
        check(1000, 0, false, Flavour::Docker, "ours kept false alone false");
        check(1000, 1000, true, Flavour::Podman, "ours kept true alone true");
        check(0, 1000, true, Flavour::Podman, "ours kept true alone true");
    }

    #[test]
    fn an_engine_that_gives_results_to_a_stranger_is_refused() {
        check(1000, 1000, true, Flavour::Docker, "may read");
        check(1000, 0, true, Flavour::Docker, "may read");
        check(1000, 1001, true, Flavour::Podman, "may read");
    }
}
