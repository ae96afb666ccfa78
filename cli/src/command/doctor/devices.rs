//! GPUs, and where their drivers are described.

use super::finding::Finding;
use ansatz_report::number::bytes;
use ansatz_sandbox::Gpus;
use ansatz_sandbox::gpu::Standing as GpuStanding;

/// GPUs that are listed one by one.
const GPUS_MAX: usize = 16;

pub fn gpus() -> Vec<Finding> {
    let gpus = Gpus::discover();
    let found = gpus.found();
    if found.is_empty() {
        let why = gpus.reason().unwrap_or_else(|| "no device".into());
        return vec![
            Finding::missing("GPU", "", why)
                .advice("nothing to do: runs use the processors; for a GPU, install the NVIDIA driver"),
        ];
    }
    let mut findings = Vec::new();
    if let Some(why) = gpus.reason() {
        let advice = "look at the kernel's log (dmesg) for NVRM lines; a restart resets a device";
        findings.push(Finding::broken("GPU", "ask the driver", why).advice(advice));
    }
    if let Some(driver) = gpus.driver() {
        let seen = format!("NVIDIA {}, for CUDA up to {}", driver.version, driver.cuda);
        findings.push(Finding::ok("GPU driver", "", seen));
    }
    for (gpu, standing) in gpus.standings().into_iter().take(GPUS_MAX) {
        let name = format!("GPU {}", gpu.index);
        let seen = format!("{}, {}, {standing}", gpu.name, bytes(gpu.memory_bytes));
        findings.push(match standing {
            GpuStanding::Free => Finding::ok(&name, "", format!("{seen}; use it with --gpus 1")),
            GpuStanding::Held(_) | GpuStanding::Busy(_) => {
                Finding::warning(&name, "", seen).advice("wait for it, or run without it")
            }
            GpuStanding::Quarantined(_) => {
                let advice =
                    "look at the kernel's log (dmesg) for NVRM lines; a restart of the machine ends it";
                Finding::broken(&name, "", seen).advice(advice)
            }
            GpuStanding::Unusable(_) => Finding::broken(&name, "", seen)
                .advice("mend what is named; until then runs use the processors"),
        });
    }
    if let Some(files) = found.first().and_then(|gpu| gpus.driver_files(gpu).ok()) {
        let name = "GPU files";
        let seen = format!("found by {}", files.source);
        findings.push(match files.notices.first() {
            None => Finding::ok(name, "", seen),
            Some(notice) => Finding::warning(name, "", format!("{seen}; {notice}"))
                .advice("nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml makes a fresh description"),
        });
    }
    findings
}
