//! Windows of sequences as codes u8 `[n, length]` or one-hot f32 `[n, 4, length]`, each number written once.

use std::mem::MaybeUninit;
use std::ops::Range;

use anyhow::Result;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use strandnet_core::sequence::alphabet::{SOFT_MASKED, complement};

/// Bytes of output that a thread takes at a time; less is not worth waking another.
const PART: usize = 1 << 18;

/// Windows ahead of the one being written whose bases are fetched from memory.
const AHEAD: usize = 8;

/// Bytes of a cache line.
const LINE: usize = 64;

/// What windows are written as.
pub enum Output<'a> {
    /// `[n, length]`
    Codes(&'a mut [MaybeUninit<u8>]),
    /// `[n, 4, length]`
    OneHot(&'a mut [MaybeUninit<f32>]),
}

impl Output<'_> {
    /// Whether it is so little that one thread writes it.
    pub fn is_small(&self) -> bool {
        match self {
            Self::Codes(out) => out.len() <= PART,
            Self::OneHot(out) => out.len() * size_of::<f32>() <= PART,
        }
    }
}

/// Where windows come from.
pub trait Source: Sync {
    /// The codes, with case, that a window has in memory, and whether the other strand is wanted.
    fn in_memory(&self, window: usize) -> Option<(&[u8], bool)>;

    /// Appends the codes, with case, of a window that has none in memory, on the strand that is wanted.
    ///
    /// # Errors
    /// The file cannot be read.
    fn read(&self, window: usize, codes: &mut Vec<u8>) -> Result<()>;
}

/// Writes the windows of a source, all of `length` bp, by as many threads as are worth it.
///
/// # Errors
/// As [`Source::read`].
pub fn write(source: &impl Source, length: usize, out: Output) -> Result<()> {
    match out {
        Output::Codes(out) => write_as(source, length, length, out, Codes),
        Output::OneHot(out) => write_as(source, length, 4 * length, out, OneHot),
    }
}

/// How codes with case are written.
trait Form: Copy + Sync {
    type Number: Send;

    fn write(self, codes: &[u8], out: &mut [MaybeUninit<Self::Number>]);

    /// Writes the reverse complement; `reversed` is `[length]`, for codes on the way.
    fn write_reverse(self, codes: &[u8], reversed: &mut [u8], out: &mut [MaybeUninit<Self::Number>]);
}

/// Where a code can be put.
trait Place {
    fn put(&mut self, code: u8);
}

impl Place for u8 {
    #[inline(always)]
    fn put(&mut self, code: u8) {
        *self = code;
    }
}

impl Place for MaybeUninit<u8> {
    #[inline(always)]
    fn put(&mut self, code: u8) {
        self.write(code);
    }
}

/// Codes reversed at a time: what the compiler turns in vector registers.
const LANES: usize = 64;

/// Puts the reverse complement of codes with case, without case.
#[inline(always)]
fn reverse<P: Place>(codes: &[u8], out: &mut [P]) {
    let (rest, last) = codes.as_rchunks::<LANES>();
    let (first, out) = out.as_chunks_mut::<LANES>();
    for (codes, out) in last.iter().rev().zip(first) {
        (0..LANES).for_each(|i| out[i].put(complement(codes[LANES - 1 - i] & !SOFT_MASKED)));
    }
    rest.iter().rev().zip(out).for_each(|(code, out)| out.put(complement(code & !SOFT_MASKED)));
}

#[derive(Clone, Copy)]
struct Codes;

#[derive(Clone, Copy)]
struct OneHot;

impl Form for Codes {
    type Number = u8;

    #[inline(always)]
    fn write(self, codes: &[u8], out: &mut [MaybeUninit<u8>]) {
        out.iter_mut().zip(codes).for_each(|(out, code)| {
            out.write(code & !SOFT_MASKED);
        });
    }

    #[inline(always)]
    fn write_reverse(self, codes: &[u8], _: &mut [u8], out: &mut [MaybeUninit<u8>]) {
        reverse(codes, out);
    }
}

impl Form for OneHot {
    type Number = f32;

    #[inline(always)]
    fn write(self, codes: &[u8], out: &mut [MaybeUninit<f32>]) {
        for (row, base) in out.chunks_exact_mut(codes.len()).zip(0u8..) {
            row.iter_mut().zip(codes).for_each(|(out, code)| {
                out.write(f32::from(u8::from(code & !SOFT_MASKED == base)));
            });
        }
    }

    #[inline(always)]
    fn write_reverse(self, codes: &[u8], reversed: &mut [u8], out: &mut [MaybeUninit<f32>]) {
        reverse(codes, reversed);
        self.write(reversed, out);
    }
}

fn write_as<F: Form>(
    source: &impl Source,
    length: usize,
    width: usize,
    out: &mut [MaybeUninit<F::Number>],
    form: F,
) -> Result<()> {
    if width == 0 || out.is_empty() {
        return Ok(());
    }
    let each = (PART / (width * size_of::<F::Number>())).max(1);
    if out.len() <= each * width {
        let windows = 0..out.len() / width;
        return pulp::Arch::new().dispatch(Part { source, length, windows, out, form });
    }
    out.par_chunks_mut(each * width).enumerate().try_for_each(|(part, out)| {
        let windows = part * each..part * each + out.len() / width;
        pulp::Arch::new().dispatch(Part { source, length, windows, out, form })
    })
}

/// Windows that one thread writes.
struct Part<'a, S, F: Form> {
    source: &'a S,
    length: usize,
    windows: Range<usize>,
    out: &'a mut [MaybeUninit<F::Number>],
    form: F,
}

impl<S: Source, F: Form> WithSimd for Part<'_, S, F> {
    type Output = Result<()>;

    #[inline(always)]
    fn with_simd<V: Simd>(self, _: V) -> Result<()> {
        let Self { source, length, windows, out, form } = self;
        let width = out.len() / windows.len();
        let (mut reversed, mut read) = (vec![0; length], Vec::new());
        let end = windows.end;
        for (window, out) in windows.zip(out.chunks_exact_mut(width)) {
            if window + AHEAD < end
                && let Some((codes, _)) = source.in_memory(window + AHEAD)
            {
                fetch(codes);
            }
            match source.in_memory(window) {
                Some((codes, false)) => form.write(codes, out),
                Some((codes, true)) => form.write_reverse(codes, &mut reversed, out),
                None => {
                    read.clear();
                    source.read(window, &mut read)?;
                    form.write(&read, out);
                }
            }
        }
        Ok(())
    }
}

/// Has codes brought into the cache.
#[inline(always)]
#[allow(unsafe_code)] // Windows lie anywhere in a genome, and waiting for memory is most of what they cost.
fn fetch(codes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in codes.chunks(LINE) {
        // SAFETY: a hint, which reads nothing.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (codes, LINE);
}
