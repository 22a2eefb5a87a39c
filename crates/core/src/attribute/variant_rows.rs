//! Output of variant scores: VCF with INFO fields, or a table.

use std::io::Write;

use anyhow::Result;

use crate::attribute::target::Explained;
use crate::attribute::variants::{Pair, Scores};
use crate::config::VariantFormat;
use crate::formats::vcf::Variant;

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
        header: &[String],
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

    fn vcf_header(&mut self, header: &[String]) -> Result<()> {
        let Some((columns, others)) = header.split_last() else { return Ok(()) };
        // INFO definitions of an earlier run are removed.
        let own = format!("##INFO=<ID={PREFIX}");
        for line in others.iter().filter(|line| !line.starts_with(&own)) {
            writeln!(self.out, "{line}")?;
        }
        let what = if self.explained.is_probability() { "Probability" } else { "Value" };
        let name = self.explained.name.replace(['"', '\\'], "_");
        let mut field = |id: &str, number: &str, text: &str| {
            writeln!(self.out, "##INFO=<ID={PREFIX}{id},Number={number},Type=Float,Description=\"{text}\">")
        };
        field("REF", "1", &format!("{what} of {name} for the reference allele in its context"))?;
        field("ALT", "A", &format!("{what} of {name} for each alternative allele in its context"))?;
        field("DIFF", "A", "STRANDNET_ALT less STRANDNET_REF")?;
        if self.explained.is_probability() {
            field(
                "LOGODDS",
                "A",
                &format!("Log-odds of {name} for the alternative allele less that for the reference"),
            )?;
        }
        writeln!(self.out, "{columns}")?;
        Ok(())
    }

    /// Writes a variant with its scores.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn write(&mut self, variant: &Variant, scores: &Scores) -> Result<()> {
        match self.format {
            VariantFormat::Vcf => self.write_line(variant, scores)?,
            VariantFormat::Tsv => self.write_rows(variant, scores)?,
        }
        Ok(())
    }

    fn write_line(&mut self, variant: &Variant, scores: &Scores) -> std::io::Result<()> {
        let reference = scores.iter().flatten().next().map(|pair| self.predictions(*pair)[0]);
        let mut columns: Vec<&str> = variant.line.split('\t').collect();
        let info = columns.get(7).copied().unwrap_or(".");
        let is_own = |field: &&str| field.starts_with(PREFIX);
        let Some(reference) = reference.filter(|_| columns.len() > 7) else {
            // A line without scores stays as it is; scores of an earlier run would be those of another network.
            if !info.split(';').any(|field| is_own(&field)) {
                return writeln!(self.out, "{}", variant.line);
            }
            let kept: Vec<&str> = info.split(';').filter(|field| !is_own(field)).collect();
            let info = if kept.is_empty() { ".".into() } else { kept.join(";") };
            columns[7] = &info;
            return writeln!(self.out, "{}", columns.join("\t"));
        };
        let list = |of: &dyn Fn(Pair) -> f64| {
            let each =
                |score: &Result<Pair, _>| score.as_ref().map_or(".".into(), |pair| (of(*pair) as f32).to_string());
            scores.iter().map(each).collect::<Vec<String>>().join(",")
        };
        let mut fields: Vec<String> =
            info.split(';').filter(|field| *field != "." && !is_own(field)).map(str::to_owned).collect();
        fields.push(format!("{PREFIX}REF={}", reference as f32));
        fields.push(format!("{PREFIX}ALT={}", list(&|pair| self.predictions(pair)[1])));
        fields.push(format!("{PREFIX}DIFF={}", list(&|pair| self.difference(pair))));
        if self.explained.is_probability() {
            fields.push(format!("{PREFIX}LOGODDS={}", list(&|pair| pair.alternative - pair.reference)));
        }
        let info = fields.join(";");
        columns[7] = &info;
        writeln!(self.out, "{}", columns.join("\t"))
    }

    fn write_rows(&mut self, variant: &Variant, scores: &Scores) -> std::io::Result<()> {
        let Variant { chromosome, start, id, reference_bases, alternatives, .. } = variant;
        // Position 0 of VCF is the one before the first base.
        let start = start.unwrap_or(0);
        let end = start + reference_bases.len();
        for ((alternative, _), score) in alternatives.iter().zip(scores) {
            write!(self.out, "{chromosome}\t{start}\t{end}\t{id}\t{reference_bases}\t{alternative}")?;
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
