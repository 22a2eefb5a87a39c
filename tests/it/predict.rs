//! `predict`: a file for each kind of input.

mod reads;
mod sequences;
