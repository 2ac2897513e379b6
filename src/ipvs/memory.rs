//! The in-memory backend: dry runs, previews, and the model other backends are tested against.
