//! Components that users give: a metric or a check, in any language, by the interface in `wit/ansatz.wit`.

use super::error::{WasmError, WasmErrorKind};
use super::runtime::{CallLimits, Runtime};
use super::{About, Complaint, Needs};
use std::path::Path;
use std::time::Duration;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

mod metric {
    wasmtime::component::bindgen!({ path: "wit", world: "metric" });
}
mod check {
    wasmtime::component::bindgen!({ path: "wit", world: "check" });
}

/// Largest component that is compiled.
pub const COMPONENT_BYTES_MAX: u64 = 1 << 20;
/// Longest time for compiling one.
const COMPILE_MAX: Duration = Duration::from_secs(10);
/// What a call of a user's component may use.
pub const LIMITS: CallLimits =
    CallLimits { time: Duration::from_secs(10), memory_bytes: 64 << 20, output_bytes: 1 << 20 };

/// A metric in WebAssembly.
pub struct MetricComponent {
    runtime: Runtime,
    what: String,
    limits: CallLimits,
    pre: metric::MetricPre<super::runtime::Guard>,
    about: About,
}

impl MetricComponent {
    /// Compiles a metric and asks it what it is. `what` names it in errors.
    ///
    /// # Errors
    /// When it is no component, is too large, wants anything from outside, or does not offer a metric.
    pub fn new(runtime: &Runtime, what: &str, bytes: &[u8], limits: CallLimits) -> Result<Self, WasmError> {
        let (component, linker) = compiled(runtime, what, bytes)?;
        let missing = |error: wasmtime::Error| exports(what, "describe` and `metric", &error);
        let pre = linker.instantiate_pre(&component).and_then(metric::MetricPre::new).map_err(missing)?;
        let told = runtime.call(what, &limits, |store| pre.instantiate(&mut *store)?.call_describe(store))?;
        let about = About {
            name: told.name,
            higher_is_better: told.higher_is_better,
            needs: Some(match told.needs {
                metric::Needs::Label => Needs::Label,
                metric::Needs::Probability => Needs::Probability,
                metric::Needs::Value => Needs::Value,
            }),
            objective: told.objective,
        };
        Ok(Self { runtime: runtime.clone(), what: what.to_owned(), limits, pre, about })
    }

    /// What it says of itself.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The score. `predictions` has `columns` numbers per row; `weights` one per row.
    ///
    /// # Errors
    /// When it says no, or was stopped.
    pub fn score(
        &self,
        truth: &[f64],
        predictions: &[f64],
        columns: u32,
        weights: Option<&[f64]>,
    ) -> Result<f64, WasmError> {
        let answer = self.runtime.call(&self.what, &self.limits, |store| {
            self.pre.instantiate(&mut *store)?.call_metric(store, truth, predictions, columns, weights)
        })?;
        answer.map_err(|message| refused(&self.what, &message))
    }
}

/// A check in WebAssembly.
pub struct CheckComponent {
    runtime: Runtime,
    what: String,
    limits: CallLimits,
    pre: check::CheckPre<super::runtime::Guard>,
}

impl CheckComponent {
    /// Compiles a check. `what` names it in errors.
    ///
    /// # Errors
    /// When it is no component, is too large, wants anything from outside, or does not offer a check.
    pub fn new(runtime: &Runtime, what: &str, bytes: &[u8], limits: CallLimits) -> Result<Self, WasmError> {
        let (component, linker) = compiled(runtime, what, bytes)?;
        let missing = |error: wasmtime::Error| exports(what, "check", &error);
        let pre = linker.instantiate_pre(&component).and_then(check::CheckPre::new).map_err(missing)?;
        Ok(Self { runtime: runtime.clone(), what: what.to_owned(), limits, pre })
    }

    /// Complaints about a submission in CSV.
    ///
    /// # Errors
    /// When it says that it cannot judge, or was stopped.
    pub fn check(&self, submission: &str) -> Result<Vec<Complaint>, WasmError> {
        let answer = self.runtime.call(&self.what, &self.limits, |store| {
            self.pre.instantiate(&mut *store)?.call_check(store, submission)
        })?;
        let found = answer.map_err(|message| refused(&self.what, &message))?;
        Ok(found.into_iter().map(|one| Complaint { row: one.row, message: one.message }).collect())
    }
}

/// Reads a component's file, at most as much of it as is allowed.
///
/// # Errors
/// When it cannot be read or is too large.
pub fn read(path: &Path) -> Result<Vec<u8>, WasmError> {
    use std::io::Read as _;
    let what = path.display().to_string();
    let system = |error: std::io::Error| WasmError::new(&what, error);
    let file = std::fs::File::open(path).map_err(system)?;
    let mut bytes = Vec::new();
    file.take(COMPONENT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(system)?;
    if bytes.len() as u64 > COMPONENT_BYTES_MAX {
        let bytes = std::fs::metadata(path).map_or(COMPONENT_BYTES_MAX + 1, |found| found.len());
        return Err(WasmError::new(what, WasmErrorKind::TooLarge { bytes, max: COMPONENT_BYTES_MAX }));
    }
    Ok(bytes)
}

fn compiled(
    runtime: &Runtime,
    what: &str,
    bytes: &[u8],
) -> Result<(Component, Linker<super::runtime::Guard>), WasmError> {
    let size = bytes.len() as u64;
    if size > COMPONENT_BYTES_MAX {
        return Err(WasmError::new(what, WasmErrorKind::TooLarge { bytes: size, max: COMPONENT_BYTES_MAX }));
    }
    looks_like_a_component(bytes).map_err(|why| WasmError::new(what, WasmErrorKind::Invalid(why.into())))?;
    let component = compiled_in_time(runtime, what, bytes)?;
    let wanted = imports(runtime, &component);
    if !wanted.is_empty() {
        return Err(WasmError::new(what, WasmErrorKind::Imports(wanted)));
    }
    Ok((component, Linker::new(runtime.engine())))
}

/// The first eight bytes tell a component, a core module and a text apart.
fn looks_like_a_component(bytes: &[u8]) -> Result<(), &'static str> {
    match bytes {
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Err("it is a core module"),
        [b'(' | b';', ..] => Err("it is WebAssembly text"),
        _ => Err("it does not begin like one"),
    }
}

/// A compiler cannot be interrupted; one that takes too long is left behind. Its input is small, so it ends some day.
fn compiled_in_time(runtime: &Runtime, what: &str, bytes: &[u8]) -> Result<Component, WasmError> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let (engine, bytes) = (runtime.engine().clone(), bytes.to_vec());
    std::thread::Builder::new()
        .name("wasm-compile".into())
        .spawn(move || sender.send(Component::from_binary(&engine, &bytes)))
        .map_err(|error| WasmError::new(what, error))?;
    match receiver.recv_timeout(COMPILE_MAX) {
        Ok(Ok(component)) => Ok(component),
        Ok(Err(error)) => {
            let told = error.root_cause().to_string();
            let first = told.lines().next().unwrap_or("unreadable").to_owned();
            Err(WasmError::new(what, WasmErrorKind::Invalid(first)))
        }
        Err(_) => Err(WasmError::new(what, WasmErrorKind::Compile(COMPILE_MAX))),
    }
}

/// Everything that a component wants from outside; an interface of nothing but types is nothing.
fn imports(runtime: &Runtime, component: &Component) -> Vec<String> {
    let engine = runtime.engine();
    let wanted = |item: &ComponentItem| match item {
        ComponentItem::ComponentInstance(instance) => {
            instance.exports(engine).any(|(_, inner)| !matches!(inner.ty, ComponentItem::Type(_)))
        }
        ComponentItem::Type(_) => false,
        _ => true,
    };
    let kind = component.component_type();
    kind.imports(engine).filter(|(_, item)| wanted(&item.ty)).map(|(name, _)| format!("`{name}`")).collect()
}

fn exports(what: &str, wanted: &str, _error: &wasmtime::Error) -> WasmError {
    WasmError::new(what, WasmErrorKind::Exports(wanted.to_owned()))
}

fn refused(what: &str, message: &str) -> WasmError {
    let message: String = message.chars().take(super::MESSAGE_CHARS_MAX).collect();
    WasmError::new(what, WasmErrorKind::Fault { message, line: None })
}
