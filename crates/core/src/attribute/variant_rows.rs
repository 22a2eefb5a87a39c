//! Output of variant scores: VCF with INFO fields, or a table.

use std::io::Write;

use anyhow::Result;

use crate::attribute::variant_target::{Field, VariantTarget};
use crate::attribute::variants::Scores;
use crate::config::VariantFormat;
use crate::formats::vcf::{self, Content, Line};

/// Prefix of all INFO fields that strandnet adds.
const PREFIX: &str = "STRANDNET_";

/// Writes the scores of variants one by one.
pub struct VariantRows<'a> {
    out: &'a mut dyn Write,
    format: VariantFormat,
    target: &'a VariantTarget,
    fields: Vec<Field>,
}

impl<'a> VariantRows<'a> {
    /// Writes the header; `header` is that of the VCF file.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn new(
        out: &'a mut dyn Write,
        format: VariantFormat,
        target: &'a VariantTarget,
        header: &[Vec<u8>],
    ) -> Result<Self> {
        let mut rows = Self { out, format, target, fields: target.fields() };
        match format {
            VariantFormat::Vcf => rows.vcf_header(header)?,
            VariantFormat::Tsv => {
                let columns: String = rows.fields.iter().map(|field| format!("\t{}", field.column)).collect();
                writeln!(rows.out, "chrom\tstart\tend\tid\tref\talt{columns}\tstatus")?;
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
        for (id, description) in self.fields.iter().filter_map(|field| field.info.as_ref()) {
            writeln!(self.out, "##INFO=<ID={PREFIX}{id},Number=A,Type=Float,Description=\"{description}\">")?;
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
        let values: Vec<Option<Vec<Option<f64>>>> =
            scores.iter().map(|score| score.as_ref().ok().map(|effect| self.target.values(effect))).collect();
        let list = |field: usize| {
            let each = values.iter().map(|values| values.as_ref().and_then(|values| values[field]));
            each.map(|value| value.map_or(".".into(), shown)).collect::<Vec<String>>().join(",")
        };
        let ids = self.fields.iter().enumerate().filter_map(|(i, field)| Some((i, &field.info.as_ref()?.0)));
        let fields: Vec<String> = ids.map(|(i, id)| format!("{PREFIX}{id}={}", list(i))).collect();
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
            let values = match score {
                Ok(effect) => self.target.values(effect),
                Err(_) => vec![None; self.fields.len()],
            };
            for value in values {
                write!(self.out, "\t{}", value.map_or_else(String::new, shown))?;
            }
            writeln!(self.out, "\t{}", score.as_ref().err().map_or("scored", |why| why.name()))?;
        }
        Ok(())
    }
}

/// A number in single precision, as networks compute.
fn shown(value: f64) -> String {
    (value as f32).to_string()
}

fn write_bytes(out: &mut dyn Write, line: &[u8]) -> std::io::Result<()> {
    out.write_all(line)?;
    out.write_all(b"\n")
}
