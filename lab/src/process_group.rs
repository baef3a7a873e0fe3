//! Processes that start others, and that end together with them.

use rustix::process::{Pid, Signal, kill_process_group};

/// The group of a process that leads one. Dropping this ends all of it.
pub(crate) struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    /// Of the process with this id, which must have been started as the leader of a group.
    pub(crate) fn led_by(process: Option<u32>) -> Self {
        Self(process.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    /// Asks every process of it to end.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// The process has ended and was waited for, so its id may belong to another now.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // It fails only if nobody is left.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
