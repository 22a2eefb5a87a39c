//! Which of several processes this one is, as who started them says in the environment.

use anyhow::{Result, bail};

/// Where `torchrun` and others meet where nothing is said.
const PORT: u16 = 29500;

/// One of several processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Its number, counted from 0.
    pub rank: usize,
    /// How many there are.
    pub size: usize,
    /// Its number among those on this machine, counted from 0.
    pub local_rank: usize,
    /// Where they meet.
    pub host: String,
    /// See `host`.
    pub port: u16,
    /// Whether process 0 keeps the store of strings there; under `torchrun` the agent that started them does.
    pub own_store: bool,
    /// How often they were started again, which keeps what they say apart from what was said before.
    pub restarts: String,
}

/// The variables of a launcher.
struct Variables {
    rank: &'static str,
    size: &'static str,
    local_rank: &'static str,
}

const TORCHRUN: Variables = Variables { rank: "RANK", size: "WORLD_SIZE", local_rank: "LOCAL_RANK" };
const OPEN_MPI: Variables =
    Variables { rank: "OMPI_COMM_WORLD_RANK", size: "OMPI_COMM_WORLD_SIZE", local_rank: "OMPI_COMM_WORLD_LOCAL_RANK" };
const SLURM: Variables = Variables { rank: "SLURM_PROCID", size: "SLURM_NTASKS", local_rank: "SLURM_LOCALID" };

impl Launch {
    /// What `torchrun`, `mpirun` or `srun` says, the first of them that says something; nothing where this process is alone.
    ///
    /// # Errors
    /// What is said makes no sense, or leaves out where the processes meet.
    pub fn from_environment() -> Result<Option<Self>> {
        Self::from(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let says = |variables: &Variables| variable(variables.rank).is_some() && variable(variables.size).is_some();
        // In the script of sbatch, and after salloc, the variables of tasks tell of those that srun would start.
        let by_srun = variable("SLURM_STEP_ID").is_some() || variable("SLURM_JOB_ID").is_none();
        let variables = match () {
            () if says(&TORCHRUN) => TORCHRUN,
            () if says(&OPEN_MPI) => OPEN_MPI,
            () if says(&SLURM) && by_srun => SLURM,
            () => return Ok(None),
        };
        let number = |name: &str, least: usize, below: usize| -> Result<usize> {
            let value = variable(name).unwrap_or_default();
            match value.trim().parse() {
                Ok(number) if (least..below).contains(&number) => Ok(number),
                _ => bail!(
                    "{name} is '{}', expected a number from {least} to {}, as the program that starts several processes sets it; unset it to train in one",
                    value.escape_debug(),
                    below - 1
                ),
            }
        };
        const MOST: usize = 1 << 16;
        let size = number(variables.size, 1, MOST)?;
        let rank = number(variables.rank, 0, size)?;
        let local_rank = match variable(variables.local_rank) {
            Some(_) => number(variables.local_rank, 0, MOST)?,
            None => rank,
        };
        let (host, port) = (variable("MASTER_ADDR"), variable("MASTER_PORT"));
        // One task of a batch job is no group; one that is told where to meet is.
        if size == 1 && (variables.rank != TORCHRUN.rank || host.is_none() || port.is_none()) {
            return Ok(None);
        }
        let on_one_machine = || {
            let (local, nodes) = (variable("OMPI_COMM_WORLD_LOCAL_SIZE"), variable("SLURM_STEP_NUM_NODES"));
            local == variable(OPEN_MPI.size) && local.is_some() || nodes.is_some_and(|nodes| nodes == "1")
        };
        let first_node = || {
            let list = variable("SLURM_STEP_NODELIST").or_else(|| variable("SLURM_JOB_NODELIST"))?;
            (variables.rank == SLURM.rank).then(|| first_of_nodes(&list)).flatten()
        };
        let Some(host) = host.or_else(first_node).or_else(|| on_one_machine().then(|| "127.0.0.1".into())) else {
            bail!(
                "{} says that there are {size} processes, and nothing where they meet; set MASTER_ADDR to the machine of the first and MASTER_PORT to a free port there",
                variables.size
            );
        };
        let port = match port {
            Some(_) => number("MASTER_PORT", 1, MOST)? as u16,
            // Two jobs on a machine are not to meet.
            None => variable("SLURM_JOB_ID")
                .and_then(|job| job.parse::<u64>().ok())
                .map_or(PORT, |job| 20_000 + (job % 10_000) as u16),
        };
        let own_store =
            variable("TORCHELASTIC_USE_AGENT_STORE").is_none_or(|value| !value.eq_ignore_ascii_case("true"));
        let restarts = variable("TORCHELASTIC_RESTART_COUNT").unwrap_or_else(|| "0".into());
        Ok(Some(Self { rank, size, local_rank, host, port, own_store, restarts }))
    }
}

/// The first of a list of machines as SLURM writes it: `node1` of `node1,node2` and of `node[1-3,7]`.
fn first_of_nodes(list: &str) -> Option<String> {
    let end = list.find([',', '[']).unwrap_or(list.len());
    let (name, rest) = list.split_at(end);
    let Some(numbers) = rest.strip_prefix('[') else { return Some(name.to_owned()).filter(|name| !name.is_empty()) };
    let (numbers, after) = numbers.split_once(']')?;
    let first = numbers.split([',', '-']).next()?;
    let after = after.split(',').next().unwrap_or("");
    Some(format!("{name}{first}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(variables: &[(&str, &str)]) -> Result<Option<Launch>> {
        Launch::from(|name| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned()))
    }

    const MEETING: [(&str, &str); 2] = [("MASTER_ADDR", "node7"), ("MASTER_PORT", "1234")];

    #[test]
    fn each_launcher_says_who_this_is_in_its_own_way() {
        let expected = Launch {
            rank: 5,
            size: 8,
            local_rank: 1,
            host: "node7".into(),
            port: 1234,
            own_store: true,
            restarts: "0".into(),
        };
        for names in [TORCHRUN, OPEN_MPI, SLURM] {
            let of = |more: &[(&str, &str)]| {
                let own = [(names.rank, "5"), (names.size, "8"), (names.local_rank, "1")];
                launch(&[&own, &MEETING[..], more].concat())
            };
            assert_eq!(of(&[]).unwrap(), Some(expected.clone()), "{}", names.rank);
            // torchrun's own variables are what its processes go by, also within a batch job.
            let within = of(&[("SLURM_JOB_ID", "77"), ("SLURM_STEP_ID", "0"), ("SLURM_NTASKS", "1")]).unwrap();
            assert_eq!(within.is_some(), names.rank != SLURM.rank || within.is_some());
        }
        let agent = [("TORCHELASTIC_USE_AGENT_STORE", "True"), ("TORCHELASTIC_RESTART_COUNT", "2")];
        let own = [("RANK", "0"), ("WORLD_SIZE", "2")];
        let found = launch(&[&own, &MEETING[..], &agent].concat()).unwrap().unwrap();
        assert!(!found.own_store && found.restarts == "2" && found.local_rank == 0);
    }

    #[test]
    fn who_is_alone_or_in_a_batch_script_is_no_group() {
        let slurm =
            [("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4"), ("SLURM_JOB_ID", "77"), ("SLURM_JOB_NODELIST", "a[3-9]")];
        assert_eq!(launch(&[]).unwrap(), None);
        assert_eq!(launch(&slurm).unwrap(), None);
        assert_eq!(launch(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "1"), ("SLURM_STEP_ID", "0")]).unwrap(), None);
        assert_eq!(launch(&[("RANK", "0"), ("WORLD_SIZE", "1")]).unwrap(), None);
        let found = launch(&[&slurm[..], &[("SLURM_STEP_ID", "0")]].concat()).unwrap().unwrap();
        assert_eq!((found.host.as_str(), found.port), ("a3", 20_077));
        let alone = launch(&[&[("RANK", "0"), ("WORLD_SIZE", "1")], &MEETING[..]].concat()).unwrap().unwrap();
        assert_eq!((alone.rank, alone.size), (0, 1));
        let mpi = [("OMPI_COMM_WORLD_RANK", "1"), ("OMPI_COMM_WORLD_SIZE", "2")];
        let local = launch(&[&mpi[..], &[("OMPI_COMM_WORLD_LOCAL_SIZE", "2")]].concat()).unwrap().unwrap();
        assert_eq!((local.host.as_str(), local.port), ("127.0.0.1", PORT));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (variables, said) in [
            ([("RANK", "2"), ("WORLD_SIZE", "2")], "RANK is '2', expected a number from 0 to 1"),
            ([("RANK", "one"), ("WORLD_SIZE", "2")], "RANK is 'one'"),
            ([("RANK", "0"), ("WORLD_SIZE", "0")], "WORLD_SIZE is '0'"),
            ([("RANK", "0"), ("WORLD_SIZE", "-1")], "WORLD_SIZE is '-1'"),
        ] {
            let error = launch(&[&variables[..], &MEETING[..]].concat()).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
        let mpi = [("OMPI_COMM_WORLD_RANK", "1"), ("OMPI_COMM_WORLD_SIZE", "2"), ("OMPI_COMM_WORLD_LOCAL_SIZE", "1")];
        let error = launch(&mpi).unwrap_err().to_string();
        assert!(error.contains("set MASTER_ADDR"), "{error}");
        let port = launch(&[("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "a"), ("MASTER_PORT", "99999")]);
        assert!(port.unwrap_err().to_string().starts_with("MASTER_PORT is '99999'"));
    }

    #[test]
    fn the_first_of_a_list_of_machines_is_found() {
        for (list, first) in [
            ("node1", Some("node1")),
            ("node1,node2", Some("node1")),
            ("node[003-006,009],gpu1", Some("node003")),
            ("rack[1,4]-a,rack9", Some("rack1-a")),
            ("", None),
            ("node[1-", None),
        ] {
            assert_eq!(first_of_nodes(list).as_deref(), first, "{list}");
        }
    }
}
