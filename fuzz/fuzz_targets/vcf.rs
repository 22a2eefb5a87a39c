//! Variants of a VCF file, plain or compressed. Lines are kept as they stand, so a file of the header and of them must be
//! read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strandnet_core::formats::vcf::{Allele, Variant, Vcf};
use strandnet_fuzz::{explained, put};

fn all(vcf: &mut Vcf) -> anyhow::Result<Vec<Variant>> {
    std::iter::from_fn(|| vcf.next_variant().transpose()).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let Some(mut vcf) = explained(Vcf::open(&put("calls.vcf", Some(bytes)))) else { return };
    let Some(variants) = explained(all(&mut vcf)) else { return };
    for (variant, number) in variants.iter().zip(vcf.header.len() + 1..) {
        assert_eq!(variant.number, number);
        assert_eq!(variant.reference.len(), variant.reference_bases.len());
        for (text, allele) in &variant.alternatives {
            assert!(variant.line.contains(text.as_str()));
            if let Allele::Bases(codes) = allele {
                assert_eq!(codes.len(), text.len());
            }
        }
    }
    let lines = vcf.header.iter().chain(variants.iter().map(|variant| &variant.line));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    let mut again = Vcf::open(&put("again.vcf", Some(text.as_bytes()))).unwrap();
    assert_eq!(again.header, vcf.header);
    assert_eq!(all(&mut again).unwrap(), variants);
});
