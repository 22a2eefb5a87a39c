//! The scorer for WebAssembly: functions of a plain C interface around [`Session`], so that neither wasm-bindgen nor any other tool
//! is needed. `scripts/build-wasm` compiles it to `crates/core/src/html/scorer.wasm`.
//!
//! The caller asks [`reserve`] for room, writes there, and calls a function; what it gives is at [`output`], [`output_bytes`] long. A
//! function returns 0, or 1 with a message in UTF-8 instead. Numbers are f64, least byte first. There is one network and one
//! sequence at a time.

// `no_mangle` is called unsafe, as two functions of one name could be linked; these names are found nowhere else. Nothing
// here dereferences a pointer.
#![allow(unsafe_code)]

mod session;

use std::cell::RefCell;

use anyhow::Result;
pub use session::Session;

/// What the caller writes and reads, and the session.
#[derive(Default)]
struct Exchange {
    input: Vec<u8>,
    output: Vec<u8>,
    session: Option<Session>,
}

thread_local! {
    static EXCHANGE: RefCell<Exchange> = RefCell::default();
}

/// The status of what a function of the session gave, which becomes the output.
fn status(given: impl FnOnce(&mut Exchange) -> Result<Vec<u8>>) -> u32 {
    EXCHANGE.with_borrow_mut(|exchange| {
        let (status, output) = match given(exchange) {
            Ok(output) => (0, output),
            Err(error) => (1, format!("{error:#}").into_bytes()),
        };
        exchange.output = output;
        status
    })
}

/// The same of numbers from the session that was loaded.
fn numbers(of: impl FnOnce(&Session) -> Result<Vec<f64>>) -> u32 {
    status(|exchange| {
        let session = exchange.session.as_ref().ok_or_else(|| anyhow::anyhow!("no network is loaded"))?;
        Ok(of(session)?.into_iter().flat_map(f64::to_le_bytes).collect())
    })
}

/// Makes room for so many bytes of input and returns its address.
#[unsafe(no_mangle)]
pub extern "C" fn reserve(bytes: usize) -> *mut u8 {
    EXCHANGE.with_borrow_mut(|exchange| {
        exchange.input.clear();
        exchange.input.resize(bytes, 0);
        exchange.input.as_mut_ptr()
    })
}

/// The address of what the last function gave.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const u8 {
    EXCHANGE.with_borrow(|exchange| exchange.output.as_ptr())
}

/// How many bytes it gave.
#[unsafe(no_mangle)]
pub extern "C" fn output_bytes() -> usize {
    EXCHANGE.with_borrow(|exchange| exchange.output.len())
}

/// Loads a network: the input holds its description in JSON, of so many bytes, and behind it the bytes of its weights. Gives what
/// can be explained, as a list in JSON.
#[unsafe(no_mangle)]
pub extern "C" fn load(description_bytes: usize) -> u32 {
    status(|exchange| {
        let input = std::mem::take(&mut exchange.input);
        let (description, weights) = input.split_at(description_bytes.min(input.len()));
        let session = Session::new(description, weights)?;
        let targets = serde_json::to_vec(&session.targets())?;
        exchange.session = Some(session);
        Ok(targets)
    })
}

/// Takes the letters in the input as the sequence. Gives the number of its windows that start every `stride` bases; a
/// shorter sequence has one, between unknown bases.
#[unsafe(no_mangle)]
pub extern "C" fn sequence(stride: usize) -> u32 {
    status(|exchange| {
        let session = exchange.session.as_mut().ok_or_else(|| anyhow::anyhow!("no network is loaded"))?;
        let windows = session.set_sequence(&exchange.input, stride)?;
        Ok((windows as f64).to_le_bytes().into())
    })
}

/// Predictions of `count` windows from the `first` on, `[count, outputs]`; NaN where a window has too many unknown bases. Those of
/// the reverse complement of each window where `reverse` is not 0.
#[unsafe(no_mangle)]
pub extern "C" fn score(first: usize, count: usize, reverse: u32) -> u32 {
    numbers(|session| session.score(first, count, reverse != 0))
}

/// All numbers that are predicted for a window: `[outputs, bins]` of bins, expected counts `[tracks, length]` of a profile.
#[unsafe(no_mangle)]
pub extern "C" fn details(window: usize) -> u32 {
    numbers(|session| session.details(window))
}

/// What is explained for a window, and behind it gradient x input of each base, `[1 + bases]`; padding has none.
#[unsafe(no_mangle)]
pub extern "C" fn gradients(window: usize, target: usize) -> u32 {
    numbers(|session| session.gradients(window, target))
}

/// How substitutions from the base `from` to before `to` change what is explained, `[to - from, 4]`.
#[unsafe(no_mangle)]
pub extern "C" fn mutagenesis(window: usize, target: usize, from: usize, to: usize) -> u32 {
    numbers(|session| session.mutagenesis(window, target, from..to))
}
