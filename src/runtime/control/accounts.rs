//! Users and groups by name, from /etc/passwd and /etc/group: the daemons ask no directory
//! service, which could make them wait.

use std::fs;

/// The name of the user, or `uid` and its number.
pub(super) fn user(uid: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| named(line, 2, uid));
    name.map_or_else(|| format!("uid {uid}"), ToOwned::to_owned)
}

/// The number of the group `name`, which may be a number itself.
pub(super) fn group(name: &str) -> Option<u32> {
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    name.parse().ok().or_else(|| groups.lines().find_map(|line| numbered(line, name)))
}

/// The name in a line `name:...` whose field `place` is `number`.
fn named(line: &str, place: usize, number: u32) -> Option<&str> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    (fields.nth(place - 1)?.parse() == Ok(number)).then_some(name)
}

/// The number in a line `name:password:number:...`.
fn numbered(line: &str, wanted: &str) -> Option<u32> {
    let mut fields = line.split(':');
    if fields.next() != Some(wanted) {
        return None;
    }
    fields.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_found_in_the_lines_of_the_files() {
        assert_eq!(named("root:x:0:0:root:/root:/bin/sh", 2, 0), Some("root"));
        assert_eq!(named("root:x:0:0:root:/root:/bin/sh", 2, 1), None);
        assert_eq!(named("broken", 2, 0), None);
        assert_eq!(numbered("piranha:x:990:admin", "piranha"), Some(990));
        assert_eq!(numbered("piranha2:x:990:admin", "piranha"), None);
        assert_eq!(numbered("piranha:x", "piranha"), None);
    }

    #[test]
    fn a_user_without_a_name_is_told_by_number() {
        assert_eq!(user(u32::MAX - 7), format!("uid {}", u32::MAX - 7));
        assert_eq!(group("4242"), Some(4242));
        assert_eq!(group("no group has a name with blanks"), None);
    }
}
