//! The engine that runs functions, with its limits: time by epochs, memory by refusal, output by what may be lifted.
//!
//! A function is called in a fresh instance that is dropped afterwards, so no call can leave anything to the next one.

use super::error::{WasmError, WasmErrorKind};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use wasmtime::{Config, Engine, ResourceLimiter, Store, Trap};

/// Length of an epoch: how late a stop can come.
const EPOCH: Duration = Duration::from_millis(5);

/// Deepest stack of WebAssembly frames, in bytes. The interpreter of Python needs most of it for nested calls.
const STACK_BYTES: usize = 1 << 20;

/// What one call may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Time, instantiation included.
    pub time: Duration,
    /// Linear memory of all its modules together, in bytes.
    pub memory_bytes: usize,
    /// Size of its answer, in bytes.
    pub output_bytes: usize,
}

/// Compiles and runs components. Cheap to clone; all clones share one engine.
#[derive(Clone)]
pub struct Runtime {
    engine: Engine,
    clock: Arc<Clock>,
}

impl Runtime {
    /// An engine without any ambient ability: no threads, no relaxed SIMD, one NaN.
    ///
    /// # Errors
    /// When this processor or system cannot run compiled WebAssembly.
    pub fn new() -> Result<Self, WasmError> {
        let mut config = Config::new();
        config
            .epoch_interruption(true)
            .cranelift_nan_canonicalization(true)
            .wasm_relaxed_simd(false)
            .wasm_multi_memory(false)
            .wasm_memory64(false)
            .wasm_tail_call(false)
            .max_wasm_stack(STACK_BYTES);
        let engine = Engine::new(&config).map_err(|error| setup(&error))?;
        let clock = Arc::new(Clock::start(engine.clone()).map_err(|error| setup(&error.into()))?);
        Ok(Self { engine, clock })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Runs `work` on a fresh store under limits, and turns whatever stopped it into words about `what`.
    pub(super) fn call<T>(
        &self,
        what: &str,
        limits: &CallLimits,
        work: impl FnOnce(&mut Store<Guard>) -> wasmtime::Result<T>,
    ) -> Result<T, WasmError> {
        let mut store = Store::new(&self.engine, Guard::new(limits.memory_bytes));
        store.limiter(|guard| guard);
        store.set_hostcall_fuel(limits.output_bytes);
        let _ticking = self.clock.tick();
        store.set_epoch_deadline((limits.time.as_nanos() / EPOCH.as_nanos()) as u64 + 1);
        work(&mut store).map_err(|error| WasmError::new(what, reason(&error, store.data(), limits)))
    }
}

fn setup(error: &wasmtime::Error) -> WasmError {
    WasmError::new("WebAssembly", WasmErrorKind::Setup(format!("{error:#}")))
}

/// Why a call was stopped.
fn reason(error: &wasmtime::Error, guard: &Guard, limits: &CallLimits) -> WasmErrorKind {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => return WasmErrorKind::Timeout(limits.time),
        Some(Trap::StackOverflow) => return WasmErrorKind::Crash("its calls are nested too deeply".into()),
        _ => {}
    }
    if guard.refused {
        return WasmErrorKind::Memory(limits.memory_bytes);
    }
    let told = error.root_cause().to_string();
    if told.contains("fuel") {
        return WasmErrorKind::Output(limits.output_bytes);
    }
    WasmErrorKind::Crash(told)
}

/// Refuses growth beyond the limit and remembers that it did.
pub(super) struct Guard {
    used: usize,
    max: usize,
    pub(super) refused: bool,
}

/// Elements of a table at most: far more than `CPython` needs for its function pointers.
const TABLE_ELEMENTS_MAX: usize = 100_000;

impl Guard {
    fn new(max: usize) -> Self {
        Self { used: 0, max, refused: false }
    }
}

impl ResourceLimiter for Guard {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // All memories of one instance together count.
        let used = self.used.saturating_add(desired.saturating_sub(current));
        let fits = used <= self.max;
        if fits {
            self.used = used;
        } else {
            self.refused = true;
        }
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }

    fn instances(&self) -> usize {
        200
    }

    fn tables(&self) -> usize {
        100
    }

    fn memories(&self) -> usize {
        10
    }
}

/// Advances the epochs of an engine by real time while calls are running; sleeps otherwise.
struct Clock {
    running: Arc<Mutex<usize>>,
    wake: Mutex<Sender<()>>,
}

impl Clock {
    fn start(engine: Engine) -> std::io::Result<Self> {
        let running = Arc::new(Mutex::new(0));
        let (wake, woken) = channel();
        let counter = Arc::clone(&running);
        let ticks = move || {
            // The outer loop ends with the last clone of the runtime, which owns the sender.
            while woken.recv().is_ok() {
                let begun = Instant::now();
                let mut told = 0;
                while *counter.lock().unwrap_or_else(PoisonError::into_inner) > 0 {
                    if woken.recv_timeout(EPOCH) == Err(RecvTimeoutError::Disconnected) {
                        return;
                    }
                    // By the time that passed rather than by wake-ups: a busy machine wakes us late.
                    let due = (begun.elapsed().as_nanos() / EPOCH.as_nanos()) as u64;
                    (told..due).for_each(|_| engine.increment_epoch());
                    told = due.max(told);
                }
            }
        };
        std::thread::Builder::new().name("wasm-epochs".into()).spawn(ticks)?;
        Ok(Self { running, wake: Mutex::new(wake) })
    }

    fn tick(&self) -> Ticking<'_> {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        // The thread lives as long as the sender, which is ours.
        let _ = self.wake.lock().unwrap_or_else(PoisonError::into_inner).send(());
        Ticking(self)
    }
}

/// While it lives, epochs go by.
struct Ticking<'a>(&'a Clock);

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
    }
}
