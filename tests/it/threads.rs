//! How many threads the program takes, and how idle ones wait.

use std::process::Command;

use serde_json::Value;

use crate::fixtures::{strandnet, succeed};

/// `doctor --json` with some variables, and without those that a batch system or cargo may have set.
fn doctor(variables: &[(&str, &str)]) -> (Value, String) {
    let mut command = strandnet();
    for name in ["OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK", "GOMP_SPINCOUNT", "OMP_WAIT_POLICY"] {
        command.env_remove(name);
    }
    let output = command.args(["doctor", "--json"]).envs(variables.iter().copied()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    (serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}")), said)
}

#[test]
fn threads_follow_the_environment_and_doctor_says_which_variable() {
    for (variables, threads, reason, ignored) in [
        (&[("OMP_NUM_THREADS", "3")][..], Some(3), "OMP_NUM_THREADS", 0),
        (&[("SLURM_CPUS_PER_TASK", "5")], Some(5), "SLURM_CPUS_PER_TASK", 0),
        (&[("OMP_NUM_THREADS", "3"), ("SLURM_CPUS_PER_TASK", "5")], Some(3), "OMP_NUM_THREADS", 0),
        (&[("OMP_NUM_THREADS", "4,2"), ("SLURM_CPUS_PER_TASK", "5")], Some(5), "SLURM_CPUS_PER_TASK", 1),
        (&[("OMP_NUM_THREADS", "many")], None, "", 1),
        (&[("OMP_NUM_THREADS", "0")], None, "", 1),
        (&[("OMP_NUM_THREADS", "")], None, "", 0),
        (&[], None, "", 0),
    ] {
        let (found, _) = doctor(variables);
        if let Some(threads) = threads {
            assert_eq!(found["threads"], threads, "{variables:?}");
        }
        assert!(found["threads_reason"].as_str().unwrap().contains(reason), "{variables:?}: {found}");
        let warnings = found["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), ignored, "{variables:?}: {found}");
        assert!(warnings.iter().all(|warning| warning.as_str().unwrap().contains("it is ignored")), "{found}");
    }
}

#[test]
fn a_variable_that_is_no_number_is_ignored_with_a_warning_and_the_flag_wins() {
    let run = |flags: &[&str]| {
        let command = [&["inspect", "--fragments", "40", "--test-fragments", "20"], flags].concat();
        let output = strandnet().args(command).env("OMP_NUM_THREADS", "4,2").output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(run(&[]).contains("warning: OMP_NUM_THREADS is '4,2', expected a number"));
    assert!(!run(&["--threads", "1"]).contains("OMP_NUM_THREADS is"));
}

#[test]
#[cfg(target_os = "linux")]
fn threads_follow_the_affinity() {
    if Command::new("taskset").arg("--version").output().is_err() {
        return crate::fixtures::skipped("taskset", "sudo apt-get install util-linux");
    }
    let output = Command::new("taskset")
        .args(["-c", "0", env!("CARGO_BIN_EXE_strandnet"), "doctor", "--json"])
        .env_remove("OMP_NUM_THREADS")
        .env_remove("SLURM_CPUS_PER_TASK")
        .output()
        .unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["threads"], 1, "{found}");
}

#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn idle_threads_wait_as_the_program_says_unless_the_user_does() {
    let waiting = |variables: &[(&str, &str)]| doctor(variables).0["waiting"].to_string();
    assert_eq!(waiting(&[]), r#"["GOMP_SPINCOUNT=1000"]"#);
    assert_eq!(waiting(&[("GOMP_SPINCOUNT", "7")]), r#"["GOMP_SPINCOUNT=7"]"#);
    assert_eq!(waiting(&[("OMP_WAIT_POLICY", "passive")]), r#"["OMP_WAIT_POLICY=passive"]"#);
}

/// The program starts itself once more, which nobody should notice.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn starting_again_keeps_name_arguments_input_and_process() {
    use std::io::Write;
    use std::os::unix::process::CommandExt;
    use std::process::Stdio;

    // Usage errors say how the program was called.
    let output = strandnet().arg0("other-name").env_remove("GOMP_SPINCOUNT").arg("doctor").arg("a b").output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("'a b'"));
    // Through a link, relative, from a folder that is not its own.
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_strandnet"), folder.path().join("linked")).unwrap();
    let linked =
        Command::new("./linked").current_dir(folder.path()).env_remove("GOMP_SPINCOUNT").arg("doctor").output();
    assert!(String::from_utf8(linked.unwrap().stdout).unwrap().contains("GOMP_SPINCOUNT=1000"));
    // Standard input is read from its beginning.
    let run = crate::fixtures::finished();
    let mut child = strandnet()
        .args(["predict", run.run.to_str().unwrap(), "-"])
        .env_remove("GOMP_SPINCOUNT")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    write!(child.stdin.take().unwrap(), ">first\n{}\n", "ACGT".repeat(32)).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("\nfirst\t"));
    // Without an environment, too.
    let output = Command::new(env!("CARGO_BIN_EXE_strandnet")).env_clear().arg("--version").output().unwrap();
    assert!(output.status.success());
}

#[test]
fn help_does_not_depend_on_the_environment() {
    assert!(succeed(&["--help"]).contains("doctor"));
}
