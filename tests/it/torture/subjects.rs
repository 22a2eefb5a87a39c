//! What is broken: valid files of every kind that the program reads, and a command that reads each.

use std::collections::BTreeMap;
use std::path::Path;

use super::FOLDER;
use super::mutations::Mutation::{self, *};
use super::mutations::{of_bytes, of_numbers, of_text};
use crate::fixtures::{LENGTH, bases, bgzip, fasta, fastq, gzip, strandnet, tables, trained};

/// A command on valid files, one of which is broken.
pub struct Subject {
    pub name: &'static str,
    /// Words of the command, run in a folder where the files lie in `in`.
    pub line: &'static str,
    /// The files it needs, by the names of the stock; the first is broken. A name that ends in `/` is all that begin so.
    pub files: &'static [&'static str],
    pub mutations: Vec<Mutation>,
    /// Of those that leave something to read, the ones that must not go unnoticed.
    pub noticed: fn(Mutation) -> bool,
    /// The ones that make no difference to standard output, as well as all where a wrong file is done without.
    pub harmless: fn(Mutation) -> bool,
    /// A file that the program can do without.
    pub optional: bool,
}

/// What a valid file holds, by its name.
pub type Stock = BTreeMap<String, Vec<u8>>;

/// Windows of two genomes, shown and written.
macro_rules! windows {
    ($files:literal, $more:literal) => {
        concat!(
            "inspect ",
            $files,
            " --length 60 --fragments 40 --test-fragments 20 --train-chroms 1 --test-chroms 2 --threads 1 --out out ",
            $more
        )
    };
}

/// A search that is done, taken up again.
const TUNE: &str = "tune in/search.toml --trials 1 --rungs 1 --epochs 1 --arch shallow --threads 1 --out in/tune";

fn any(_: Mutation) -> bool {
    true
}

fn none(_: Mutation) -> bool {
    false
}

fn crlf(mutation: Mutation) -> bool {
    mutation == Crlf
}

/// Text of bases, where no other byte may stand.
fn strange_bytes(mutation: Mutation) -> bool {
    matches!(mutation, Zero(_) | Prefix | Suffix | Nul(_) | NotUtf8(_))
}

/// Text that begins with what is not to be mistaken.
fn first_bytes(mutation: Mutation) -> bool {
    matches!(mutation, Zero(_) | Prefix)
}

/// Files whose text must be whole.
fn strict(mutation: Mutation) -> bool {
    strange_bytes(mutation) || matches!(mutation, Cut(_))
}

/// What checksums find. A few bits of the headers mean nothing, and some programs put something after the end.
fn compressed(mutation: Mutation) -> bool {
    matches!(mutation, Cut(_) | CutEnd(_) | Flip(_) | FlipEnd(_) | Zero(_) | Double(_) | Prefix | Crlf)
}

fn safetensors(mutation: Mutation) -> bool {
    matches!(mutation, Cut(_) | CutEnd(_) | Double(_) | Prefix | Suffix)
}

fn subject(name: &'static str, line: &'static str, files: &'static [&'static str]) -> Subject {
    let of_file = if files[0].ends_with("gz") || files[0].ends_with("gzi") || files[0].ends_with("safetensors") {
        of_bytes()
    } else {
        of_text()
    };
    Subject { name, line, files, mutations: of_file, noticed: none, harmless: none, optional: false }
}

/// Everything that is broken.
pub fn all() -> Vec<Subject> {
    let json = |subject: Subject| Subject {
        mutations: [subject.mutations, of_numbers(6)].concat(),
        noticed: strict,
        harmless: crlf,
        ..subject
    };
    let numbers = |subject: Subject, count| Subject {
        mutations: [subject.mutations, of_numbers(count)].concat(),
        harmless: crlf,
        ..subject
    };
    let packed = |subject: Subject, ends: &[usize]| Subject {
        mutations: [subject.mutations, ends.iter().map(|&end| FlipEnd(end)).collect()].concat(),
        noticed: compressed,
        ..subject
    };
    let few = |subject: Subject, mutations: &[Mutation]| Subject { mutations: mutations.to_vec(), ..subject };
    vec![
        Subject {
            noticed: strange_bytes,
            harmless: crlf,
            ..subject("genome", windows!("--genome a=in/a.fa --genome b=in/b.fa", ""), &["a.fa", "b.fa"])
        },
        // The checksum and the size of what was compressed end a gzip file; in BGZF 28 bytes follow.
        packed(
            subject("gzip genome", windows!("--genome a=in/a.fa.gz --genome b=in/b.fa", ""), &["a.fa.gz", "b.fa"]),
            &[1, 5, 8],
        ),
        packed(
            subject("BGZF genome", windows!("--genome a=in/a.fa.bgz --genome b=in/b.fa", ""), &["a.fa.bgz", "b.fa"]),
            &[1, 20, 29, 33, 36],
        ),
        packed(
            few(
                subject(
                    "gzip genome beyond memory",
                    windows!("--genome a=in/a.fa.gz --genome b=in/b.fa", "--memory 1KB"),
                    &["a.fa.gz", "b.fa"],
                ),
                &[Cut(500), CutEnd(3), Flip(4)],
            ),
            &[8],
        ),
        few(
            subject(
                "BGZF genome beyond memory",
                windows!("--genome a=in/a.fa.bgz --genome b=in/b.fa", "--memory 1KB"),
                &["a.fa.bgz", "a.fa.bgz.fai", "a.fa.bgz.gzi", "b.fa"],
            ),
            &[Cut(500), Flip(4), Flip(5), Flip(6), Zero(2), Double(2)],
        ),
        few(
            subject(
                "indexed genome beyond memory",
                windows!("--genome a=in/a.fa --genome b=in/b.fa", "--memory 1KB"),
                &["a.fa", "a.fa.fai", "b.fa"],
            ),
            &[Cut(500), Flip(4), Zero(2), Double(2), Nul(2), Crlf, NotUtf8(2)],
        ),
        Subject {
            mutations: [of_text(), of_numbers(4)].concat(),
            harmless: any,
            optional: true,
            ..subject(
                "fai",
                windows!("--genome a=in/a.fa --genome b=in/b.fa", ""),
                &["a.fa.fai", "a.fa", "b.fa"],
            )
        },
        Subject {
            harmless: any,
            optional: true,
            ..subject(
                "gzi",
                windows!("--genome a=in/a.fa.bgz --genome b=in/b.fa", ""),
                &["a.fa.bgz.gzi", "a.fa.bgz.fai", "a.fa.bgz", "b.fa"],
            )
        },
        Subject {
            noticed: strange_bytes,
            harmless: crlf,
            ..few(
                subject(
                    "sequences of a class",
                    "inspect --class a=in/a.seq.fa --class b=in/b.seq.fa --threads 1 --out out",
                    &["a.seq.fa", "b.seq.fa"],
                ),
                &[Cut(500), Cut(990), Flip(1), Flip(2), Zero(1), Double(1), Prefix, Crlf, Nul(1), NotUtf8(1), Empty],
            )
        },
        Subject {
            harmless: crlf,
            ..subject("FASTQ", "predict in/run in/a.fastq --threads 1 --out out", &["a.fastq", "run/"])
        },
        packed(
            few(
                subject("gzip FASTQ", "predict in/run in/a.fastq.gz --threads 1 --sort-reads out", &["a.fastq.gz", "run/"]),
                &[Cut(30), Cut(800), CutEnd(1), Flip(1), Flip(2), Zero(1), Double(1), Empty, Folder, Missing],
            ),
            &[5],
        ),
        packed(
            few(
                subject("BGZF to score", "predict in/run in/a.seq.fa.bgz --threads 1 --out out", &["a.seq.fa.bgz", "run/"]),
                &[Cut(500), CutEnd(1), Flip(1), Flip(2), Zero(1), Double(1), Prefix],
            ),
            &[33],
        ),
        Subject {
            harmless: crlf,
            ..numbers(
                subject(
                    "BED",
                    "inspect --reference in/a.fa --regions peak=in/a.bed --length 60 --train-chroms 1 --valid-chroms 3 --test-chroms 2 --threads 1 --out out",
                    &["a.bed", "a.fa"],
                ),
                6,
            )
        },
        numbers(
            few(
                subject(
                    "narrowPeak",
                    "predict in/run --reference in/a.fa --regions in/a.narrowPeak --threads 1 --out out",
                    &["a.narrowPeak", "a.fa", "run/"],
                ),
                &[Cut(300), Flip(1), Flip(2), Zero(1), Double(1), Prefix, Nul(1), NotUtf8(1), Crlf, Empty],
            ),
            5,
        ),
        few(
            subject(
                "BED to exclude",
                "inspect --reference in/a.fa --regions peak=in/a.bed --exclude in/away.bed --negatives random --length 60 --train-chroms 1 --valid-chroms 3 --test-chroms 2 --threads 1 --out out",
                &["away.bed", "a.bed", "a.fa"],
            ),
            &[Cut(100), Zero(1), Prefix, Empty, Missing, Number(1, "99999999999999999999"), Number(4, "1099511627775")],
        ),
        numbers(subject("CSV", "inspect --train in/t.csv --threads 1 --out out", &["t.csv"]), 0),
        packed(
            few(
                subject("gzip TSV", "inspect --train in/t.tsv.gz --threads 1 --out out", &["t.tsv.gz"]),
                &[Cut(30), Cut(800), CutEnd(1), CutEnd(9), Flip(1), Flip(2), Zero(1), Double(1), Empty],
            ),
            &[5],
        ),
        few(
            numbers(
                subject(
                    "table of values",
                    "inspect --train in/values.csv --task regression --threads 1 --out out",
                    &["values.csv"],
                ),
                0,
            ),
            &of_numbers(6),
        ),
        few(
            subject("table to evaluate on", "evaluate in/run --test in/t.csv --threads 1 --out out", &["t.csv", "run/"]),
            &[Cut(10), Cut(500), Zero(1), Double(1), Prefix, NotUtf8(1), Nul(1), Empty, Missing],
        ),
        Subject {
            harmless: crlf,
            ..numbers(
                subject("listing", "inspect --examples in/examples.tsv --threads 1 --out out", &["examples.tsv", "a.fa"]),
                6,
            )
        },
        few(
            subject(
                "listing of a run",
                "evaluate in/run --test in/t.csv --threads 1 --out out",
                &["run/examples.tsv", "run/", "t.csv"],
            ),
            &[Cut(5), Cut(500), Flip(1), Zero(1), Prefix, Nul(1), NotUtf8(1), Empty],
        ),
        numbers(
            subject("experiment", "inspect in/x.toml --threads 1 --out out", &["x.toml", "t.csv"]),
            5,
        ),
        numbers(subject("layers", "model in/layers.toml", &["layers.toml"]), 6),
        numbers(
            few(
                subject(
                    "search",
                    "tune in/search.toml --trials 1 --rungs 1 --epochs 1 --arch shallow --threads 1 --out out",
                    &["search.toml", "t.csv"],
                ),
                &[
                    Cut(300), Cut(600), Cut(900), Flip(1), Zero(1), Prefix, Nul(1), NotUtf8(1), Empty, Folder,
                    Swap("low", "lo"), Swap("\"log\"", "\"logg\""), Swap("[16, 32]", "[]"), Swap("[16, 32]", "[16, \"x\"]"),
                    Swap("0.001", "1"), Swap("lr", "learning"), Swap("lr", "epochs"), Swap("[search]", "[[search]]"),
                ],
            ),
            5,
        ),
        json(subject("run.json", "predict in/run in/a.seq.fa --threads 1 --out out", &["run/run.json", "run/", "a.seq.fa"])),
        few(
            json(subject("run.json to evaluate", "evaluate in/run --threads 1 --out out", &["run/run.json", "run/"])),
            &[
                Cut(500),
                Swap("\"sha256\": \"", "\"sha256\": \"0"),
                Swap("binary.csv", "absent.csv"),
                Swap("\"length\": 60", "\"length\": 61"),
                Swap("\"ensemble\": 1", "\"ensemble\": 2"),
                Swap("\"ensemble\": 1", "\"ensemble\": 1000000"),
                Swap("\"arch\": \"shallow\"", "\"arch\": \"danq\""),
                Swap("\"rich\"", "\"other\""),
                Swap("\"count\": 2", "\"count\": 3"),
                Swap("\"scales\": [", "\"scales\": [-1.0,"),
                Swap("\"prior\": [", "\"prior\": [7.0,"),
            ],
        ),
        Subject {
            noticed: safetensors,
            ..subject(
                "weights",
                "predict in/run in/a.seq.fa --threads 1 --out out",
                &["run/best.safetensors", "run/", "a.seq.fa"],
            )
        },
        Subject {
            noticed: safetensors,
            ..few(
                subject("weights to export", "export in/run --out out.pt", &["run/best.safetensors", "run/"]),
                &[
                    Cut(0), Cut(2), Cut(500), CutEnd(1), CutEnd(4), Zero(1), Double(1), Prefix, Suffix, Missing, Folder,
                    Swap("F32", "F64"), Swap("F32", "I32"), Swap("data_offsets", "data_offsetz"), Swap("shape", "shope"),
                    Swap("[16,4,32]", "[16,4,33]"), Swap("[16,4,32]", "[4,16,32]"), Swap("[16]", "[-6]"),
                    Swap("0.weight", "1.weight"), Swap("epochs", "epoxhs"),
                ],
            )
        },
        few(
            json(subject("metrics.json", "evaluate in/run --threads 1 --out out", &["run/metrics.json", "run/"])),
            &[
                Cut(1), Cut(500), Cut(990), Zero(1), Prefix, Suffix, Nul(1), NotUtf8(1), Empty, Folder, Missing,
                Swap("\"threshold\"", "\"thresold\""), Swap("\"threshold\": ", "\"threshold\": -1e400"),
                Swap("\"threshold\": ", "\"threshold\": []"),
            ],
        ),
        json(Subject {
            noticed: strict,
            ..few(
                subject(
                    "tune.json",
                    TUNE,
                    &["tune/tune.json", "tune/", "search.toml", "t.csv"],
                ),
                &[Cut(10), Cut(500), Cut(990), Flip(1), Flip(2), Zero(1), Prefix, Suffix, Nul(1), NotUtf8(1), Empty],
            )
        }),
        numbers(
            few(
                subject(
                    "trials.csv",
                    TUNE,
                    &["tune/trials.csv", "tune/", "search.toml", "t.csv"],
                ),
                &[
                    Cut(100), Cut(500), CutEnd(1), CutEnd(9), Flip(1), Flip(2), Zero(1), Double(1), Prefix, Suffix, Nul(1),
                    NotUtf8(1), Folder, Crlf,
                ],
            ),
            6,
        ),
        Subject {
            harmless: crlf,
            ..few(
                subject(
                    "motif database",
                    "explain motifs in/run --sequences in/a.seq.fa --database in/known.meme --threads 1 --out out",
                    &["known.meme", "run/", "a.seq.fa"],
                ),
                &[
                    Cut(10), Cut(500), CutEnd(3), Flip(1), Flip(2), Zero(1), Double(1), Prefix, Suffix, Nul(1), NotUtf8(1),
                    Crlf, Empty, Folder, Missing, Swap("alength= 4", "alength= 20"), Swap("w= 10", "w= 11"),
                    Swap("0.97", "1.97"), Swap("0.97", "nan"), Swap("MOTIF", "MOTIFS"),
                ],
            )
        },
        numbers(
            few(
                subject(
                    "VCF",
                    "explain variants in/run --vcf in/calls.vcf --reference in/a.fa --threads 1 --out out",
                    &["calls.vcf", "a.fa", "run/"],
                ),
                &[
                    Cut(10), Cut(500), CutEnd(3), Flip(1), Flip(2), Zero(1), Double(1), Prefix, Suffix, Nul(1), NotUtf8(1),
                    Crlf, Empty, Folder, Missing, Swap("#CHROM", "CHROM"), Swap("chr2", "2"), Swap("\tPASS", " PASS"),
                    Swap("\t100\t", "\t0\t"), Swap("\t100\t", "\t3001\t"), Swap("PASS\t.", "PASS\tEND=1"),
                ],
            ),
            5,
        ),
        few(
            subject(
                "weights to start from",
                "train --train in/t.csv --arch shallow --epochs 1 --threads 1 --init-from in/run --out out",
                &["run/best.safetensors", "run/", "t.csv"],
            ),
            &[Cut(2), Cut(500), CutEnd(1), Prefix, Empty, Missing, Swap("F32", "F64"), Swap("0.weight", "1.weight")],
        ),
        few(
            subject(
                "run to start from",
                "train --train in/t.csv --arch shallow --epochs 1 --threads 1 --init-from in/run --out out",
                &["run/run.json", "run/", "t.csv"],
            ),
            &[Cut(500), Zero(1), Empty, Missing, Folder, Swap("\"seed\"", "\"sead\"")],
        ),
    ]
    .into_iter()
    .map(|subject| match subject.name {
        // No settings are the defaults, which are an experiment of their own, and a longer one.
        "experiment" | "layers" | "search" => {
            let mutations = subject.mutations.into_iter().filter(|&mutation| mutation != Empty).collect();
            Subject { mutations, noticed: first_bytes, ..subject }
        }
        "CSV" | "listing" | "table to evaluate on" | "listing of a run" => Subject { noticed: first_bytes, ..subject },
        _ => subject,
    })
    .collect()
}

/// Every file that a subject needs; a search is carried out in `folder` for some of them.
pub fn stock(folder: &Path) -> Stock {
    let mut stock = Stock::new();
    let mut put = |name: &str, bytes: Vec<u8>| drop(stock.insert(name.into(), bytes));
    for (letter, seed) in [("a", 1), ("b", 50)] {
        let records: Vec<(String, String)> =
            (1..=3).map(|i| (format!("chr{i}"), bases(seed + i, 3000 + 7 * i as usize))).collect();
        let records: Vec<(&str, &str)> = records.iter().map(|(name, bases)| (&**name, &**bases)).collect();
        let text = fasta(&records);
        let (packed, blocks) = bgzf_with_index(text.as_bytes());
        put(&format!("{letter}.fa"), text.clone().into());
        put(&format!("{letter}.fa.fai"), fai(&text).into());
        put(&format!("{letter}.fa.gz"), gzip(text.as_bytes()));
        put(&format!("{letter}.fa.bgz"), packed);
        put(&format!("{letter}.fa.bgz.fai"), fai(&text).into());
        put(&format!("{letter}.fa.bgz.gzi"), blocks);

        let reads: Vec<(String, String)> =
            (0..60).map(|i| (format!("read{i}"), bases(seed + 100 + i, LENGTH))).collect();
        let borrowed: Vec<(&str, &str)> = reads.iter().map(|(name, bases)| (&**name, &**bases)).collect();
        put(&format!("{letter}.seq.fa"), fasta(&borrowed).into());
        put(&format!("{letter}.seq.fa.bgz"), bgzip(fasta(&borrowed).as_bytes()));
        put(&format!("{letter}.fastq"), fastq(&reads).into());
        put(&format!("{letter}.fastq.gz"), gzip(fastq(&reads).as_bytes()));
    }

    let places: Vec<(usize, usize)> = (0..60).map(|i| (1 + i % 3, 60 + 90 * (i / 3))).collect();
    let bed: String = places.iter().map(|(c, at)| format!("chr{c}\t{at}\t{}\tpeak{at}\t500\t+\n", at + 100)).collect();
    put("a.bed", bed.into());
    let narrow: String = places
        .iter()
        .map(|(c, at)| format!("chr{c}\t{at}\t{}\tpeak{at}\t500\t.\t7.5\t3.25\t2.125\t40\n", at + 100))
        .collect();
    put("a.narrowPeak", narrow.into());
    put("away.bed", "chr1\t2000\t2300\nchr2\t2100\t2300\nchr3\t2100\t2300\n".into());

    // Each reference allele is a base of the genome, a.fa.
    let calls: String = (1..=3)
        .flat_map(|c| (100..2900).step_by(200).map(move |at| (c, at)))
        .map(|(c, at)| {
            let base = bases(1 + c, 3000 + 7 * c as usize).as_bytes()[at - 1] as char;
            let others: Vec<char> = "ACGT".chars().filter(|&other| other != base).collect();
            format!("chr{c}\t{at}\tv{at}\t{base}\t{},{base}{}\t50\tPASS\t.\n", others[0], others[1])
        })
        .collect();
    let columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO";
    put("calls.vcf", format!("##fileformat=VCFv4.3\n##contig=<ID=chr1>\n{columns}\n{calls}").into());

    let table = std::fs::read(&tables().binary).unwrap();
    let table: String = String::from_utf8(table).unwrap().lines().take(121).map(|line| format!("{line}\n")).collect();
    put("t.tsv.gz", gzip(table.replace(',', "\t").as_bytes()));
    put("t.csv", table.into());
    put("values.csv", std::fs::read(&tables().values).unwrap());
    put("examples.tsv", listing().into());

    let words = [1, 2, 3].map(|seed| bases(seed, 10));
    put("known.meme", crate::fixtures::meme(&words).into());
    put(
        "x.toml",
        "[data]\ntrain = \"t.csv\"\nvalid_fraction = 0.2\ntest_fraction = 0.25\nlength = 60\n\n\
         [model]\narch = \"residual\"\nfilters = 16\ndepth = 2\ndropout = 0.3\n\n\
         [training]\nepochs = 3\nbatch_size = 32\nlr = 0.003\nseed = 7\nshift = 4\n"
            .into(),
    );
    put(
        "layers.toml",
        "[data]\nlength = 200\n\n[model]\narch = \"custom\"\n\n\
         [[layer]]\nkind = \"convolution\"\nfilters = 12\nwidth = 9\nstride = 1\ndilation = 2\n\n\
         [[layer]]\nkind = \"relu\"\n\n[[layer]]\nkind = \"max-pool\"\nwidth = 4\nstride = 4\n\n\
         [[layer]]\nkind = \"dropout\"\nrate = 0.2\n\n[[layer]]\nkind = \"global-pool\"\nof = \"both\"\n"
            .into(),
    );
    put(
        "search.toml",
        "[data]\ntrain = \"t.csv\"\n\n[search]\nlr = { low = 0.001, high = 0.01, scale = \"log\" }\n\
         batch_size = [16, 32]\ndropout = { low = 0, high = 0.3 }\n"
            .into(),
    );

    let run = trained(&["--epochs", "1"]);
    for name in ["run.json", "best.safetensors", "metrics.json", "examples.tsv"] {
        let mut bytes = std::fs::read(run.file(name)).unwrap();
        if name == "run.json" {
            // Of a version without checksums of whole files, which would find all damage before anything reads it.
            let text = String::from_utf8(bytes).unwrap();
            let old = text.replacen("\"format_version\": 4", "\"format_version\": 3", 1);
            assert_ne!(old, text);
            bytes = old.into();
        }
        put(&format!("run/{name}"), bytes);
    }

    std::fs::create_dir_all(folder.join("in")).unwrap();
    for name in ["search.toml", "t.csv"] {
        std::fs::write(folder.join("in").join(name), &stock[name]).unwrap();
    }
    let output = strandnet().current_dir(folder).args(TUNE.split(' ')).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in ["tune.json", "trials.csv", "best.toml"] {
        let text = std::fs::read_to_string(folder.join("in/tune").join(name)).unwrap();
        stock.insert(format!("tune/{name}"), text.replace(folder.to_str().unwrap(), FOLDER).into());
    }
    stock
}

/// Examples half of which lie in a genome and half of which come with their sequence.
fn listing() -> String {
    let mut text = String::from("name\tchrom\tstart\tend\tstrand\tlabel\tsplit\tsource\tsequence\n");
    for i in 0..90 {
        let (label, split) = (["x", "y"][i % 2], ["train", "train", "valid", "test"][i / 2 % 4]);
        if i < 45 {
            let (chrom, start, strand) = (1 + i % 3, 60 * i, ["+", "-"][i / 3 % 2]);
            text += &format!("w{i}\tchr{chrom}\t{start}\t{}\t{strand}\t{label}\t{split}\tin/a.fa\t\n", start + 60);
        } else {
            text += &format!("s{i}\t\t\t\t\t{label}\t{split}\tin/made.csv\t{}\n", bases(i as u64, 60));
        }
    }
    text
}

/// The samtools index of FASTA with 60 bases a line.
fn fai(text: &str) -> String {
    let (mut index, mut offset) = (String::new(), 0);
    for record in text.split_inclusive('>').collect::<Vec<_>>().concat().split('>').skip(1) {
        let (header, lines) = record.split_once('\n').unwrap();
        offset += header.len() + 2;
        let length: usize = lines.lines().map(str::len).sum();
        index += &format!("{}\t{length}\t{offset}\t60\t61\n", header.split(' ').next().unwrap());
        offset += lines.len();
    }
    index
}

/// BGZF in blocks of 1,000 bytes, and the gzi index of it.
fn bgzf_with_index(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    const END: usize = 28;
    let (mut packed, mut entries) = (Vec::new(), Vec::new());
    for (i, block) in bytes.chunks(1000).enumerate() {
        if i > 0 {
            entries.extend((packed.len() as u64).to_le_bytes());
            entries.extend((i as u64 * 1000).to_le_bytes());
        }
        let whole = bgzip(block);
        packed.extend(&whole[..whole.len() - END]);
    }
    packed.extend(&bgzip(b"")[..]);
    let count = (entries.len() / 16) as u64;
    (packed, [count.to_le_bytes().to_vec(), entries].concat())
}
