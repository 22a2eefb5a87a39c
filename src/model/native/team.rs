//! Threads that share rounds of small tasks. A step of a small network takes less time than waking a thread, so between two
//! rounds they wait awake for a moment, and sleep only if nothing comes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{Scope, Thread};

/// Turns of waiting awake: a few times as long as what a step does between two rounds.
const TURNS: usize = 3000;

#[derive(Debug, Default)]
struct State {
    /// Tasks of this round that nobody has taken yet, and tasks that are not done.
    waiting: AtomicUsize,
    unfinished: AtomicUsize,
    /// Rounds so far.
    round: AtomicUsize,
    ended: AtomicBool,
    asleep: AtomicUsize,
}

/// Rounds of tasks, and what does them.
pub struct Board<'a> {
    state: State,
    /// Does the task of that number.
    task: &'a (dyn Fn(usize) + Sync),
}

impl<'a> Board<'a> {
    pub fn new(task: &'a (dyn Fn(usize) + Sync)) -> Self {
        Self { state: State::default(), task }
    }

    /// Does tasks of this round until all are taken.
    fn work(&self) {
        /// Counts a task as done even if it panics, so that nobody waits for it forever.
        struct Done<'a>(&'a AtomicUsize);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, SeqCst);
            }
        }
        while let Ok(waiting) = self.state.waiting.try_update(SeqCst, SeqCst, |waiting| waiting.checked_sub(1)) {
            let _done = Done(&self.state.unfinished);
            (self.task)(waiting - 1);
        }
    }

    /// Takes part in round after round.
    fn serve(&self) {
        let State { round, ended, asleep, .. } = &self.state;
        let mut seen = 0;
        loop {
            let is_idle = || round.load(SeqCst) == seen && !ended.load(SeqCst);
            let mut turns = 0;
            while is_idle() {
                turns += 1;
                if turns < TURNS {
                    std::hint::spin_loop();
                    continue;
                }
                asleep.fetch_add(1, SeqCst);
                while is_idle() {
                    std::thread::park();
                }
                asleep.fetch_sub(1, SeqCst);
            }
            if ended.load(SeqCst) {
                return;
            }
            seen = round.load(SeqCst);
            self.work();
        }
    }
}

/// The threads at a board, this one among them. They go when it is dropped.
pub struct Team<'a> {
    board: &'a Board<'a>,
    others: Vec<Thread>,
}

impl<'a> Team<'a> {
    /// As many threads in all.
    pub fn new<'scope>(scope: &'scope Scope<'scope, 'a>, board: &'a Board<'a>, threads: usize) -> Self {
        let others = (1..threads).map(|_| scope.spawn(|| board.serve()).thread().clone()).collect();
        Self { board, others }
    }

    /// Does tasks 0 to `tasks`, in any order, and waits until all are done.
    pub fn round(&self, tasks: usize) {
        let State { waiting, unfinished, round, .. } = &self.board.state;
        unfinished.store(tasks, SeqCst);
        waiting.store(tasks, SeqCst);
        if tasks > 1 {
            round.fetch_add(1, SeqCst);
            self.wake();
        }
        self.board.work();
        let mut turns = 0;
        while unfinished.load(SeqCst) > 0 {
            turns += 1;
            // Where threads have to share a core, the others need it.
            if turns < TURNS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }

    fn wake(&self) {
        if self.board.state.asleep.load(SeqCst) > 0 {
            self.others.iter().for_each(Thread::unpark);
        }
    }
}

impl Drop for Team<'_> {
    fn drop(&mut self) {
        self.board.state.ended.store(true, SeqCst);
        self.others.iter().for_each(Thread::unpark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_task_of_every_round_is_done_once_also_after_a_sleep() {
        let counts: Vec<AtomicUsize> = (0..7).map(|_| AtomicUsize::new(0)).collect();
        let task = |i: usize| {
            counts[i].fetch_add(1, SeqCst);
        };
        for threads in [1, 2, 5] {
            let board = Board::new(&task);
            std::thread::scope(|scope| {
                let team = Team::new(scope, &board, threads);
                for round in 0..2000 {
                    if round % 500 == 499 {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    let tasks = round % 8;
                    counts.iter().for_each(|count| count.store(0, SeqCst));
                    team.round(tasks);
                    let found: Vec<usize> = counts.iter().map(|count| count.load(SeqCst)).collect();
                    assert_eq!(found, (0..7).map(|i| usize::from(i < tasks)).collect::<Vec<_>>());
                }
            });
        }
    }

    #[test]
    fn a_task_that_panics_ends_in_a_panic_and_not_in_waiting() {
        let task = |i: usize| assert_ne!(i, 0, "as wanted");
        let board = Board::new(&task);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            std::thread::scope(|scope| Team::new(scope, &board, 3).round(8));
        }));
        assert!(outcome.is_err());
    }
}
