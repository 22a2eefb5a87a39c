//! `explain`: a file for each of its commands.

mod motifs;
mod profile_variants;
mod sequences;
mod variants;
