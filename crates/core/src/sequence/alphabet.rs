//! Bases as codes: A, C, G, T (or U) are 0 to 3; N and the other IUPAC codes are 4, the zero column of a one-hot
//! matrix. Where case matters, as the mark of repeats, a separate bit is set for lower case.

use pulp::{Simd, WithSimd};

/// The order of the rows of a one-hot matrix.
pub const ALPHABET: &str = "ACGT";

/// The code of an unknown base.
pub const UNKNOWN: u8 = 4;

/// The bit that `encode_with_case` adds to the code of a lower-case letter: soft-masked, a repeat in most genomes.
pub const SOFT_MASKED: u8 = 8;

/// The bit by which a lower-case letter differs from its capital; two places further down it is `SOFT_MASKED`.
const LOWER_CASE: u8 = 0x20;

/// Number of bases processed at a time: one vector register with AVX-512, two with AVX2.
const LANES: usize = 64;

/// Entry of `CODES` for a byte that is not a base.
const INVALID: u8 = 255;

const CODES: [u8; 256] = {
    let mut codes = [INVALID; 256];
    let known = *b"ACGTU";
    let code = [0, 1, 2, 3, 3];
    let mut i = 0;
    while i < known.len() {
        codes[known[i] as usize] = code[i];
        codes[known[i].to_ascii_lowercase() as usize] = code[i] | SOFT_MASKED;
        i += 1;
    }
    let ambiguous = *b"NRYSWKMBDHV"; // IUPAC-IUB nomenclature, 1984
    let mut i = 0;
    while i < ambiguous.len() {
        codes[ambiguous[i] as usize] = UNKNOWN;
        codes[ambiguous[i].to_ascii_lowercase() as usize] = UNKNOWN | SOFT_MASKED;
        i += 1;
    }
    codes
};

/// A byte that is neither a base nor an IUPAC code, with its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidBase {
    /// The byte that was found.
    pub byte: u8,
    /// 0-based index in the bytes that were to be encoded.
    pub position: usize,
}

impl std::fmt::Display for InvalidBase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "found '{}' at base {}{}, expected A, C, G, T, U, N or another IUPAC letter",
            self.byte.escape_ascii(),
            self.position + 1,
            self.meaning()
        )
    }
}

impl InvalidBase {
    /// What the byte usually means where bases should be.
    fn meaning(self) -> &'static str {
        match self.byte.to_ascii_uppercase() {
            b'*' => " (a stop codon: is this a protein?)",
            b'E' | b'F' | b'I' | b'J' | b'L' | b'O' | b'P' | b'Q' | b'Z' => " (an amino acid: is this a protein?)",
            b'-' | b'.' => " (a gap of an alignment: remove the gaps)",
            b'X' => " (a masked base or an unknown amino acid: bases are masked with N)",
            b'\r' => " (a line end of old Macs: convert it with tr '\\r' '\\n')",
            0 => " (a byte of a binary file)",
            _ => "",
        }
    }
}

impl std::error::Error for InvalidBase {}

/// Appends the codes of `bases` to `codes`, ignoring case. On an error nothing is appended.
///
/// # Errors
/// A byte is neither a base nor an IUPAC code.
pub fn encode(bases: &[u8], codes: &mut Vec<u8>) -> Result<(), InvalidBase> {
    let start = codes.len();
    encode_with_case(bases, codes)?;
    without_case(&mut codes[start..]);
    Ok(())
}

/// Appends the codes of `bases`, with `SOFT_MASKED` set for lower case. On an error nothing is appended.
///
/// # Errors
/// A byte is neither a base nor an IUPAC code.
pub fn encode_with_case(bases: &[u8], codes: &mut Vec<u8>) -> Result<(), InvalidBase> {
    let start = codes.len();
    codes.extend_from_slice(bases);
    encode_in_place(&mut codes[start..]).inspect_err(|_| codes.truncate(start))
}

/// Replaces bases by their codes, with `SOFT_MASKED` set for lower case. On an error the bases before it may be codes
/// already.
///
/// # Errors
/// A byte is neither a base nor an IUPAC code.
pub fn encode_in_place(bases: &mut [u8]) -> Result<(), InvalidBase> {
    pulp::Arch::new().dispatch(Encode(bases))
}

struct Encode<'a>(&'a mut [u8]);

impl WithSimd for Encode<'_> {
    type Output = Result<(), InvalidBase>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let length = self.0.len();
        let rest = encode_chunks::<LANES>(self.0, 0)?;
        let done = length - rest.len();
        let rest = encode_chunks::<8>(rest, done)?;
        let done = length - rest.len();
        encode_by_table(rest, done)
    }
}

/// Encodes a fixed number of bases at a time, from `position` of the whole on, and returns the rest.
#[inline(always)]
fn encode_chunks<const N: usize>(bases: &mut [u8], position: usize) -> Result<&mut [u8], InvalidBase> {
    let (chunks, rest) = bases.as_chunks_mut::<N>();
    for (i, chunk) in chunks.iter_mut().enumerate() {
        match common_codes(chunk) {
            Some(codes) => *chunk = codes,
            None => encode_by_table(chunk, position + i * N)?,
        }
    }
    Ok(rest)
}

/// Codes of bases that are all A, C, G, T or N, computed without the table so that the loop vectorises.
#[inline(always)]
fn common_codes<const N: usize>(bases: &[u8; N]) -> Option<[u8; N]> {
    let (mut codes, mut others) = ([0; N], 0);
    for (code, &base) in codes.iter_mut().zip(bases) {
        let letter = base & !LOWER_CASE;
        let known = letter == b'A' || letter == b'C' || letter == b'G' || letter == b'T';
        others |= u8::from(!(known || letter == b'N'));
        // Bits 1 and 2 of the letters are 00 for A, 01 for C, 11 for G and 10 for T.
        let number = (base >> 1 & 3) ^ (base >> 2 & 1);
        *code = (if letter == b'N' { UNKNOWN } else { number }) | (base & LOWER_CASE) >> 2;
    }
    (others == 0).then_some(codes)
}

/// Encodes bases one by one, from `position` of the whole on.
fn encode_by_table(bases: &mut [u8], position: usize) -> Result<(), InvalidBase> {
    for (i, base) in bases.iter_mut().enumerate() {
        match CODES[usize::from(*base)] {
            INVALID => return Err(InvalidBase { byte: *base, position: position + i }),
            code => *base = code,
        }
    }
    Ok(())
}

/// Clears the case of codes, in place.
pub fn without_case(codes: &mut [u8]) {
    codes.iter_mut().for_each(|code| *code &= !SOFT_MASKED);
}

/// Whether a code, with or without case, is C or G.
pub fn is_gc(code: u8) -> bool {
    matches!(code & !SOFT_MASKED, 1 | 2)
}

/// Whether a code, with or without case, is an unknown base.
#[inline(always)]
pub fn is_unknown(code: u8) -> bool {
    code & UNKNOWN != 0
}

/// GC content among the known bases; one half if none is known.
pub fn gc_share(codes: &[u8]) -> f64 {
    let known = codes.iter().filter(|&&code| !is_unknown(code)).count();
    if known == 0 { 0.5 } else { codes.iter().filter(|&&code| is_gc(code)).count() as f64 / known as f64 }
}

/// The bases of `codes`, lower case if soft-masked.
pub fn decode(codes: &[u8]) -> String {
    codes.iter().map(|&code| char::from(b"ACGTN...acgtn..."[usize::from(code & 15)])).collect()
}

/// The share of soft-masked bases in codes with case.
pub fn masked_share(codes: &[u8]) -> f32 {
    codes.iter().filter(|&&code| code & SOFT_MASKED != 0).count() as f32 / codes.len().max(1) as f32
}

/// The complement of a code: A and T, C and G are exchanged, an unknown base stays unknown, and case is kept.
#[inline(always)] // into the loops that are compiled for vector registers
pub fn complement(code: u8) -> u8 {
    if is_unknown(code) { code } else { code ^ 3 }
}

/// Reverse-complements a sequence in place.
pub fn reverse_complement(codes: &mut [u8]) {
    pulp::Arch::new().dispatch(Turn(codes));
}

struct Turn<'a>(&'a mut [u8]);

impl WithSimd for Turn<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (front, back) = self.0.split_at_mut(self.0.len() / 2);
        let (middle, back) = back.split_at_mut(back.len() - front.len());
        middle.iter_mut().for_each(|code| *code = complement(*code));
        let (front, back) = swap_reversed::<LANES>(front, back);
        let (front, back) = swap_reversed::<8>(front, back);
        swap_reversed::<1>(front, back);
    }
}

/// Reverse-complements a fixed number of codes at a time, exchanging the outer ends of two halves of equal length, and
/// returns the rest.
#[inline(always)]
fn swap_reversed<'a, const N: usize>(front: &'a mut [u8], back: &'a mut [u8]) -> (&'a mut [u8], &'a mut [u8]) {
    let ((ahead, front), (back, behind)) = (front.as_chunks_mut::<N>(), back.as_rchunks_mut::<N>());
    for (a, b) in ahead.iter_mut().zip(behind.iter_mut().rev()) {
        (*a, *b) = (reverse_complemented(b), reverse_complemented(a));
    }
    (front, back)
}

/// The reverse complement of a fixed number of codes.
#[inline(always)]
fn reverse_complemented<const N: usize>(codes: &[u8; N]) -> [u8; N] {
    let mut other = [0; N];
    for (other, &code) in other.iter_mut().zip(codes.iter().rev()) {
        *other = complement(code);
    }
    other
}

/// The middle of a longer sequence, or a shorter one between unknown bases. Where the middle falls between two bases, the
/// smaller strand decides, so that a sequence and its reverse complement stay each other's.
pub fn fit(codes: &[u8], length: usize, out: &mut Vec<u8>) -> usize {
    out.clear();
    let difference = codes.len().abs_diff(length);
    let mut before = difference / 2;
    if difference % 2 == 1 {
        let other = codes.iter().rev().map(|&code| complement(code));
        before += usize::from(other.lt(codes.iter().copied()));
    }
    if codes.len() >= length {
        out.extend_from_slice(&codes[before..before + length]);
    } else {
        out.resize(before, UNKNOWN);
        out.extend_from_slice(codes);
        out.resize(length, UNKNOWN);
    }
    before
}

/// Appends the reverse complement of a sequence to `codes`.
pub fn append_reverse_complement(sequence: &[u8], codes: &mut Vec<u8>) {
    let start = codes.len();
    codes.resize(start + sequence.len(), 0);
    pulp::Arch::new().dispatch(CopyReversed { sequence, to: &mut codes[start..] });
}

struct CopyReversed<'a> {
    sequence: &'a [u8],
    to: &'a mut [u8],
}

impl WithSimd for CopyReversed<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (sequence, to) = copy_reversed::<LANES>(self.sequence, self.to);
        let (sequence, to) = copy_reversed::<8>(sequence, to);
        copy_reversed::<1>(sequence, to);
    }
}

/// Reverse-complements a fixed number of codes at a time, from the end of a sequence, and returns the rest.
#[inline(always)]
fn copy_reversed<'a, const N: usize>(sequence: &'a [u8], to: &'a mut [u8]) -> (&'a [u8], &'a mut [u8]) {
    let ((sequence, last), (first, to)) = (sequence.as_rchunks::<N>(), to.as_chunks_mut::<N>());
    for (to, codes) in first.iter_mut().zip(last.iter().rev()) {
        *to = reverse_complemented(codes);
    }
    (sequence, to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(bases: &str) -> Vec<u8> {
        let mut codes = Vec::new();
        encode(bases.as_bytes(), &mut codes).unwrap();
        codes
    }

    #[test]
    fn case_and_uracil_do_not_matter_and_ambiguous_letters_are_unknown() {
        assert_eq!(encoded("ACGTacgtUu"), [0, 1, 2, 3, 0, 1, 2, 3, 3, 3]);
        assert_eq!(encoded("NRYSWKMBDHVnryswkmbdhv"), [UNKNOWN; 22]);
    }

    #[test]
    fn every_other_byte_is_an_error_with_its_position() {
        for byte in 0..=255u8 {
            let mut codes = vec![9];
            match encode(&[b'A', byte], &mut codes) {
                Ok(()) => assert!(b"ACGTUNRYSWKMBDHV".contains(&byte.to_ascii_uppercase())),
                Err(error) => {
                    assert_eq!(error, InvalidBase { byte, position: 1 });
                    assert_eq!(codes, [9], "an error appends nothing");
                }
            }
        }
    }

    #[test]
    fn case_is_kept_on_request_and_on_either_strand() {
        let mut codes = Vec::new();
        encode_with_case(b"ACgtnN", &mut codes).unwrap();
        assert_eq!(codes, [0, 1, 10, 11, 12, 4]);
        assert_eq!(codes.iter().map(|&code| complement(code)).collect::<Vec<_>>(), [3, 2, 9, 8, 12, 4]);
        assert_eq!(gc_share(&codes), 0.5);
        assert_eq!((masked_share(&codes), decode(&codes).as_str()), (0.5, "ACgtnN"));
        without_case(&mut codes);
        assert_eq!(codes, [0, 1, 2, 3, 4, 4]);
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(bases in "[ACGTN]{0,200}") {
            prop_assert_eq!(decode(&encoded(&bases)), bases);
        }

        #[test]
        fn the_reverse_complement_of_the_reverse_complement_is_the_sequence(bases in "[ACGTN]{0,200}") {
            let mut codes = encoded(&bases);
            reverse_complement(&mut codes);
            for (code, base) in codes.iter().rev().zip(bases.bytes()) {
                let expected = match base { b'A' => b'T', b'C' => b'G', b'G' => b'C', b'T' => b'A', other => other };
                prop_assert_eq!(b"ACGTN"[*code as usize], expected);
            }
            let mut again = vec![7];
            append_reverse_complement(&codes, &mut again);
            reverse_complement(&mut codes);
            prop_assert_eq!(&again[1..], &codes);
            prop_assert_eq!(decode(&codes), bases);
        }

        #[test]
        fn a_base_has_the_same_code_wherever_it_stands(bases in "[ACGTNacgtnURYsk]{0,300}", at: usize, byte: u8) {
            let mut codes = Vec::new();
            encode_with_case(bases.as_bytes(), &mut codes).unwrap();
            let alone = bases.bytes().flat_map(|base| {
                let mut code = Vec::new();
                encode_with_case(&[base], &mut code).unwrap();
                code
            });
            prop_assert_eq!(&codes, &alone.collect::<Vec<_>>());
            let (mut bases, position) = (bases.into_bytes(), at % (codes.len() + 1));
            bases.insert(position, byte);
            if let Err(fault) = encode_in_place(&mut bases) {
                prop_assert_eq!(fault, InvalidBase { byte, position });
            }
        }
    }
}
