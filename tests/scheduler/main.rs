//! What each scheduler chooses, beside what the kernel's chose.
//!
//! The vectors are of a real kernel's IPVS (Linux 6.1): `tests/kernel/run schedulers` makes them
//! anew, in `target/.../kernel-lab*/out`, and compares them with ours itself.

#![allow(clippy::expect_used, reason = "a vector that cannot be read is a mistake in it")]

mod corners;
mod courses;
mod replay;
mod tables;

use courses::letters;
use replay::{Case, choices};

const CORNERS: &str = include_str!("vectors/linux-6.1/corners");
const COURSES: &str = include_str!("vectors/linux-6.1/courses");
const TABLES: &str = include_str!("vectors/linux-6.1/tables");

/// Each case must have a line, and each line a case.
fn compare(vectors: &str, cases: Vec<(String, Case)>) {
    assert_eq!(vectors.lines().count(), cases.len());
    for (line, (name, case)) in vectors.lines().zip(cases) {
        let (named, kernels) = line.split_once(": ").expect("a name and choices");
        assert_eq!(named, name);
        assert_eq!(letters(&choices(&case)), kernels, "{name}");
    }
}

#[test]
fn each_connection_goes_where_the_kernel_sent_it() {
    compare(COURSES, courses::cases());
}

#[test]
fn each_slot_of_a_table_has_the_server_it_has_in_the_kernel() {
    compare(TABLES, tables::tables());
}

#[test]
fn in_corners_where_kernels_differ_each_chooses_as_is_written_down() {
    let corners = corners::corners();
    assert_eq!(CORNERS.lines().count(), corners.len());
    for (line, corner) in CORNERS.lines().zip(corners) {
        let (named, kernels) = line.split_once(": ").expect("a name and choices");
        assert_eq!(named, corner.name);
        assert!(corner.is_of_a_kernel(kernels), "{named}: {kernels}");
        let ours = letters(&choices(&corner.case));
        assert!(corner.is_ours(&ours), "{named}: {ours}");
    }
}
