//! What this process takes of its machine, as proc(5) tells.

use std::fs;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use crate::control::{Age, Usage};

/// `None` where there is no proc(5) to be read.
pub(super) fn of_this_process() -> Option<Usage> {
    let mut usage = read(&fs::read_to_string("/proc/self/stat").ok()?)?;
    usage.open_files = open_files();
    usage.max_files = getrlimit(Resource::Nofile).current;
    Some(usage)
}

/// Since Linux 6.2 the directory says how many there are. To count them has the kernel keep an entry for
/// each, which it has to clear away when the process ends, a second's work after thousands of them.
fn open_files() -> u64 {
    const DIRECTORY: &str = "/proc/self/fd";
    match fs::metadata(DIRECTORY).map_or(0, |directory| directory.len()) {
        // The directory itself is open while it is read.
        0 => fs::read_dir(DIRECTORY).map_or(0, |files| files.count().saturating_sub(1) as u64),
        open => open,
    }
}

/// From the text of a `stat` file.
fn read(stat: &str) -> Option<Usage> {
    // The name, in parentheses, may have anything in it; behind it comes field 3.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ticks = field(14)? + field(15)?;
    Some(Usage {
        cpu: Age(Duration::from_millis(ticks.saturating_mul(1000) / clock_ticks_per_second())),
        threads: field(20)?,
        reserved: field(23)?,
        resident: field(24)?.saturating_mul(page_size() as u64),
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_threads_files_and_a_limit() {
        let usage = of_this_process().unwrap();
        assert!(usage.resident > 0 && usage.reserved > usage.resident);
        assert!(usage.threads > 0);
        assert!(usage.open_files >= 3 && usage.max_files.is_none_or(|max| max >= usage.open_files));
    }

    #[test]
    fn any_name_is_passed_over() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 7 0 99 4096 2";
        let usage = read(&format!("42 (a) b (c) {rest}")).unwrap();
        let ticks = 200 * 1000 / clock_ticks_per_second();
        assert_eq!(usage.cpu, Age(Duration::from_millis(ticks)));
        assert_eq!((usage.threads, usage.reserved), (7, 4096));
        assert_eq!(usage.resident, 2 * page_size() as u64);
        assert_eq!(read("42 (a) S 1 2"), None);
    }
}
