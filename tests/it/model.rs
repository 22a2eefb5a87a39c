//! `model`: the table of a network's layers.

use crate::fixtures::{fail, succeed, text};

/// The number in a column of the row that begins so.
fn cell(table: &str, row: &str, column: usize) -> String {
    let line =
        table.lines().find(|line| line.trim_start().starts_with(row)).unwrap_or_else(|| panic!("{row}: {table}"));
    let cells: Vec<&str> = line.trim().split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    cells[column].to_owned()
}

#[test]
fn the_published_network_has_the_shapes_it_should() {
    let table = succeed(&["model", "--arch", "shallow", "--strands", "single"]);
    assert_eq!(cell(&table, "0 ", 2), "16 x 97");
    assert_eq!(cell(&table, "0 ", 3), "2,064");
    assert_eq!(cell(&table, "0 ", 4), "198,656");
    assert_eq!(cell(&table, "0 ", 5), "32 bp");
    assert_eq!(cell(&table, "5 ", 2), "8");
    assert_eq!(cell(&table, "5 ", 3), "776");
    assert_eq!(cell(&table, "total", 1), "2,849");
    assert_eq!(cell(&table, "total", 2), "199,432");
    assert_eq!(cell(&table, "total", 3), "3 blocks");
}

#[test]
fn every_architecture_has_a_table_and_settings_change_it() {
    for arch in ["shallow", "residual", "basset", "danq", "gated"] {
        for strands in ["single", "augment", "average", "shared", "equivariant"] {
            let table = succeed(&["model", "--arch", arch, "--strands", strands, "--length", "70", "--outputs", "3"]);
            assert!(table.contains("4 x 70") && table.contains("total"), "{table}");
        }
    }
    let table = succeed(&["model", "--filters", "32", "--width", "9", "--depth", "2", "--length", "1000"]);
    assert_eq!(cell(&table, "stem_conv", 2), "32 x 1000");
    assert_eq!(cell(&table, "stem_conv", 5), "9 bp");
    assert!(table.contains("blocks.1.conv") && !table.contains("blocks.2"), "{table}");
}

#[test]
fn a_free_list_of_layers_has_a_table_or_a_sentence_that_names_the_layer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let write = |layers: &str| {
        std::fs::write(&path, format!("[model]\narch = \"custom\"\n{layers}")).unwrap();
        text(&path).to_owned()
    };
    let convolution = "[[layer]]\nkind = \"convolution\"\nfilters = 6\nwidth = 5\n";
    let pool = "[[layer]]\nkind = \"global-pool\"\nof = \"both\"\n";
    let table = succeed(&["model", &write(&format!("{convolution}{pool}"))]);
    assert_eq!(cell(&table, "layers.0", 3), "126");
    assert_eq!(cell(&table, "output", 3), "13");

    let wide = "[[layer]]\nkind = \"max-pool\"\nwidth = 200\n";
    let error = fail(1, &["model", &write(&format!("{convolution}{wide}{pool}"))]);
    assert!(error.contains("layer 2 (max-pool) is 200 wide and gets 128 positions"), "{error}");
    let error = fail(2, &["model", &write(&format!("{convolution}{wide}{pool}")), "--length", "100"]);
    assert!(error.contains("layer 2 (max-pool) is 200 wide and gets 100 positions"), "{error}");
    let error = fail(2, &["model", &write(&format!("{convolution}[[layer]]\nkind = \"dens\"\n"))]);
    assert!(error.contains("mine.toml: layer 2: unknown variant `dens`"), "{error}");
    let error = fail(2, &["model", &write("")]);
    assert!(error.contains("[[layer]] list"), "{error}");
}

#[test]
fn settings_that_do_not_fit_are_all_named() {
    let error = fail(
        2,
        &["model", "--arch", "danq", "--filters", "7", "--depth", "3", "--strands", "equivariant", "--length", "25"],
    );
    for part in ["--filters is 7, expected an even number", "--depth does not go with --arch danq", "--length is 25 bp"]
    {
        assert!(error.contains(part), "'{part}' is missing from: {error}");
    }
}
