//! Lets the fuzzers find libtorch with no variable set, as the program's own `build.rs` does for the program: what a
//! package says to the linker does not reach the packages that use it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys says where libtorch is");
    println!("cargo:rerun-if-changed={lib}");
    println!(
        "cargo:rustc-link-arg=-Wl,-rpath,{}",
        std::fs::canonicalize(&lib).unwrap_or_else(|_| lib.into()).display()
    );
}
