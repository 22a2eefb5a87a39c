//! How many CPU threads to use, and why: what is asked for, what the environment says, or what the system lets this
//! process have.

/// The most threads that anybody may ask for.
pub const MOST_THREADS: usize = 1024;

/// Variables that say how many threads a program should use, the first one first.
const VARIABLES: [&str; 2] = ["OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"];

/// A number of threads and what it follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threads {
    /// The number.
    pub count: usize,
    /// What it follows, as a phrase.
    pub reason: String,
    /// Whether a setting or a variable says it, and not the machine.
    pub is_asked_for: bool,
    /// Variables that were ignored, a sentence each.
    pub warnings: Vec<String>,
}

impl Threads {
    /// Follows `asked`, or else the environment, or else the CPU quota of the cgroup (v1 or v2) and the CPU affinity.
    pub fn choose(asked: Option<usize>) -> Self {
        Self::from(
            asked,
            |name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()),
            Cores::here(),
        )
    }

    fn from(asked: Option<usize>, variable: impl Fn(&str) -> Option<String>, cores: Cores) -> Self {
        let mut warnings = Vec::new();
        if let Some(count) = asked {
            return Self { count, reason: "as requested".into(), is_asked_for: true, warnings };
        }
        for name in VARIABLES {
            let Some(value) = variable(name).filter(|value| !value.trim().is_empty()) else { continue };
            match value.trim().parse() {
                Ok(count) if (1..=MOST_THREADS).contains(&count) => {
                    return Self { count, reason: format!("{name} says so"), is_asked_for: true, warnings };
                }
                _ => warnings.push(format!(
                    "{name} is '{}', expected a number from 1 to {MOST_THREADS}; it is ignored",
                    value.escape_debug()
                )),
            }
        }
        let Cores { online, allowed, available } = cores;
        let reason = if available < allowed.unwrap_or(available) {
            format!("as the CPU quota of the cgroup allows of {} cores", online.unwrap_or(available))
        } else if available < online.unwrap_or(available) {
            format!("as the CPU affinity allows of {} cores", online.unwrap_or(available))
        } else {
            "one per core".into()
        };
        Self { count: available, reason, is_asked_for: false, warnings }
    }
}

/// Numbers of processor cores.
#[derive(Clone, Copy, Debug)]
struct Cores {
    /// Of the machine, where the system says so.
    online: Option<usize>,
    /// That the affinity of this process allows, where the system says so.
    allowed: Option<usize>,
    /// That affinity and cgroup allow.
    available: usize,
}

impl Cores {
    fn here() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let status = read("/proc/self/status");
        let allowed = status.as_deref().and_then(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
            cores_in(line)
        });
        let online = read("/sys/devices/system/cpu/online").and_then(|list| cores_in(&list));
        // Counts the affinity, and rounds the quota of the cgroup and of those around it down.
        let available = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { online, allowed, available }
    }
}

/// How many cores a list such as `0-3,8` names.
fn cores_in(list: &str) -> Option<usize> {
    let mut count = 0usize;
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        count += last.checked_sub(first)?.checked_add(1)?;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_counted() {
        for (list, count) in [
            ("0", Some(1)),
            ("0-3", Some(4)),
            ("0-3,8", Some(5)),
            ("\t0-1,4-5\n", Some(4)),
            ("", None),
            ("3-0", None),
            ("a", None),
        ] {
            assert_eq!(cores_in(list), count, "{list:?}");
        }
    }

    #[test]
    fn threads_follow_what_is_asked_for_then_the_environment_then_the_system() {
        let eight = Cores { online: Some(8), allowed: Some(8), available: 8 };
        let bound = Cores { online: Some(8), allowed: Some(3), available: 3 };
        let quota = Cores { online: Some(8), allowed: Some(8), available: 2 };
        let unknown = Cores { online: None, allowed: None, available: 4 };
        for (asked, omp, slurm, cores, count, reason, ignored) in [
            (Some(5), Some("2"), Some("3"), eight, 5, "as requested", 0),
            (None, Some("2"), Some("3"), eight, 2, "OMP_NUM_THREADS", 0),
            (None, Some(" 2 "), None, eight, 2, "OMP_NUM_THREADS", 0),
            (None, Some(""), Some("3"), eight, 3, "SLURM_CPUS_PER_TASK", 0),
            (None, None, Some("3"), quota, 3, "SLURM_CPUS_PER_TASK", 0),
            (None, Some("4,2"), Some("3"), eight, 3, "SLURM_CPUS_PER_TASK", 1),
            (None, Some("4,2"), None, eight, 8, "one per core", 1),
            (None, Some("0"), Some("-1"), eight, 8, "one per core", 2),
            (None, Some("many"), None, bound, 3, "affinity", 1),
            (None, Some("1e3"), None, quota, 2, "quota", 1),
            (None, Some("99999999999999999999"), None, unknown, 4, "one per core", 1),
            (None, Some("2.0"), Some("2(x3)"), unknown, 4, "one per core", 2),
            (None, Some("1025"), Some("1024"), unknown, 1024, "SLURM_CPUS_PER_TASK", 1),
            (None, None, None, bound, 3, "affinity", 0),
            (None, None, None, quota, 2, "quota", 0),
            (None, None, None, eight, 8, "one per core", 0),
            (None, None, None, unknown, 4, "one per core", 0),
        ] {
            let variable = |name: &str| if name == VARIABLES[0] { omp } else { slurm }.map(str::to_owned);
            let found = Threads::from(asked, variable, cores);
            assert_eq!((found.count, found.warnings.len()), (count, ignored), "{omp:?} {slurm:?}: {found:?}");
            assert!(found.reason.contains(reason), "{omp:?} {slurm:?}: {found:?}");
        }
    }
}
