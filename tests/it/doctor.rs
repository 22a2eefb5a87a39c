//! `doctor`: what it says of the machine.

use std::path::Path;

use crate::fixtures::{fail, strandnet, succeed, text};

#[test]
fn doctor_names_versions_devices_and_threads() {
    let text = succeed(&["doctor"]);
    for part in ["strandnet", "libtorch", "CUDA", "threads", "default device"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// NVIDIA's driver as far as it is asked, for one GPU.
#[derive(Clone, Copy)]
struct FakeDriver {
    /// What `cuInit` returns.
    init: i32,
    version: i32,
    capability: (i32, i32),
    gpus: i32,
}

impl FakeDriver {
    /// Compiles it into a folder, where the loader finds it instead of the machine's own.
    fn build_in(self, folder: &Path) {
        let Self { init, version, capability: (major, minor), gpus } = self;
        let source = folder.join("driver.cpp");
        std::fs::write(
            &source,
            format!(
                r#"#include <cstring>
extern "C" {{
int cuInit(unsigned) {{ return {init}; }}
int cuDriverGetVersion(int* version) {{ *version = {version}; return 0; }}
int cuDeviceGetCount(int* count) {{ *count = {gpus}; return 0; }}
int cuDeviceGet(int* device, int index) {{ *device = index; return 0; }}
int cuDeviceGetName(char* name, int length, int) {{ strncpy(name, "NVIDIA Example 9000", length); return 0; }}
int cuDeviceTotalMem_v2(size_t* bytes, int) {{ *bytes = size_t(16) << 30; return 0; }}
int cuDeviceGetAttribute(int* value, int attribute, int) {{ *value = attribute == 75 ? {major} : {minor}; return 0; }}
}}
"#
            ),
        )
        .unwrap();
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
        let library = folder.join("libcuda.so.1");
        let arguments = ["-shared", "-fPIC", "-o", text(&library), text(&source)];
        assert!(std::process::Command::new(compiler).args(arguments).status().unwrap().success());
    }

    /// What `doctor --json` says with it, and what training on CUDA ends with.
    fn seen(self) -> (serde_json::Value, String) {
        let folder = tempfile::tempdir().unwrap();
        self.build_in(folder.path());
        let path = match std::env::var("LD_LIBRARY_PATH") {
            Ok(path) => format!("{}:{path}", text(folder.path())),
            Err(_) => text(folder.path()).to_owned(),
        };
        let run = |arguments: &[&str]| strandnet().args(arguments).env("LD_LIBRARY_PATH", &path).output().unwrap();
        let found = serde_json::from_slice(&run(&["doctor", "--json"]).stdout).unwrap();
        let trained = run(&["train", "--device", "cuda", "--out", text(&folder.path().join("run"))]);
        assert_eq!(trained.status.code(), Some(1));
        (found, String::from_utf8(trained.stderr).unwrap().trim().to_owned())
    }
}

const NEW: FakeDriver = FakeDriver { init: 0, version: 13000, capability: (9, 0), gpus: 1 };

/// Whether libtorch is for the CPU only or has CUDA, the driver is asked first.
#[test]
fn doctor_says_what_is_wrong_with_a_driver_or_a_gpu() {
    let (found, error) = NEW.seen();
    let driver = &found["nvidia_driver"];
    assert_eq!(driver["cuda"], "13.0");
    assert_eq!(driver["gpus"][0]["name"], "NVIDIA Example 9000");
    assert_eq!(
        (&driver["gpus"][0]["memory_bytes"], &driver["gpus"][0]["compute_capability"]),
        (&(16u64 << 30).into(), &"9.0".into())
    );
    // It is none that computes, so there is a problem in either case.
    let problems = |found: &serde_json::Value| {
        found["problems"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(problems(&found).len(), 1, "{found}");
    assert!(error.starts_with("error: --device cuda: ") && error.ends_with("or use --device cpu"), "{error}");

    let old_gpu = FakeDriver { capability: (7, 0), ..NEW };
    assert!(problems(&old_gpu.seen().0)[0].contains("compute capability 7.0, and libtorch's kernels need 7.5 or more"));
    let old = FakeDriver { version: 12040, ..NEW };
    assert!(problems(&old.seen().0)[0].contains("is for CUDA 12.4 and libtorch needs CUDA 13 (driver 580 or newer)"));
}

#[test]
fn a_driver_that_refuses_is_quoted_with_what_to_do() {
    for (driver, why, advice) in [
        (FakeDriver { init: 100, ..NEW }, "finds no GPU, with CUDA_VISIBLE_DEVICES=\"\"", "set CUDA_VISIBLE_DEVICES"),
        (FakeDriver { gpus: 0, ..NEW }, "finds no GPU", "nvidia-smi"),
        (FakeDriver { init: 803, ..NEW }, "different versions", "restart the machine"),
        (FakeDriver { init: 802, ..NEW }, "not ready", "nvidia-fabricmanager"),
        (FakeDriver { init: 999, ..NEW }, "does not start (CUDA error 999)", "nvidia-smi"),
    ] {
        let (found, error) = driver.seen();
        assert!(error.contains(why) && error.contains(advice) && error.contains("--device cpu"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(found["default_device"].as_str().unwrap().starts_with("CPU, as the NVIDIA driver"), "{found}");
    }
}

/// Where there is no GPU a run on one ends before anything is read or written.
#[test]
fn cuda_where_there_is_none_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    for device in ["cuda", "cuda:1"] {
        let error = fail(1, &["train", "--device", device, "--out", text(&out)]);
        assert!(error.starts_with("error: --device cuda: ") && error.contains("--device cpu"), "{error}");
        assert!(!out.exists());
    }
}
