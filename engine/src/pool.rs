//! The pool: runs jobs on worker threads, at most so many at once, and reports each end on one channel.
//!
//! Invariant: decides nothing; what runs next is the dispatcher's business.

use crate::gpu::GpuWorkers;
use crate::protocol::Order;
use crate::worker::{TrialFailure, TrialOutput, Worker};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// A finished job: the key it was started with, and how it ended.
pub struct Ended<K> {
    /// What was run.
    pub key: K,
    /// How it ended.
    pub result: Result<TrialOutput, TrialFailure>,
}

/// Runs orders in the zygote's children, or on GPUs where there are some and the order is one for them.
pub struct Pool<K> {
    worker: Arc<Worker>,
    gpus: Arc<GpuWorkers>,
    slots: usize,
    running: usize,
    stop: Arc<AtomicBool>,
    sender: mpsc::UnboundedSender<Ended<K>>,
    receiver: mpsc::UnboundedReceiver<Ended<K>>,
}

impl<K: Send + 'static> Pool<K> {
    /// A pool of `slots` places over a worker. Must be used inside a tokio runtime.
    pub fn new(worker: Arc<Worker>, gpus: Arc<GpuWorkers>, slots: usize) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        Self { worker, gpus, slots: slots.max(1), running: 0, stop, sender, receiver }
    }

    /// Whether a place is free.
    pub fn has_room(&self) -> bool {
        self.running < self.slots
    }

    /// Number of running jobs.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Starts a job. `sealed` are the bytes that only the child may see.
    pub fn start(&mut self, key: K, order: Order, sealed: Vec<Vec<u8>>) {
        self.running += 1;
        let (worker, stop, sender) = (Arc::clone(&self.worker), Arc::clone(&self.stop), self.sender.clone());
        let gpus = Arc::clone(&self.gpus);
        tokio::task::spawn_blocking(move || {
            let blobs: Vec<&[u8]> = sealed.iter().map(Vec::as_slice).collect();
            let on_gpu = gpus.run(&order, &blobs, &stop);
            let result = on_gpu.unwrap_or_else(|| worker.run(&order, &blobs, &stop));
            // The receiver is gone only when the run itself is being torn down.
            let _ = sender.send(Ended { key, result });
        });
    }

    /// The next finished job. Cancel-safe; waits for ever when nothing runs.
    pub async fn ended(&mut self) -> Ended<K> {
        loop {
            if let Some(ended) = self.receiver.recv().await {
                self.running -= 1;
                return ended;
            }
        }
    }

    /// Tells all running jobs to end at once; their ends are still reported.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Allows new jobs after a stop.
    pub fn resume(&mut self) {
        self.stop = Arc::new(AtomicBool::new(false));
    }

    /// Uses another worker from now on.
    pub fn replace_worker(&mut self, worker: Arc<Worker>) {
        self.worker = worker;
    }

    /// The worker in use.
    pub fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }
}
