//! Bases as codes: A, C, G, T (or U) are 0 to 3; N and the other IUPAC codes are 4, the zero column of a one-hot matrix.
//! Where case is kept, as it tells repeats from other sequence, a bit of its own is added for lower case.

/// The order of the rows of a one-hot matrix.
pub const ALPHABET: &str = "ACGT";

/// The code of an unknown base.
pub const UNKNOWN: u8 = 4;

/// The bit that `encode_with_case` adds to the code of a lower-case letter: soft-masked, a repeat in most genomes.
pub const SOFT_MASKED: u8 = 8;

/// What `CODES` holds for a byte that is no base at all.
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

/// A byte that is neither a base nor an IUPAC code, and where it stands (0-based).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidBase {
    pub byte: u8,
    pub position: usize,
}

impl std::fmt::Display for InvalidBase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "found '{}' at base {}, expected A, C, G, T, U, N or another IUPAC letter",
            self.byte.escape_ascii(),
            self.position + 1
        )
    }
}

impl std::error::Error for InvalidBase {}

/// Appends the codes of `bases` to `codes`, upper and lower case alike. On an error nothing is appended.
pub fn encode(bases: &[u8], codes: &mut Vec<u8>) -> Result<(), InvalidBase> {
    let start = codes.len();
    encode_with_case(bases, codes)?;
    without_case(&mut codes[start..]);
    Ok(())
}

/// Appends the codes of `bases` with `SOFT_MASKED` added for lower case. On an error nothing is appended.
pub fn encode_with_case(bases: &[u8], codes: &mut Vec<u8>) -> Result<(), InvalidBase> {
    let start = codes.len();
    codes.extend(bases.iter().map(|&base| CODES[base as usize]));
    // One pass that the compiler vectorises, and a second only where there is something to report.
    if codes[start..].iter().fold(0, |all, &code| all | code) == INVALID {
        codes.truncate(start);
        let position = bases.iter().position(|&base| CODES[base as usize] == INVALID).unwrap_or(0);
        return Err(InvalidBase { byte: bases[position], position });
    }
    Ok(())
}

/// Takes the case off codes, in place.
pub fn without_case(codes: &mut [u8]) {
    codes.iter_mut().for_each(|code| *code &= !SOFT_MASKED);
}

/// Whether a code, with or without case, is C or G.
pub fn is_gc(code: u8) -> bool {
    matches!(code & !SOFT_MASKED, 1 | 2)
}

/// Whether a code, with or without case, is an unknown base.
pub fn is_unknown(code: u8) -> bool {
    code & UNKNOWN != 0
}

/// The share of G and C among the known bases; one half where none is known.
pub fn gc_share(codes: &[u8]) -> f64 {
    let known = codes.iter().filter(|&&code| !is_unknown(code)).count();
    if known == 0 { 0.5 } else { codes.iter().filter(|&&code| is_gc(code)).count() as f64 / known as f64 }
}

/// The bases of `codes`; those with case in theirs, others in upper case.
pub fn decode(codes: &[u8]) -> String {
    codes.iter().map(|&code| char::from(b"ACGTN...acgtn..."[usize::from(code & 15)])).collect()
}

/// The share of soft-masked bases in codes with case.
pub fn masked_share(codes: &[u8]) -> f32 {
    codes.iter().filter(|&&code| code & SOFT_MASKED != 0).count() as f32 / codes.len().max(1) as f32
}

/// The other strand of a base: A and T, C and G change places, an unknown base stays unknown, and case stays.
pub fn complement(code: u8) -> u8 {
    if is_unknown(code) { code } else { code ^ 3 }
}

/// Turns a sequence into its reverse complement, in place.
pub fn reverse_complement(codes: &mut [u8]) {
    codes.reverse();
    for code in codes {
        *code = complement(*code);
    }
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
            reverse_complement(&mut codes);
            prop_assert_eq!(decode(&codes), bases);
        }
    }
}
