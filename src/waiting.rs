//! How idle threads of libgomp wait, set before libgomp is loaded.
//!
//! By default they spin for seconds, which slows libtorch tenfold where anything else wants the cores. libgomp reads how to
//! wait from the environment as it is loaded, before `main`, and nothing can change it later. So the program starts once more
//! with the variable set. It does so before any library has initialized itself, which takes some milliseconds; from
//! `main` it would take as long as loading libtorch, a tenth of a second or more. Who sets `GOMP_SPINCOUNT` or `OMP_WAIT_POLICY` has
//! what they set, and the program does not start again.

#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(unsafe_code)] // Arguments and environment are C's before `main`.

use std::ffi::{CStr, c_char, c_int};

/// Turns of waiting before an idle thread sleeps. They cost nothing measurable on a quiet machine.
const POLICY: &CStr = c"GOMP_SPINCOUNT=1000";

/// Variables with which the user has said how to wait. The first is also how the program knows that it has started again.
const SAID: [&CStr; 2] = [c"GOMP_SPINCOUNT=", c"OMP_WAIT_POLICY="];

/// Arguments with which nothing is computed.
const NOTHING_TO_COMPUTE: [&CStr; 5] = [c"--help", c"-h", c"help", c"--version", c"-V"];

/// More variables than this are left alone.
const MOST_VARIABLES: usize = 8192;

/// The loader calls what stands here before it initializes libraries.
#[used]
#[unsafe(link_section = ".preinit_array")]
static START: unsafe extern "C" fn(c_int, *const *const c_char, *const *const c_char) = start_with_policy;

/// Starts the program again with the policy in its environment. Where that fails, it goes on without.
///
/// # Safety
/// `arguments` and `environment` are lists of C strings that end with null. Nothing here may need the C library to be
/// initialized: no allocation, and no call but those of the system.
unsafe extern "C" fn start_with_policy(_: c_int, arguments: *const *const c_char, environment: *const *const c_char) {
    let mut extended = [std::ptr::null(); MOST_VARIABLES + 2];
    let mut count = 0;
    // Safety: the loader passes the lists that the kernel made.
    unsafe {
        let mut argument = arguments;
        while !(*argument).is_null() {
            if NOTHING_TO_COMPUTE.into_iter().any(|word| libc::strcmp(*argument, word.as_ptr()) == 0) {
                return;
            }
            argument = argument.add(1);
        }
        while !(*environment.add(count)).is_null() {
            let variable = *environment.add(count);
            let begins = |name: &CStr| libc::strncmp(variable, name.as_ptr(), name.count_bytes()) == 0;
            if count == MOST_VARIABLES || SAID.into_iter().any(begins) {
                return;
            }
            extended[count] = variable;
            count += 1;
        }
        extended[count] = POLICY.as_ptr();
        // The path that the program was started by, so that it has the same name again. Without an interpreter of its own
        // it was started as an argument of the loader, whose path that is.
        let path = libc::getauxval(libc::AT_EXECFN) as *const c_char;
        if !path.is_null() && libc::getauxval(libc::AT_BASE) != 0 {
            libc::execve(path, arguments, extended.as_ptr());
        }
    }
}
