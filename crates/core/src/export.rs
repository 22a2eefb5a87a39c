//! A run's network in formats that others read, made without libtorch: a PyTorch module ([`python`]), ONNX ([`onnx`]), and what a page
//! with the network in it holds ([`embedded`]). The first two read the same list of layers (`Plan`); all say of themselves what [`card`]
//! does.

pub mod card;
pub mod embedded;
#[cfg(feature = "files")]
mod network;
#[cfg(feature = "files")]
pub mod onnx;
#[cfg(feature = "files")]
pub mod python;

#[cfg(feature = "files")]
pub use network::Network;
#[cfg(feature = "files")]
use network::parts;
