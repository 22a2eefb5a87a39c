//! Sums over processes of this machine, as a step of training takes one: `cargo bench --bench all_reduce`.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use strandnet::distributed::launch::Launch;
use strandnet::distributed::{Group, Hello};
use strandnet::run::ExampleCounts;
use tch::{Device, Kind, Tensor};

/// Parameters of `residual`, of `basset` and of a larger network.
const FLOATS: [i64; 4] = [1, 243_057, 2_367_901, 10_000_000];
const TIME: Duration = Duration::from_secs(1);

fn main() -> Result<()> {
    if let Some(launch) = Launch::from_environment()? {
        return measure(launch);
    }
    for processes in [2, 4] {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
        let start = |rank: usize| -> std::io::Result<Child> {
            let own =
                [("RANK", rank.to_string()), ("WORLD_SIZE", processes.to_string()), ("MASTER_PORT", port.clone())];
            let command = &mut Command::new(std::env::current_exe()?);
            command.envs(own).env("MASTER_ADDR", "127.0.0.1").env("OMP_NUM_THREADS", "1").stdin(Stdio::null()).spawn()
        };
        let children = (0..processes).map(start).collect::<std::io::Result<Vec<_>>>()?;
        for mut child in children {
            ensure!(child.wait()?.success(), "a process failed");
        }
    }
    Ok(())
}

/// Prints the median time of a sum for each number of floats.
fn measure(launch: Launch) -> Result<()> {
    let (rank, processes) = (launch.rank, launch.size);
    tch::set_num_threads(1);
    let group = Group::meet(launch, 60)?;
    let hello = Hello {
        program: String::new(),
        processes,
        threads: 1,
        settings: serde_json::Value::Null,
        examples: ExampleCounts { train: 0, valid: 0, test: 0 },
        data: String::new(),
        position: String::new(),
    };
    group.agree(&hello, None, Device::Cpu)?;
    for floats in FLOATS {
        let tensor = Tensor::ones([floats], (Kind::Float, Device::Cpu));
        group.sum(&tensor)?;
        let began = Instant::now();
        group.sum(&tensor)?;
        // As many in every process.
        let rounds = Tensor::from_slice(&[(TIME.as_secs_f32() / began.elapsed().as_secs_f32()).clamp(5.0, 2000.0)]);
        group.broadcast(&rounds)?;
        let mut seconds = Vec::new();
        for _ in 0..rounds.double_value(&[0]) as usize {
            let began = Instant::now();
            group.sum(&tensor)?;
            seconds.push(began.elapsed().as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        if rank == 0 {
            println!("{processes} processes, {floats} floats: {:.3} ms", 1e3 * seconds[seconds.len() / 2]);
        }
    }
    Ok(())
}
