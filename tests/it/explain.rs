//! `explain`: a file for each of its commands.

mod motifs;
mod sequences;
mod variants;
