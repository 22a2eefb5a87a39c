//! `scripts/setup`: what it says of machines, drivers and GPUs before it fetches anything. Programs that it asks are stand-ins, and
//! pip fetches nothing.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use crate::fixtures::{Folder, has_bash};

/// Programs of the system that the script runs.
const TOOLS: [&str; 15] = [
    "awk", "bash", "cat", "df", "dirname", "env", "flock", "getconf", "head", "mkdir", "readlink", "rm", "sed", "sort",
    "tail",
];

/// A machine as far as the script asks.
struct Machine {
    /// As `uname -m` has it.
    processor: &'static str,
    /// What nvidia-smi prints of driver and compute capability, and its exit code; none where there is no nvidia-smi.
    nvidia_smi: Option<(&'static str, i32)>,
}

const LOGIN_NODE: Machine = Machine { processor: "x86_64", nvidia_smi: None };

impl Machine {
    fn with(nvidia_smi: &'static str) -> Self {
        Self { nvidia_smi: Some((nvidia_smi, 0)), ..LOGIN_NODE }
    }

    /// Runs the script in a checkout of its own; returns what pip was asked for, if it came to that, and what was said.
    fn set_up(&self, arguments: &[&str]) -> (Option<String>, String, Output) {
        let folder = Folder::new();
        let (bin, scripts, asked) = (folder.path("bin"), folder.path("scripts"), folder.path("asked"));
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir_all(&scripts).unwrap();
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name == "setup" || name.starts_with("libtorch-") {
                std::fs::copy(&path, scripts.join(name)).unwrap();
            }
        }
        let path = std::env::var_os("PATH").unwrap();
        for tool in TOOLS {
            let found = std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|path| path.is_file());
            symlink(found.unwrap_or_else(|| panic!("{tool} is missing")), bin.join(tool)).unwrap();
        }
        let program = |name: &str, text: &str| {
            let path = bin.join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        program("cargo", "exit 0");
        program("c++", "exit 0");
        program("uname", &format!("[ \"$1\" = -m ] && echo {} || echo Linux", self.processor));
        program("python3", &format!("case \"$*\" in *download*) echo \"$*\" >{}; exit 1 ;; esac", asked.display()));
        if let Some((says, code)) = self.nvidia_smi {
            program("nvidia-smi", &format!("printf '%b' '{says}'; exit {code}"));
        }
        let output = Command::new(bin.join("bash"))
            .arg(scripts.join("setup"))
            .args(arguments)
            .env_clear()
            .env("PATH", &bin)
            .env("HOME", folder.path("home"))
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr.clone()).unwrap();
        (std::fs::read_to_string(asked).ok(), said, output)
    }
}

#[test]
fn a_driver_or_gpu_that_is_too_old_for_cuda_is_told_before_anything_is_fetched() {
    if !has_bash() {
        return;
    }
    for (nvidia_smi, why) in [
        (
            "550.54.15, 9.0\n",
            "the NVIDIA driver is 550.54.15 and libtorch 2.11.0 with CUDA 13 needs 580 or newer; update the driver",
        ),
        ("550.54.15\n", "the NVIDIA driver is 550.54.15"),
        (
            "580.65.06, 6.1\n580.65.06, 7.0\n",
            "the GPU has compute capability 7.0 and libtorch 2.11.0 with CUDA 13 on x86_64 needs 7.5",
        ),
    ] {
        let (asked, said, output) = Machine::with(nvidia_smi).set_up(&["--cuda"]);
        assert_eq!((output.status.code(), asked), (Some(1), None), "{said}");
        assert!(said.contains(why) && said.contains("take scripts/setup --cpu; "), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        // For another machine it is fetched all the same, and by itself the script takes what will do here.
        let (asked, said, _) = Machine::with(nvidia_smi).set_up(&["--cuda", "--unchecked"]);
        assert!(asked.is_some_and(|asked| asked.contains("libtorch-cuda.txt")) && said.contains("warning: "), "{said}");
        let (asked, said, _) = Machine::with(nvidia_smi).set_up(&[]);
        assert!(asked.is_some_and(|asked| asked.contains("libtorch-cpu.txt")) && said.contains("CPU only: "), "{said}");
    }
}

#[test]
fn a_driver_and_gpu_that_will_do_get_the_build_for_cuda() {
    if !has_bash() {
        return;
    }
    for arguments in [&["--cuda"][..], &[]] {
        // The best of several GPUs counts.
        let (asked, said, _) = Machine::with("580.65.06, 7.0\n580.65.06, 12.0\n").set_up(arguments);
        assert!(asked.is_some_and(|asked| asked.contains("libtorch-cuda.txt")), "{said}");
        assert!(!said.contains("needs") && said.contains("about 2.5 GB"), "{said}");
    }
}

#[test]
fn where_no_driver_can_be_asked_this_is_said_and_the_build_for_cuda_is_fetched() {
    if !has_bash() {
        return;
    }
    let without_gpu = Machine { nvidia_smi: Some(("No devices were found\n", 6)), ..LOGIN_NODE };
    for (machine, why) in [(LOGIN_NODE, "no nvidia-smi"), (without_gpu, "no driver or no GPU")] {
        let (asked, said, _) = machine.set_up(&["--cuda"]);
        assert!(asked.is_some_and(|asked| asked.contains("libtorch-cuda.txt")), "{said}");
        assert!(said.contains(why) && said.contains("driver 580 or newer and compute capability 7.5"), "{said}");
    }
}

#[test]
fn linux_on_aarch64_gets_its_own_wheels_and_other_machines_are_told() {
    if !has_bash() {
        return;
    }
    let arm = Machine { processor: "aarch64", ..LOGIN_NODE };
    let (asked, said, _) = arm.set_up(&["--cpu"]);
    let asked = asked.unwrap_or_else(|| panic!("{said}"));
    assert!(asked.contains("--platform manylinux_2_28_aarch64") && !asked.contains("x86_64"), "{asked}");
    // Wheels for aarch64 are compiled for fewer GPUs.
    let arm = Machine { processor: "aarch64", ..Machine::with("580.65.06, 7.5\n") };
    let (asked, said, _) = arm.set_up(&["--cuda"]);
    assert!(asked.is_none() && said.contains("needs 8.0 or more (Ampere or newer)"), "{said}");

    let other = Machine { processor: "riscv64", ..LOGIN_NODE };
    let (asked, said, output) = other.set_up(&[]);
    assert_eq!((output.status.code(), asked), (Some(1), None));
    assert!(
        said.contains("x86-64 and aarch64 only, and this is Linux on riscv64") && said.contains("LIBTORCH"),
        "{said}"
    );
}

#[test]
fn every_package_has_a_checksum_for_each_processor() {
    for flavour in ["cpu", "cuda"] {
        let list = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scripts/libtorch-{flavour}.txt"));
        let text = std::fs::read_to_string(list).unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.contains("==") && line.matches(" --hash=sha256:").count() == 2, "{line}");
        }
    }
}
