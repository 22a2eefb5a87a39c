//! `schema`: the JSON schema of settings files.

use anyhow::Result;

use crate::commands::print_json;
use strandnet_core::config::schema;

pub fn run() -> Result<()> {
    print_json(&schema::of_settings())
}
