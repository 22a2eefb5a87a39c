//! Output of variant scores: VCF with INFO fields, or a table.

use std::io::Write;

use anyhow::Result;

use crate::attribute::target::Explained;
use crate::attribute::variants::{Pair, Scores};
use crate::config::VariantFormat;
use crate::formats::vcf::{self, Content, Line};

/// Prefix of all INFO fields that strandnet adds.
const PREFIX: &str = "STRANDNET_";

/// Writes the scores of variants one by one.
pub struct VariantRows<'a> {
    out: &'a mut dyn Write,
    format: VariantFormat,
    explained: &'a Explained,
}

impl<'a> VariantRows<'a> {
    /// Writes the header; `header` is that of the VCF file.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn new(
        out: &'a mut dyn Write,
        format: VariantFormat,
        explained: &'a Explained,
        header: &[Vec<u8>],
    ) -> Result<Self> {
        let mut rows = Self { out, format, explained };
        match format {
            VariantFormat::Vcf => rows.vcf_header(header)?,
            VariantFormat::Tsv => {
                writeln!(
                    rows.out,
                    "chrom\tstart\tend\tid\tref\talt\tscore_ref\tscore_alt\tdifference\tlog_odds\tstatus"
                )?;
            }
        }
        Ok(rows)
    }

    fn vcf_header(&mut self, header: &[Vec<u8>]) -> Result<()> {
        let Some((columns, others)) = header.split_last() else { return Ok(()) };
        // INFO definitions of an earlier run are removed.
        let own = format!("##INFO=<ID={PREFIX}");
        for line in others.iter().filter(|line| !line.starts_with(own.as_bytes())) {
            write_bytes(self.out, line)?;
        }
        let what = if self.explained.is_probability() { "Probability" } else { "Value" };
        let name = self.explained.name.replace(['"', '\\'], "_");
        let mut field = |id: &str, number: &str, text: &str| {
            writeln!(self.out, "##INFO=<ID={PREFIX}{id},Number={number},Type=Float,Description=\"{text}\">")
        };
        field("REF", "A", &format!("{what} of {name} for the reference in the context of each alternative allele"))?;
        field("ALT", "A", &format!("{what} of {name} for each alternative allele in its context"))?;
        field("DIFF", "A", "STRANDNET_ALT less STRANDNET_REF")?;
        if self.explained.is_probability() {
            field(
                "LOGODDS",
                "A",
                &format!("Log-odds of {name} for the alternative allele less that for the reference"),
            )?;
        }
        write_bytes(self.out, columns)?;
        Ok(())
    }

    /// Writes a line with its scores.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn write(&mut self, line: &Line, scores: &Scores) -> Result<()> {
        match self.format {
            VariantFormat::Vcf => self.write_line(line, scores)?,
            VariantFormat::Tsv => self.write_rows(line, scores)?,
        }
        Ok(())
    }

    fn write_line(&mut self, line: &Line, scores: &Scores) -> std::io::Result<()> {
        if !matches!(line.content, Content::Variant(_)) {
            return write_bytes(self.out, &line.text);
        }
        let has_scores = scores.iter().any(Result::is_ok);
        let mut columns = vcf::columns(&line.text);
        let info = columns.get(vcf::INFO).copied().unwrap_or(b".");
        let kept = |field: &&[u8]| !field.starts_with(PREFIX.as_bytes());
        let kept: Vec<&[u8]> = info.split(|&byte| byte == b';').filter(kept).collect();
        if !has_scores {
            // A line without scores stays as it is; scores of an earlier run would be those of another network.
            let all = info.split(|&byte| byte == b';').count();
            if kept.len() == all && columns.len() > vcf::INFO {
                return write_bytes(self.out, &line.text);
            }
            columns.resize(columns.len().max(vcf::INFO + 1), b".");
            let info = if kept.is_empty() { b".".to_vec() } else { kept.join(&b';') };
            columns[vcf::INFO] = &info;
            return write_bytes(self.out, &columns.join(&b'\t'));
        }
        let list = |of: &dyn Fn(Pair) -> f64| {
            let each =
                |score: &Result<Pair, _>| score.as_ref().map_or(".".into(), |pair| (of(*pair) as f32).to_string());
            scores.iter().map(each).collect::<Vec<String>>().join(",")
        };
        let mut fields = vec![
            format!("{PREFIX}REF={}", list(&|pair| self.predictions(pair)[0])),
            format!("{PREFIX}ALT={}", list(&|pair| self.predictions(pair)[1])),
            format!("{PREFIX}DIFF={}", list(&|pair| self.difference(pair))),
        ];
        if self.explained.is_probability() {
            fields.push(format!("{PREFIX}LOGODDS={}", list(&|pair| pair.alternative - pair.reference)));
        }
        let kept = kept.into_iter().filter(|field| !matches!(field.trim_ascii(), b"." | b""));
        let info = kept.chain(fields.iter().map(String::as_bytes)).collect::<Vec<_>>().join(&b';');
        columns.resize(columns.len().max(vcf::INFO + 1), b".");
        columns[vcf::INFO] = &info;
        write_bytes(self.out, &columns.join(&b'\t'))
    }

    fn write_rows(&mut self, line: &Line, scores: &Scores) -> std::io::Result<()> {
        let columns = vcf::columns(&line.text);
        let column = |i: usize| String::from_utf8_lossy(columns.get(i).map_or(b"", |text| text.trim_ascii()));
        let [chromosome, id, reference] = [0, 2, 3].map(column);
        let (place, alternatives) = match &line.content {
            Content::Comment => return Ok(()),
            Content::Malformed(_) => ("\t".into(), vec![column(4).into_owned()]),
            Content::Variant(variant) => {
                // Position 0 of VCF is the one before the first base.
                let start = variant.start.map_or(-1, |start| start as i64);
                let place = format!("{start}\t{}", start + variant.reference.len() as i64);
                let texts: Vec<String> = variant.alternatives.iter().map(|(text, _)| text.trim().to_owned()).collect();
                (place, if texts.is_empty() { vec![".".into()] } else { texts })
            }
        };
        for (alternative, score) in alternatives.iter().zip(scores) {
            write!(self.out, "{chromosome}\t{place}\t{id}\t{reference}\t{alternative}")?;
            match score {
                Ok(pair) => {
                    let [reference, alternative] = self.predictions(*pair);
                    let difference = self.difference(*pair) as f32;
                    write!(self.out, "\t{}\t{}\t{difference}\t", reference as f32, alternative as f32)?;
                    if self.explained.is_probability() {
                        write!(self.out, "{}", (pair.alternative - pair.reference) as f32)?;
                    }
                    writeln!(self.out, "\tscored")?;
                }
                Err(why) => writeln!(self.out, "\t\t\t\t\t{}", why.name())?,
            }
        }
        Ok(())
    }

    /// Predictions for the reference and the alternative, as `predict` gives them.
    fn predictions(&self, pair: Pair) -> [f64; 2] {
        [pair.reference, pair.alternative].map(|number| self.explained.prediction(number))
    }

    fn difference(&self, pair: Pair) -> f64 {
        let [reference, alternative] = self.predictions(pair);
        alternative - reference
    }
}

fn write_bytes(out: &mut dyn Write, line: &[u8]) -> std::io::Result<()> {
    out.write_all(line)?;
    out.write_all(b"\n")
}
