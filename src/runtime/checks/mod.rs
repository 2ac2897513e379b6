//! The built-in health checks.
