//! A pool of threads for rounds of small tasks. A step of a small network takes less time than waking a thread, so
//! threads spin for a moment between two rounds, and sleep only if nothing comes.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Number of spins: a few times as long as a step takes between two rounds.
const TURNS: usize = 3000;

/// State shared by all threads.
struct Shared {
    /// Tasks of this round that are not taken, and tasks that are not done.
    waiting: AtomicUsize,
    unfinished: AtomicUsize,
    /// Number of rounds so far.
    round: AtomicUsize,
    ended: AtomicBool,
    asleep: AtomicUsize,
    /// The payload of a thread's panic.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// Runs the task of the given number.
    task: Box<dyn Fn(usize) + Send + Sync>,
}

impl Shared {
    /// Runs tasks of this round until all are taken.
    fn work(&self) {
        /// Counts a task as done even if it panics, so that no thread waits for it forever.
        struct Done<'a>(&'a AtomicUsize);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, SeqCst);
            }
        }
        while let Ok(waiting) = self.waiting.try_update(SeqCst, SeqCst, |waiting| waiting.checked_sub(1)) {
            let _done = Done(&self.unfinished);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (self.task)(waiting - 1)))
                && let Ok(mut first) = self.panic.lock()
            {
                first.get_or_insert(panic);
            }
        }
    }

    /// Takes part in one round after another.
    fn serve(&self) {
        let mut seen = 0;
        loop {
            let is_idle = || self.round.load(SeqCst) == seen && !self.ended.load(SeqCst);
            let mut turns = 0;
            while is_idle() {
                turns += 1;
                if turns < TURNS {
                    std::hint::spin_loop();
                    continue;
                }
                self.asleep.fetch_add(1, SeqCst);
                while is_idle() {
                    std::thread::park();
                }
                self.asleep.fetch_sub(1, SeqCst);
            }
            if self.ended.load(SeqCst) {
                return;
            }
            seen = self.round.load(SeqCst);
            self.work();
        }
    }
}

/// Threads for rounds of one kind of task, the caller's among them. They end when the pool is dropped.
pub struct WorkerPool {
    shared: Arc<Shared>,
    others: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for WorkerPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerPool").field("threads", &(self.others.len() + 1)).finish()
    }
}

impl WorkerPool {
    /// Starts a pool of this many threads in total, each running `task` with a task number.
    pub fn new(threads: usize, task: impl Fn(usize) + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            waiting: AtomicUsize::new(0),
            unfinished: AtomicUsize::new(0),
            round: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            asleep: AtomicUsize::new(0),
            panic: Mutex::default(),
            task: Box::new(task),
        });
        let other = |_| {
            let shared = shared.clone();
            std::thread::spawn(move || shared.serve())
        };
        Self { others: (1..threads).map(other).collect(), shared }
    }

    /// Runs tasks 0 to `tasks`, in any order, and waits until all are done.
    ///
    /// # Panics
    /// If a task panics, with the same payload.
    pub fn run(&self, tasks: usize) {
        let Shared { waiting, unfinished, round, asleep, panic, .. } = &*self.shared;
        unfinished.store(tasks, SeqCst);
        waiting.store(tasks, SeqCst);
        if tasks > 1 {
            round.fetch_add(1, SeqCst);
            if asleep.load(SeqCst) > 0 {
                self.wake();
            }
        }
        self.shared.work();
        let mut turns = 0;
        while unfinished.load(SeqCst) > 0 {
            turns += 1;
            // If threads share a core, the others need it.
            if turns < TURNS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        let panicked = panic.lock().ok().and_then(|mut panic| panic.take());
        if let Some(panic) = panicked {
            resume_unwind(panic);
        }
    }

    fn wake(&self) {
        self.others.iter().for_each(|other| other.thread().unpark());
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        self.shared.ended.store(true, SeqCst);
        self.wake();
        for other in self.others.drain(..) {
            let _ = other.join(); // tasks that panic are caught
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_task_of_every_round_is_done_once_also_after_a_sleep() {
        let counts: Arc<Vec<AtomicUsize>> = Arc::new((0..7).map(|_| AtomicUsize::new(0)).collect());
        for threads in [1, 2, 5] {
            let own = counts.clone();
            let pool = WorkerPool::new(threads, move |i| {
                own[i].fetch_add(1, SeqCst);
            });
            for round in 0..2000 {
                if round % 500 == 499 {
                    std::thread::sleep(Duration::from_millis(5));
                }
                let tasks = round % 8;
                counts.iter().for_each(|count| count.store(0, SeqCst));
                pool.run(tasks);
                let found: Vec<usize> = counts.iter().map(|count| count.load(SeqCst)).collect();
                assert_eq!(found, (0..7).map(|i| usize::from(i < tasks)).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_task_that_panics_is_a_panic_of_the_caller_and_the_pool_goes_on() {
        let pool = WorkerPool::new(3, |i| assert_ne!(i, 0, "as wanted"));
        for _ in 0..2 {
            assert!(catch_unwind(AssertUnwindSafe(|| pool.run(7))).is_err());
        }
    }
}
