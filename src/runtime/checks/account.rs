//! The user that a program runs as.

use super::CheckError;

/// Numbers of a user and their group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::runtime) struct Account {
    pub(in crate::runtime) user: u32,
    pub(in crate::runtime) group: u32,
}

/// The account of a name or number in `/etc/passwd`.
pub(in crate::runtime) fn find(user: &str) -> Result<Account, CheckError> {
    let path = "/etc/passwd";
    let text = std::fs::read_to_string(path)
        .map_err(|error| CheckError::File { path: path.into(), reason: error.to_string() })?;
    search(&text, user).ok_or_else(|| CheckError::User(user.to_owned()))
}

fn search(passwd: &str, user: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let [name, _, uid, gid, ..] = fields.as_slice() else {
            return None;
        };
        let account = Account { user: uid.parse().ok()?, group: gid.parse().ok()? };
        (*name == user || *uid == user).then_some(account)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_or_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbad line\nprobe:x:998:997::/:/bin/false\n";
        let probe = Some(Account { user: 998, group: 997 });
        assert_eq!((search(passwd, "probe"), search(passwd, "998")), (probe, probe));
        assert_eq!((search(passwd, "prob"), search(passwd, "")), (None, None));
    }
}
