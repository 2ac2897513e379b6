//! The files of this node, and lvs.cf as both nodes have it in common.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::tree::{Contents, Tree};
use crate::config::{self, Loaded, Surroundings};
use crate::control::peer::FileState;
use crate::control::sync::{CONFIG, Listed, Version, Why, listed, without_role};
use crate::runtime::configuration::Machine;
use crate::runtime::configuration::machine::matches;

/// What files are to be, by where they are; `None` for those that are to be removed.
pub(super) type Texts = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// The files of one node.
pub(super) struct Local {
    /// The file itself, symbolic links followed.
    pub(super) config: PathBuf,
    pub(super) tree: Tree,
    files: BTreeMap<String, Listed>,
}

impl Local {
    /// Those of the lvs.cf at `config`. One with errors names nothing but itself.
    pub(super) fn load(config: &Path) -> io::Result<Self> {
        let config = fs::canonicalize(config)?;
        let root = config.parent().unwrap_or(Path::new("/")).to_owned();
        let text = fs::read(&config)?;
        let loaded = check(&config, &text, &Texts::new());
        Ok(Self { files: files_of(&config, &loaded), tree: Tree::new(root), config })
    }

    /// How they are now, and the others called so, which are not this lvs.cf's.
    pub(super) fn states(&self, also: &[String]) -> Vec<FileState> {
        let others = also.iter().filter(|name| !self.files.contains_key(*name));
        let own = self.files.values().map(|file| self.state(file));
        own.chain(others.map(|name| self.other(name))).collect()
    }

    /// The version and contents of the file called `name`, if both are to have it in common;
    /// `None` where there is none.
    pub(super) fn read(&self, name: &str) -> Result<Option<Contents>, String> {
        let path = self.path(name)?;
        self.tree.read(&path).map_err(|error| error.to_string())
    }

    /// The place of the file called `name` below the directory, or why it has none.
    pub(super) fn path(&self, name: &str) -> Result<PathBuf, String> {
        let file = self.files.get(name).ok_or("this node's lvs.cf does not name it")?;
        self.place(file)
    }

    fn place(&self, file: &Listed) -> Result<PathBuf, String> {
        if file.why == Why::Secret {
            return Err("a secret: `sync_file` has it synchronised".to_owned());
        }
        let below = self.tree.below(&file.path).map(Path::to_owned);
        below.ok_or_else(|| "it is not below the directory of lvs.cf".to_owned())
    }

    fn state(&self, file: &Listed) -> FileState {
        let mut state = FileState::new(file.name.clone());
        let read = self
            .place(file)
            .and_then(|path| self.tree.read(&path).map_err(|error| error.to_string()));
        match read {
            Ok(Some(contents)) => {
                state.size = contents.bytes.len() as u64;
                state.version = Some(version(&file.name, &contents));
            }
            Ok(None) => {}
            Err(why) => state.excluded = Some(why),
        }
        state
    }

    /// A file that only the partner's lvs.cf names. One that is not there either was removed here
    /// or is yet to come.
    fn other(&self, name: &str) -> FileState {
        let mut state = FileState::new(name.to_owned());
        let path = self.tree.root().join(name);
        let is_there =
            self.tree.below(&path).map(|path| self.tree.read(path).map(|it| it.is_some()));
        state.excluded = match is_there {
            Some(Ok(false)) => None,
            Some(_) => Some("lvs.cf does not name it".to_owned()),
            None => Some("it is not below the directory of lvs.cf".to_owned()),
        };
        state
    }

    /// What the files would be with `texts` in place of what is there.
    pub(super) fn with(&self, texts: &Texts) -> Result<Self, String> {
        let current;
        let text = match texts.get(&self.config) {
            Some(Some(text)) => text,
            _ => {
                current = fs::read(&self.config).map_err(|error| error.to_string())?;
                &current
            }
        };
        let loaded = check(&self.config, text, texts);
        if loaded.config.is_none() {
            return Err(first_error(&self.config, &loaded));
        }
        let (config, tree) = (self.config.clone(), self.tree.clone());
        Ok(Self { files: files_of(&config, &loaded), tree, config })
    }
}

/// What a file is. Of lvs.cf the role is left out and the mode is each node's own.
pub(super) fn version(name: &str, contents: &Contents) -> Version {
    let mut hash = Sha256::new();
    if name == CONFIG {
        hash.update(without_role(&contents.bytes));
    } else {
        hash.update(contents.mode.to_be_bytes());
        hash.update(&contents.bytes);
    }
    Version(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn files_of(path: &Path, loaded: &Loaded) -> BTreeMap<String, Listed> {
    let files = match &loaded.config {
        Some(config) => listed(path, config, &loaded.included),
        None => vec![Listed { name: CONFIG.to_owned(), path: path.to_owned(), why: Why::Config }],
    };
    files.into_iter().map(|file| (file.name.clone(), file)).collect()
}

fn first_error(path: &Path, loaded: &Loaded) -> String {
    let error = loaded.diagnostics.iter().find(|d| d.severity == config::Severity::Error);
    let Some(error) = error else { return "it was refused".to_owned() };
    let name = path.to_string_lossy();
    let (file, place) = loaded.locate(&name, error.span);
    format!("{file}:{place}: {}", error.message)
}

/// Reads a configuration that includes `texts` in place of what is on the disk.
fn check(path: &Path, text: &[u8], texts: &Texts) -> Loaded {
    let overlay = Overlay { machine: Machine::default(), texts };
    config::load_in(&path.to_string_lossy(), text, &overlay)
}

/// This machine, with files that are not there yet.
struct Overlay<'a> {
    machine: Machine,
    texts: &'a Texts,
}

impl Surroundings for Overlay<'_> {
    fn service_port(&self, name: &str) -> Option<u16> {
        self.machine.service_port(name)
    }

    fn check_pattern(&self, pattern: &str) -> Result<(), String> {
        self.machine.check_pattern(pattern)
    }

    fn has_device(&self, name: &str) -> Option<bool> {
        self.machine.has_device(name)
    }

    fn matching(&self, including: &str, pattern: &str) -> Result<Vec<String>, String> {
        let mut names = self.machine.matching(including, pattern)?;
        names.retain(|name| self.texts.get(Path::new(name)) != Some(&None));
        let wanted = Path::new(including).parent().unwrap_or(Path::new("")).join(pattern);
        let new = self.texts.iter().filter(|(path, text)| text.is_some() && fits(&wanted, path));
        names.extend(new.filter_map(|(path, _)| path.to_str().map(str::to_owned)));
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        match self.texts.get(Path::new(name)) {
            Some(Some(text)) => Ok(text.clone()),
            Some(None) => Err("it is to be removed".to_owned()),
            None => self.machine.read(name),
        }
    }
}

/// Whether `path` is one that the pattern stands for, whose last part may have wildcards.
fn fits(pattern: &Path, path: &Path) -> bool {
    let name = |path: &Path| path.file_name().map(|name| name.as_bytes().to_vec());
    let same_place = pattern.parent() == path.parent();
    let names = name(pattern).zip(name(path));
    same_place && names.is_some_and(|(pattern, name)| matches(&pattern, &name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::control::sync::with_role_of;

    fn config(text: &str) -> Version {
        version(CONFIG, &Contents { bytes: text.as_bytes().to_vec(), mode: 0o600 })
    }

    #[test]
    fn lvs_cf_is_the_same_on_both_nodes_whatever_the_role() {
        let text = "# pair\nprimary = 192.0.2.1\n";
        let same = config(text);
        for role in ["role = primary\n", "role = backup\n"] {
            assert_eq!(config(&format!("{role}{text}")), same);
        }
        assert_ne!(config("# pair\nprimary = 192.0.2.2\n"), same);
    }

    proptest! {
        #[test]
        fn what_comes_from_the_partner_keeps_the_role_and_is_the_same_version(
            ours in "(role = (primary|backup)\n)?primary = 192\\.0\\.2\\.1\n",
            theirs in "(# top\n)?(role = (primary|backup) # here\n)?primary = 192\\.0\\.2\\.2\n(keepalive = 1\n)?",
        ) {
            let web = "virtual web {\n active = 1\n address = 192.0.2.80 eth0:1\n server s {\n \
                       active = 1\n address = 10.0.0.1\n }\n}\n";
            let [ours, theirs] = [ours, theirs].map(|text| text + web);
            let taken = with_role_of(ours.as_bytes(), theirs.as_bytes()).unwrap();
            let role = |text: &[u8]| config::load(text).config.unwrap().role;
            prop_assert_eq!(role(&taken), role(ours.as_bytes()));
            prop_assert_eq!(config(std::str::from_utf8(&taken).unwrap()), config(&theirs));
        }
    }
}
