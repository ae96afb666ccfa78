//! The pool: runs jobs on worker threads, at most so many at once, and reports each end on one channel.
//!
//! With a cluster, what trains goes there in batches: orders wait until the dispatcher has nothing more to start, and are
//! then dealt evenly to the free places. Everything else runs here.
//!
//! Invariant: decides nothing; what runs next is the dispatcher's business.

use crate::error::RunError;
use crate::gpu::GpuWorkers;
use crate::protocol::{Order, OrderKind};
use crate::ray::{Ray, Trial, Trouble};
use crate::worker::{TrialFailure, TrialOutput, Worker};
use std::collections::VecDeque;
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

/// What a thread of the pool reports.
enum Message<K> {
    Ended(Ended<K>, Place),
    /// A batch is over; all its jobs were reported before.
    BatchOver,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Here,
    Cluster,
}

/// Trials of one batch for each core that it asks for. More would share the price of a start, but a node that is lost
/// would take more along, and decisions would come later.
const TRIALS_PER_CORE: usize = 4;

/// Orders on their way to a cluster.
struct Cluster<K> {
    ray: Ray,
    waiting: VecDeque<Trial<K>>,
    open: usize,
    batches_max: usize,
    batch_max: usize,
}

/// Runs orders in the zygote's children, on GPUs where there are some and the order is one for them, or on a cluster.
pub struct Pool<K> {
    worker: Arc<Worker>,
    gpus: Arc<GpuWorkers>,
    slots: usize,
    running: usize,
    running_here: usize,
    waiting_here: VecDeque<(K, Order, Vec<Vec<u8>>)>,
    cluster: Option<Cluster<K>>,
    stop: Arc<AtomicBool>,
    sender: mpsc::UnboundedSender<Message<K>>,
    receiver: mpsc::UnboundedReceiver<Message<K>>,
}

impl<K: Send + 'static> Pool<K> {
    /// A pool of `slots` places over a worker. Must be used inside a tokio runtime.
    pub fn new(worker: Arc<Worker>, gpus: Arc<GpuWorkers>, slots: usize) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        Self {
            worker,
            gpus,
            slots: slots.max(1),
            running: 0,
            running_here: 0,
            waiting_here: VecDeque::new(),
            cluster: None,
            stop,
            sender,
            receiver,
        }
    }

    /// The same with a cluster for what trains: about `slots` trials at once there, in batches.
    #[must_use]
    pub fn with_cluster(mut self, ray: Ray) -> Self {
        let (batches_max, cores) = (batches(self.slots, &ray), ray.cores());
        let (waiting, batch_max) = (VecDeque::new(), cores * TRIALS_PER_CORE);
        self.cluster = Some(Cluster { ray, waiting, open: 0, batches_max, batch_max });
        self
    }

    fn open_cluster(&self) -> Option<&Cluster<K>> {
        self.cluster.as_ref().filter(|cluster| cluster.ray.trouble().is_none())
    }

    /// Whether a place is free.
    pub fn has_room(&self) -> bool {
        let places =
            self.open_cluster().map_or(self.slots, |cluster| cluster.batches_max * cluster.batch_max);
        self.running < places
    }

    /// Number of running jobs.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Starts a job. `sealed` are the bytes that only the child may see.
    pub fn start(&mut self, key: K, order: Order, sealed: Vec<Vec<u8>>) {
        self.running += 1;
        if order.order == OrderKind::Fit
            && self.open_cluster().is_some()
            && let Some(cluster) = &mut self.cluster
        {
            cluster.waiting.push_back(Trial { key, order, sealed });
        } else {
            self.waiting_here.push_back((key, order, sealed));
            self.start_here();
        }
    }

    fn start_here(&mut self) {
        while self.running_here < self.slots
            && let Some((key, order, sealed)) = self.waiting_here.pop_front()
        {
            self.running_here += 1;
            let (worker, gpus) = (Arc::clone(&self.worker), Arc::clone(&self.gpus));
            let (stop, sender) = (Arc::clone(&self.stop), self.sender.clone());
            tokio::task::spawn_blocking(move || {
                let blobs: Vec<&[u8]> = sealed.iter().map(Vec::as_slice).collect();
                let on_gpu = gpus.run(&order, &blobs, &stop);
                let result = on_gpu.unwrap_or_else(|| worker.run(&order, &blobs, &stop));
                // The receiver is gone only when the run itself is being torn down.
                let _ = sender.send(Message::Ended(Ended { key, result }, Place::Here));
            });
        }
    }

    /// Deals waiting trials to free places of the cluster, as evenly as they go.
    fn deal(&mut self) {
        let Some(cluster) = &mut self.cluster else { return };
        while cluster.open < cluster.batches_max && !cluster.waiting.is_empty() {
            let size = share(cluster.waiting.len(), cluster.batches_max - cluster.open, cluster.batch_max);
            let trials: Vec<Trial<K>> = cluster.waiting.drain(..size).collect();
            cluster.open += 1;
            let (ray, stop, sender) = (cluster.ray.clone(), Arc::clone(&self.stop), self.sender.clone());
            tokio::task::spawn_blocking(move || {
                ray.run(trials, &stop, &mut |key, result| {
                    let _ = sender.send(Message::Ended(Ended { key, result }, Place::Cluster));
                });
                let _ = sender.send(Message::BatchOver);
            });
        }
    }

    /// The next finished job. Cancel-safe; waits for ever when nothing runs. Whoever waits has nothing more to start, so
    /// this is when batches go out.
    pub async fn ended(&mut self) -> Ended<K> {
        loop {
            self.deal();
            match self.receiver.recv().await {
                Some(Message::Ended(ended, place)) => {
                    self.running -= 1;
                    if place == Place::Here {
                        self.running_here -= 1;
                        self.start_here();
                    }
                    return ended;
                }
                Some(Message::BatchOver) => {
                    if let Some(cluster) = &mut self.cluster {
                        cluster.open -= 1;
                    }
                }
                None => {}
            }
        }
    }

    /// What the cluster wants to be told to the user.
    pub fn take_warnings(&self) -> Vec<String> {
        self.cluster.as_ref().map_or_else(Vec::new, |cluster| cluster.ray.take_warnings())
    }

    /// What ended the use of the cluster, if anything did.
    pub fn trouble(&self) -> Option<RunError> {
        match self.cluster.as_ref()?.ray.trouble()? {
            Trouble::Gone(error) | Trouble::Refused(error) => Some(error),
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

/// Batches that run at once on a cluster when so many trials should.
pub fn batches(trials: usize, ray: &Ray) -> usize {
    trials.div_ceil(ray.cores()).max(1)
}

/// How many of the waiting trials the next batch takes.
fn share(waiting: usize, places: usize, most: usize) -> usize {
    waiting.div_ceil(places.max(1)).clamp(1, most.max(1)).min(waiting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_trials_are_dealt_evenly() {
        let deal = |waiting, places, most| {
            let (mut left, mut sizes) = (waiting, Vec::new());
            for place in 0..places {
                if left > 0 {
                    let size = share(left, places - place, most);
                    sizes.push(size);
                    left -= size;
                }
            }
            (sizes, left)
        };
        assert_eq!(deal(5, 2, 4), (vec![3, 2], 0));
        assert_eq!(deal(1, 2, 4), (vec![1], 0));
        assert_eq!(deal(20, 2, 4), (vec![4, 4], 12));
        assert_eq!(deal(3, 3, 1), (vec![1, 1, 1], 0));
    }
}
