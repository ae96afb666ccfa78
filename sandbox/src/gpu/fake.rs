//! A management library out of recorded tables, for tests: what a machine with two GPUs answers, and what can go wrong there.

use super::nvml::{Driver, Fault, Gpu, GpuId, GpuProcess, GpuUsage, Nvml, NvmlError};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

const GIB: u64 = 1 << 30;

/// A GPU of the recorded machine.
pub(crate) fn gpu(index: u32) -> Gpu {
    Gpu {
        id: GpuId::new(format!("GPU-{index:08}-aaaa-bbbb-cccc-{index:012}")).unwrap(),
        name: "NVIDIA H100 80GB HBM3".into(),
        index,
        minor: index,
        bus: None,
        memory_bytes: 80 * GIB,
        memory_free_bytes: 79 * GIB,
        is_sliced: false,
    }
}

/// The recorded machine. Tests change it while leases live.
#[derive(Debug, Default)]
pub(crate) struct FakeNvml {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    gpus: Vec<Gpu>,
    usage: BTreeMap<GpuId, GpuUsage>,
    faults: Vec<Fault>,
    is_lost: bool,
}

impl FakeNvml {
    /// A machine with so many GPUs, all idle.
    pub(crate) fn with(count: u32) -> Self {
        let fake = Self::default();
        fake.change(|state| state.gpus = (0..count).map(gpu).collect());
        fake
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Divides a GPU into slices.
    pub(crate) fn slice(&self, index: usize) {
        self.change(|state| state.gpus[index].is_sliced = true);
    }

    /// Lets processes compute on a GPU, and memory be taken there.
    pub(crate) fn occupy(&self, index: u32, pids: &[u32], memory_used_bytes: u64) {
        let process = |pid: &u32| GpuProcess { pid: *pid, memory_bytes: Some(GIB) };
        let processes = pids.iter().map(process).collect();
        self.change(|state| {
            state.usage.insert(gpu(index).id, GpuUsage { memory_used_bytes, processes });
        });
    }

    /// Lets a GPU report a fault.
    pub(crate) fn fail(&self, index: u32, xid: u64) {
        self.change(|state| state.faults.push(Fault { id: gpu(index).id, xid: Some(xid) }));
    }

    /// Takes the driver away.
    pub(crate) fn lose(&self) {
        self.change(|state| state.is_lost = true);
    }
}

impl Nvml for FakeNvml {
    fn driver(&self) -> Result<Driver, NvmlError> {
        Ok(Driver { version: "550.54.15".into(), cuda: "12.4".into() })
    }

    fn gpus(&self) -> Result<(Vec<Gpu>, Vec<String>), NvmlError> {
        self.change(|state| Ok((state.gpus.clone(), Vec::new())))
    }

    fn usage(&self, id: &GpuId) -> Result<GpuUsage, NvmlError> {
        self.change(|state| {
            if state.is_lost {
                return Err(NvmlError("the GPU is lost".into()));
            }
            Ok(state.usage.get(id).cloned().unwrap_or_default())
        })
    }

    fn faults(&self) -> Vec<Fault> {
        self.change(|state| std::mem::take(&mut state.faults))
    }
}
