//! The Landlock domain of a program: behind the mounts of a cell a second barrier, without such walls the first one.

use super::order::{Order, TreeKind};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd,
    Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
    path_beneath_rules,
};
use std::path::Path;

/// The newest version whose rights are known here.
const KNOWN: ABI = ABI::V6;
/// The version from which a domain keeps signals and abstract sockets inside.
const KEEPS_SIGNALS: i32 = 6;
/// The version that knows TCP; older ones are not enough as the first barrier.
pub(crate) const FIRST_BARRIER: i32 = 4;

/// The version of this kernel, 0 without Landlock.
pub(crate) fn version() -> i32 {
    crate::linux::landlock_version()
}

/// Whether a domain of this kernel keeps signals inside.
pub(crate) fn keeps_signals() -> bool {
    version() >= KEEPS_SIGNALS
}

/// Confines the program to reading everything that is mounted and writing its scratch folders, with no signals and no
/// abstract sockets outward. Takes what the kernel offers and says how much that was. With a GPU its driver may name threads:
/// it does not start where it may not write `/proc/<pid>/task/<tid>/comm`, and such paths are not known before.
pub(crate) fn inside_walls(gpu: bool) -> Result<&'static str, RulesetError> {
    let everything = AccessFs::from_all(KNOWN);
    let devices = AccessFs::WriteFile | AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::IoctlDev;
    let names = if gpu { &["/proc"][..] } else { &[] };
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(everything)?
        .scope(Scope::from_all(KNOWN))?
        .create()?
        .add_rules(path_beneath_rules(["/"], AccessFs::from_read(KNOWN)))?
        .add_rules(path_beneath_rules(["/out", "/tmp", "/dev/shm"], everything))?
        .add_rules(path_beneath_rules(["/dev"], devices))?
        .add_rules(path_beneath_rules(names, AccessFs::WriteFile | AccessFs::Truncate))?;
    restrict(rules)
}

/// Confines the program to exactly what the order shows: everything else of the host cannot be opened, no port can be reached.
pub(crate) fn around_program(order: &Order) -> Result<&'static str, RulesetError> {
    let everything = AccessFs::from_all(KNOWN);
    let read = AccessFs::from_read(KNOWN);
    let file = AccessFs::ReadFile | AccessFs::Execute;
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(everything)?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?;
    for tree in &order.trees {
        let access = match tree.kind {
            TreeKind::Folder => read,
            TreeKind::File => file,
            TreeKind::Device => device,
        };
        rules = allow(rules, &tree.source, access)?;
    }
    // Numeric libraries read the tables of their own process and of the machine, and which process that will be is not known
    // before it is forked. What others keep to themselves (memory, environment, descriptors) a domain keeps closed anyway.
    rules = allow(rules, Path::new("/proc"), AccessFs::ReadFile.into())?;
    rules = allow(rules, Path::new("/proc/self"), read)?;
    for place in [&order.places.out, &order.places.tmp] {
        rules = allow(rules, place, everything)?;
    }
    restrict(rules)
}

/// What cannot be opened needs no permission.
fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    match PathFd::new(path) {
        Ok(handle) => rules.add_rule(PathBeneath::new(handle, access)),
        Err(_) => Ok(rules),
    }
}

fn restrict(rules: RulesetCreated) -> Result<&'static str, RulesetError> {
    Ok(match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => "full",
        RulesetStatus::PartiallyEnforced => "partial",
        RulesetStatus::NotEnforced => "none",
    })
}
