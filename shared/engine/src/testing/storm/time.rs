//! Virtual time: tasks run until all of them wait, then the clock jumps to the next instant for
//! which somebody waits. The same seed gives the same run, and minutes take a second.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use glidepath_core::time::{Span, Timestamp};

/// Something that goes on beside others.
pub(super) type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// When which task is polled again; the number keeps the order of equal instants.
type Timer = Reverse<(Timestamp, u64, usize)>;

/// The clock and who waits for it.
#[derive(Debug)]
pub(super) struct Time {
    now: AtomicI64,
    timers: Mutex<BinaryHeap<Timer>>,
    numbers: AtomicU64,
    /// The task that is being polled.
    current: AtomicUsize,
}

impl Time {
    pub(super) fn at(now: Timestamp) -> Self {
        Self {
            now: AtomicI64::new(now.as_millis()),
            timers: Mutex::default(),
            numbers: AtomicU64::new(0),
            current: AtomicUsize::new(0),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::Relaxed))
    }

    /// The task that is being polled.
    pub(super) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    /// Has a task polled at an instant.
    pub(super) fn poll_at(&self, at: Timestamp, task: usize) {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.timers().push(Reverse((at, number, task)));
    }

    /// Waits.
    pub(super) fn sleep(&self, span: Span) -> Sleep<'_> {
        Sleep { time: self, until: self.now() + span, asked: false }
    }

    /// Runs the tasks to their ends; the ones that nobody will ever poll again are given up.
    pub(super) fn run(&self, tasks: Vec<Task<'_>>) {
        let mut tasks: Vec<_> = tasks.into_iter().map(Some).collect();
        for task in 0..tasks.len() {
            self.poll_at(self.now(), task);
        }
        loop {
            let Some(Reverse((at, _, task))) = self.timers().pop() else { return };
            self.now.store(at.as_millis(), Ordering::Relaxed);
            self.current.store(task, Ordering::Relaxed);
            let Some(Some(running)) = tasks.get_mut(task) else { continue };
            if running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                tasks[task] = None;
            }
        }
    }

    fn timers(&self) -> MutexGuard<'_, BinaryHeap<Timer>> {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait.
pub(super) struct Sleep<'a> {
    time: &'a Time,
    until: Timestamp,
    asked: bool,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.time.now() >= self.until {
            return Poll::Ready(());
        }
        if !self.asked {
            self.asked = true;
            self.time.poll_at(self.until, self.time.current());
        }
        Poll::Pending
    }
}
