//! Argument grammars and printers of the binaries.
