//! GPUs: what there is, who may use which, and what of it a cell gets to see.
//!
//! One GPU belongs to one cell at a time. Nothing in the kernel limits what a process takes from an NVIDIA GPU, so the wall
//! is the device node: a cell sees the nodes of the GPUs that were leased for it and no others. [`Gpus`] finds the devices
//! and hands out leases, which exclude each other across all processes of the host; a [`GpuBinding`], which only a living
//! lease can make, is what a [`Policy`](crate::Policy) takes. So a policy cannot express a device that nobody leased.
//!
//! Invariants: no library is needed to build or run this; a host without a driver has no GPUs and a reason. Hooks of a
//! device description are never run. A GPU whose state is in doubt is put aside rather than handed on.

mod cdi;
#[cfg(test)]
mod cell_tests;
mod driver;
#[cfg(test)]
mod fake;
mod lease;
mod lock;
mod nvml;
mod system;

pub use driver::DriverFiles;
pub use lease::{GpuBinding, GpuError, GpuLease, GpuReport, Gpus, LeaseLimits, Lost, Standing};
pub use nvml::{Driver, Fault, Gpu, GpuId, GpuProcess, GpuUsage, Nvml, NvmlError};
pub use system::SystemNvml;

pub(crate) use lease::environment;
