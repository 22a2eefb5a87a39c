//! Variants of a VCF file, plain or compressed. Lines are kept as they stand, so a file of the header and of them must be
//! read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strandnet_core::formats::vcf::{Allele, Content, INFO, Line, Vcf, columns};
use strandnet_fuzz::{explained, put};

fn all(vcf: &mut Vcf) -> anyhow::Result<Vec<Line>> {
    std::iter::from_fn(|| vcf.next_line().transpose()).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let Some(mut vcf) = explained(Vcf::open(&put("calls.vcf", Some(bytes)))) else { return };
    let Some(lines) = explained(all(&mut vcf)) else { return };
    assert!(vcf.header.first().is_some_and(|line| line.starts_with(b"##fileformat=VCF")));
    assert!(vcf.header.last().is_some_and(|line| columns(line).len() > INFO));
    for (i, line) in lines.iter().enumerate() {
        assert!(line.number > i && !line.text.contains(&b'\n'));
        match &line.content {
            Content::Variant(variant) => {
                assert!(!variant.reference.is_empty());
                for (text, allele) in &variant.alternatives {
                    if let Allele::Bases(codes) = allele {
                        assert_eq!(codes.len(), text.trim().len());
                    }
                }
            }
            Content::Malformed(why) => assert!(!why.is_empty() && !why.contains(char::is_control)),
            Content::Comment => assert!(line.text.starts_with(b"#")),
        }
    }
    let texts = vcf.header.iter().chain(lines.iter().map(|line| &line.text));
    let text: Vec<u8> = texts.flat_map(|line| line.iter().copied().chain([b'\n'])).collect();
    let mut again = Vcf::open(&put("again.vcf", Some(&text))).unwrap();
    assert_eq!(again.header, vcf.header);
    let same = all(&mut again).unwrap();
    assert_eq!(same.len(), lines.len());
    for (line, same) in lines.iter().zip(&same) {
        assert_eq!(line.text, same.text);
        // A header of fewer columns has all of them now, and a last line its end.
        if let (Content::Variant(_), true) = (&line.content, columns(&line.text).len() > INFO) {
            assert_eq!(line.content, same.content);
        }
    }
});
