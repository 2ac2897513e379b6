//! Argument grammars and printers of the binaries.

pub mod diagnostic;
