//! The one thread that makes all helpers, because the signal that kills a helper with its parent fires when the *thread* that
//! made it ends.

use crate::error::{Doing as _, SandboxError};
use std::io;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

type Job = (Command, Sender<io::Result<Child>>);

/// The thread that makes all helpers.
#[derive(Debug)]
pub(crate) struct Spawner {
    jobs: Sender<Job>,
}

impl Spawner {
    /// Starts the thread.
    pub(crate) fn new() -> Result<Arc<Self>, SandboxError> {
        let (jobs, orders) = channel::<Job>();
        let work = move || {
            for (mut command, answer) in orders {
                // The command holds the cell's ends of the channels; they must close here, whatever came of it.
                let spawned = command.spawn();
                drop(command);
                if let Err(unheard) = answer.send(spawned) {
                    abandon(unheard.0);
                }
            }
        };
        let named = std::thread::Builder::new().name("cells".into()).spawn(work);
        named.doing(|| "starting the thread that makes cells".into())?;
        Ok(Arc::new(Self { jobs }))
    }

    /// Starts a process. Every descriptor that `command` holds is closed here, whatever came of it.
    pub(crate) fn spawn(&self, command: Command) -> io::Result<Child> {
        let (answer, answered) = channel();
        let gone = || io::Error::other("the thread that makes cells has ended");
        self.jobs.send((command, answer)).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    }
}

/// Ends a helper that nobody waits for any more.
fn abandon(spawned: io::Result<Child>) {
    if let Ok(mut child) = spawned {
        let _ = child.kill();
        let _ = child.wait();
    }
}
