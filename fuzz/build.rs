//! Lets the targets with libtorch find it with no variable set, as the program's own `build.rs` does for the program: what
//! a package says to the linker does not reach the packages that use it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Only the feature `libtorch` brings torch-sys, which says where it is.
    let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") else { return };
    println!("cargo:rerun-if-changed={lib}");
    println!(
        "cargo:rustc-link-arg=-Wl,-rpath,{}",
        std::fs::canonicalize(&lib).unwrap_or_else(|_| lib.into()).display()
    );
}
