//! Links libtorch so that the program runs with no variable set, and records what it was built from.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-env-changed=LIBTORCH_USE_PYTORCH");
    println!("cargo:rerun-if-env-changed=CUDA_HOME");

    let lib = libtorch_lib();
    // First where scripts/bundle puts libtorch, beside the program; in a build folder there is no such folder.
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/lib");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    let cuda = lib.join("libtorch_cuda.so").exists();
    for file in [CPU_SHIM, CUDA_SHIM, NCCL_SHIM, "src/libtorch/message.h", DISTRIBUTED] {
        println!("cargo:rerun-if-changed={file}");
    }
    shim(&lib, CPU_SHIM).compile("strandnet_libtorch");
    shim(&lib, DISTRIBUTED_SHIM).include(DISTRIBUTED).compile("strandnet_distributed");
    for library in ["torch_cpu", "c10"] {
        println!("cargo:rustc-link-lib=dylib={library}");
    }
    println!("cargo:rustc-link-search=native={}", lib.display());
    println!("cargo:rustc-env=STRANDNET_CUDA_SHIM={}", cuda_shim(&lib, cuda).display());
    let (version, cuda_version) = libtorch_version(&lib);
    println!("cargo:rustc-env=STRANDNET_LIBTORCH_DIR={}", lib.display());
    println!("cargo:rustc-env=STRANDNET_LIBTORCH_VERSION={version}");
    println!("cargo:rustc-env=STRANDNET_LIBTORCH_CUDA={}", if cuda { cuda_version.as_str() } else { "" });
    println!("cargo:rustc-env=STRANDNET_GIT_REVISION={}", git_revision());
}

/// Where torch-sys found libtorch. The symbolic link `.libtorch` is resolved, so that the program still runs when the
/// checkout moves or the link is set to another libtorch.
fn libtorch_lib() -> PathBuf {
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys says where libtorch is");
    println!("cargo:rerun-if-changed={lib}");
    std::fs::canonicalize(&lib).unwrap_or_else(|_| PathBuf::from(lib))
}

/// Calls what tch does not bind of libtorch; linked into the program.
const CPU_SHIM: &str = "src/libtorch/cpu.cpp";
/// The same of its CUDA half; a shared object that the program carries and opens where there is a GPU.
const CUDA_SHIM: &str = "src/cuda/shim.cpp";
/// And of NCCL, which sums tensors over several GPUs; in the same shared object.
const NCCL_SHIM: &str = "src/cuda/nccl.cpp";

/// The same of what processes that train together do; linked into the program. libtorch comes without the headers of gloo that its own
/// need, so stand-ins lie beside it.
const DISTRIBUTED_SHIM: &str = "src/distributed/shim.cpp";
const DISTRIBUTED: &str = "src/distributed";

/// Builds one of them, with the headers that torch-sys is built with.
fn shim(lib: &Path, file: &str) -> cc::Build {
    let torch = lib.parent().unwrap_or(lib).join("include");
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").warnings(false).file(file);
    build.include(&torch).include(torch.join("torch/csrc/api/include"));
    build
}

/// The shared object for CUDA; empty without CUDA or its headers, and where it cannot be built, as with the headers of another
/// CUDA: the program does without.
fn cuda_shim(lib: &Path, cuda: bool) -> PathBuf {
    let object = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it")).join("libstrandnet_cuda.so");
    let headers = if cuda { folder_with(lib, "cuda_runtime_api.h") } else { None };
    let built = headers.is_some_and(|headers| {
        if let Some(nccl) = folder_with(lib, "nccl.h") {
            match build_cuda_shim(lib, &headers, Some(&nccl), &object) {
                Ok(()) => return true,
                Err(error) => println!("cargo:warning=built without NCCL, so that several GPUs are slower: {error}"),
            }
        }
        let built = build_cuda_shim(lib, &headers, None, &object);
        if let Err(error) = &built {
            println!("cargo:warning=built without CUDA graphs and with slower transfers to a GPU: {error}");
        }
        built.is_ok()
    });
    if !built {
        std::fs::write(&object, []).expect("cargo's folder can be written");
    }
    object
}

fn build_cuda_shim(lib: &Path, headers: &Path, nccl: Option<&Path>, object: &Path) -> Result<(), String> {
    let mut build = shim(lib, CUDA_SHIM);
    // A toolkit has libcu++ in a folder of its own, which only nvcc searches.
    build.include(headers).include(headers.join("cccl")).pic(true);
    if let Some(nccl) = nccl {
        build.include(nccl).define("STRANDNET_NCCL", None);
    }
    let mut compiler = build.get_compiler().to_command();
    compiler.arg("-shared").arg("-s").arg("-o").arg(object).args([CUDA_SHIM, NCCL_SHIM]).arg("-L").arg(lib);
    compiler.args(["-ltorch_cuda", "-lc10_cuda", "-ltorch_cpu", "-lc10"]);
    match compiler.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            Err(text.lines().find(|line| line.contains("error")).unwrap_or("the compiler failed").to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Where a header of NVIDIA is: beside PyTorch's wheel, or where NVIDIA's own installer puts it.
fn folder_with(lib: &Path, header: &str) -> Option<PathBuf> {
    let wheels = lib.parent()?.parent()?.join("nvidia");
    let of_wheels = std::fs::read_dir(wheels).into_iter().flatten().flatten().map(|folder| folder.path());
    let homes = std::env::var_os("CUDA_HOME").map(PathBuf::from).into_iter().chain([PathBuf::from("/usr/local/cuda")]);
    of_wheels.chain(homes).map(|home| home.join("include")).find(|folder| folder.join(header).is_file())
}

/// Version and CUDA version, from the wheel's `torch/version.py` or the zip's `build-version`.
fn libtorch_version(lib: &Path) -> (String, String) {
    let root = lib.parent().unwrap_or(lib);
    let text = std::fs::read_to_string(root.join("version.py")).unwrap_or_default();
    let field = |name: &str| {
        text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split('\'').nth(1)).map(str::to_owned)
    };
    let version = field("__version__")
        .or_else(|| std::fs::read_to_string(root.join("build-version")).ok().map(|text| text.trim().to_owned()))
        .unwrap_or_else(|| "unknown".into());
    (version, field("cuda").unwrap_or_else(|| "unknown".into()))
}

/// The commit this was built from, with `-dirty` behind it where files differed; empty outside a checkout.
fn git_revision() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    for name in ["HEAD", "index"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    // A commit moves the branch's file, not HEAD's.
    if let Some(branch) = git(&["symbolic-ref", "--quiet", "HEAD"])
        && let Some(path) = git(&["rev-parse", "--git-path", &branch])
        && Path::new(&path).exists()
    {
        println!("cargo:rerun-if-changed={path}");
    }
    git(&["describe", "--always", "--dirty", "--exclude=*"]).unwrap_or_default()
}
