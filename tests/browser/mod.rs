//! The pages in headless Chromium. The ring `browser` of `tests/run` runs these; they need
//! `chromium`, and axe-core where `PIRANHA_AXE` says.

mod devtools;
mod editing;
mod everybody;
mod operating;
mod pair;
mod screens;
