//! `--processes N`: the program starts itself N times on this machine, passes signals on and waits for all.

use std::net::TcpListener;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use strandnet_core::interrupt::Interrupt;
use strandnet_core::machine::threads::Threads;

/// How often it is looked whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The others have this long to notice that one of them failed; then they are told to end.
const GRACE: Duration = Duration::from_secs(10);
/// And this long to end when they are told to.
const LAST_GRACE: Duration = Duration::from_secs(60);

/// What shells add to the number of a signal for the exit code of a process that it ended.
const EXIT_CODE_OF_SIGNAL: i32 = 128;

/// The error of a program that ends with this exit code, after another process has said why.
#[derive(Debug)]
pub struct Ended(pub i32);

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ended with exit code {}", self.0)
    }
}

impl std::error::Error for Ended {}

/// Processes of this program, ended when this is dropped.
struct Processes(Vec<Child>);

impl Processes {
    fn signal(&self, signal: i32) {
        for child in &self.0 {
            // SAFETY: sends a signal to a child that was not waited for, or to none: `kill` of one that ended changes nothing, as its
            // number is not given to another before.
            unsafe { libc::kill(child.id() as i32, signal) };
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts what was typed in `count` processes. `threads` are those asked for, of each.
///
/// # Errors
/// A process cannot be started, one was killed, or one failed, which has said why ([`Ended`]).
pub fn run(count: usize, threads: Option<usize>) -> Result<()> {
    let interrupt = Interrupt::on_signals()?;
    let program = std::env::current_exe().context("the program does not find itself, to start it again")?;
    // Free again once it is dropped; who takes it meanwhile makes process 0 say so.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = port.context("no port of this machine is free, at which the processes are to meet")?.port();
    let own = Threads::choose(None);
    let each = threads.is_none() && !own.is_asked_for;
    let parent = std::process::id();
    let mut processes = Processes(Vec::with_capacity(count));
    for rank in 0..count {
        let mut command = Command::new(&program);
        command.args(std::env::args_os().skip(1)).stdin(Stdio::null()).process_group(0);
        for (name, value) in
            [("RANK", rank), ("LOCAL_RANK", rank), ("WORLD_SIZE", count), ("MASTER_PORT", usize::from(port))]
        {
            command.env(name, value.to_string());
        }
        command.env("MASTER_ADDR", "127.0.0.1");
        for name in ["TORCHELASTIC_USE_AGENT_STORE", "TORCHELASTIC_RESTART_COUNT"] {
            command.env_remove(name);
        }
        if each {
            command.env("OMP_NUM_THREADS", (own.count / count).max(1).to_string());
        }
        // SAFETY: only calls of the system between fork and exec.
        unsafe {
            command.pre_exec(move || {
                // Whoever ends this process ends them too: they write a checkpoint first.
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                if libc::getppid() as u32 != parent { Err(std::io::ErrorKind::Interrupted.into()) } else { Ok(()) }
            });
        }
        processes.0.push(command.spawn().with_context(|| format!("process {rank} of {count} cannot be started"))?);
    }
    wait(processes, &interrupt)
}

/// Waits for all of them.
fn wait(mut processes: Processes, interrupt: &Interrupt) -> Result<()> {
    let count = processes.0.len();
    let mut ended: Vec<Option<ExitStatus>> = vec![None; count];
    let (mut failed, mut passed_on, mut told) = (None, None, None);
    while ended.iter().any(Option::is_none) {
        if let Some(signal) = interrupt.signal().filter(|&signal| passed_on != Some(signal)) {
            processes.signal(signal);
            passed_on = Some(signal);
        }
        for (rank, child) in processes.0.iter_mut().enumerate() {
            if ended[rank].is_some() {
                continue;
            }
            ended[rank] = child.try_wait().with_context(|| format!("process {rank} of {count} is lost"))?;
            if failed.is_none() && ended[rank].is_some_and(|status| !status.success()) {
                failed = Some((rank, Instant::now()));
            }
        }
        if let Some((_, since)) = failed {
            if since.elapsed() > GRACE && told.is_none() {
                processes.signal(libc::SIGTERM);
                told = Some(Instant::now());
            }
            if told.is_some_and(|told: Instant| told.elapsed() > LAST_GRACE) {
                break; // which kills them
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let Some((rank, _)) = failed else { return Ok(()) };
    let status = ended[rank].unwrap_or_default();
    match (status.code(), status.signal(), passed_on) {
        (Some(code), _, _) => Err(Ended(code).into()),
        (None, Some(signal), Some(own)) if signal == own => Err(Ended(EXIT_CODE_OF_SIGNAL + signal).into()),
        (None, signal, _) => Err(anyhow!(
            "process {rank} of {count} was killed (signal {}), as when memory runs out; see what the others say",
            signal.unwrap_or(0)
        )),
    }
}
