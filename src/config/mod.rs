//! lvs.cf: the lossless syntax tree, the typed model, diagnostics and edits.
