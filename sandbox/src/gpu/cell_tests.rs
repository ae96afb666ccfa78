//! A recorded machine's GPUs in real cells: which nodes are there, what may be written, and that a lost lease ends the cell.
//!
//! The nodes are real device nodes that no driver answers, so that opening one tells "no such device" where a cell may
//! open it, and nothing is reached.

use crate::gpu::GpuBinding;
use crate::gpu::lease::tests::{Machine, machine};
use crate::{Cell, CellSpec, Launcher, LauncherOptions, LeaseLimits, Level, Limits, Mount, Policy, Verdict};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// The helper that the build put beside the tests.
fn helper() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let helper = tests.parent().and_then(Path::parent).unwrap().join("ansatz-cell");
    assert!(helper.is_file(), "{} is not there; run: cargo build -p ansatz-sandbox --bins", helper.display());
    helper
}

fn launcher(level_max: Level) -> Launcher {
    let options = LauncherOptions { level_max, level_min: Level::L2, ..LauncherOptions::default() };
    Launcher::with_options(helper(), &options).unwrap_or_else(|error| panic!("{error}: {}", error.kind()))
}

fn start(launcher: &Launcher, gpus: Vec<GpuBinding>, script: &str) -> Result<Cell, crate::SandboxError> {
    let system = ["/usr", "/bin", "/lib", "/lib64"].into_iter().filter(|path| Path::new(path).exists());
    let limits = Limits { memory_bytes: 256 << 20, wall: Some(PATIENCE), ..Limits::default() };
    let mounts = system.map(|path| Mount::new(path, path)).collect();
    launcher.start(CellSpec {
        name: "gpu-test".into(),
        policy: Policy { mounts, limits, gpus, ..Policy::default() },
        argv: ["/bin/sh", "-c", script].map(String::from).to_vec(),
        cwd: "/tmp".into(),
    })
}

/// What a script prints in a cell.
fn said(launcher: &Launcher, gpus: Vec<GpuBinding>, script: &str) -> String {
    let cell = start(launcher, gpus, script).unwrap_or_else(|error| panic!("{error}: {}", error.kind()));
    assert!(cell.wait(PATIENCE), "the cell does not end: {}", cell.log().text());
    cell.stop(Duration::ZERO).log.text()
}

fn two_gpus() -> Option<Machine> {
    machine(2)
}

/// Tries to open each node for reading and writing; names what the kernel said.
const NODES: &str = "for n in nvidia0 nvidia1 nvidiactl nvidia-uvm nvidia-modeset zero kvm; do
    if [ ! -e /dev/$n ]; then echo \"$n absent\"; continue; fi
    said=$( { : <>/dev/$n; } 2>&1 ) && echo \"$n opened\" || echo \"$n ${said##*: }\"
done; true";

#[test]
fn a_cell_sees_the_nodes_of_its_lease_and_no_others() {
    let Some(machine) = two_gpus() else { return };
    for level in [Level::L3, Level::L2] {
        let lease = machine.gpus.lease(LeaseLimits::default()).unwrap();
        let said = said(&launcher(level), vec![lease.binding()], NODES);
        let line =
            |node: &str| said.lines().find(|line| line.starts_with(&format!("{node} "))).unwrap_or("?");
        for absent in ["nvidia1", "nvidia-modeset", "kvm"] {
            assert_eq!(line(absent), format!("{absent} absent"), "{said}");
        }
        assert_eq!(line("zero"), "zero opened");
        for own in ["nvidia0", "nvidiactl", "nvidia-uvm"] {
            // No driver answers behind these numbers; anything but a refusal by a wall is right.
            let seen = line(own);
            assert!(
                !seen.contains("denied") && !seen.contains("permitted") && !seen.contains("absent"),
                "{said}"
            );
        }
    }
}

#[test]
fn a_cell_without_a_lease_sees_no_gpu() {
    let Some(_machine) = two_gpus() else { return };
    let said = said(&launcher(Level::L3), Vec::new(), "ls /dev /sys /opt 2>&1; env");
    assert!(!said.contains("nvidia") && !said.contains("CUDA"), "{said}");
}

#[test]
fn libraries_facts_and_variables_of_the_driver_are_there_and_read_only() {
    let Some(machine) = two_gpus() else { return };
    let lease = machine.gpus.lease(LeaseLimits::default()).unwrap();
    let script = "ls /opt/ansatz/driver; find /sys -maxdepth 3 | sort; env | grep -E 'CUDA|CUBLAS|LD_'
        true >/opt/ansatz/driver/new 2>/dev/null && echo WRITTEN; true >/sys/module/nvidia/new 2>/dev/null && echo WRITTEN
        echo cuda >/proc/self/comm && echo named; echo 1 >/proc/sys/kernel/printk 2>/dev/null && echo WRITTEN; true";
    let said = said(&launcher(Level::L3), vec![lease.binding()], script);
    for there in [
        "libcuda.so.1\n",
        "libcuda.so.550.54.15\n",
        "/sys/module/nvidia\n",
        "CUBLAS_WORKSPACE_CONFIG=:4096:8",
        "LD_LIBRARY_PATH=/opt/ansatz/driver",
        "named",
        &format!("CUDA_VISIBLE_DEVICES={}", lease.gpu().id),
    ] {
        assert!(said.contains(there), "{there} is missing in {said}");
    }
    assert!(!said.contains("WRITTEN") && !said.contains("libGLX"), "{said}");
}

#[test]
fn two_leases_in_one_cell_share_the_control_nodes() {
    let Some(machine) = two_gpus() else { return };
    let leases = [(); 2].map(|()| machine.gpus.lease(LeaseLimits::default()).unwrap());
    let bindings = leases.iter().map(crate::GpuLease::binding).collect();
    let said = said(&launcher(Level::L3), bindings, "ls /dev");
    assert!(said.contains("nvidia0") && said.contains("nvidia1") && said.contains("nvidiactl"), "{said}");
}

#[test]
fn a_lost_lease_ends_its_cell_and_starts_no_other() {
    let Some(machine) = two_gpus() else { return };
    let lease = machine.gpus.lease(LeaseLimits::default()).unwrap();
    let launcher = launcher(Level::L3);
    let cell = start(&launcher, vec![lease.binding()], "sleep 60").unwrap();
    machine.nvml.fail(lease.gpu().index, 79);
    assert!(cell.wait(PATIENCE), "the cell lives on");
    assert_eq!(cell.stop(Duration::ZERO).verdict, Verdict::Killed);
    let error = start(&launcher, vec![lease.binding()], "true").unwrap_err();
    assert!(error.kind().to_string().contains("Xid 79"), "{}", error.kind());
}

#[test]
fn the_lease_lasts_as_long_as_the_cell() {
    let Some(machine) = machine(1) else { return };
    let lease = machine.gpus.lease(LeaseLimits::default()).unwrap();
    let cell = start(&launcher(Level::L3), vec![lease.binding()], "sleep 60").unwrap();
    drop(lease);
    assert!(machine.gpus.lease(LeaseLimits::default()).is_err(), "the GPU was given out twice");
    drop(cell);
    assert!(machine.gpus.lease(LeaseLimits::default()).is_ok());
}

#[test]
fn a_gpu_is_not_named_twice() {
    let Some(machine) = machine(1) else { return };
    let lease = machine.gpus.lease(LeaseLimits::default()).unwrap();
    let error = start(&launcher(Level::L3), vec![lease.binding(), lease.binding()], "true").unwrap_err();
    assert!(error.kind().to_string().contains("named twice"), "{}", error.kind());
}
