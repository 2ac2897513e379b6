//! What a page of the book has to be done, in the order in which it stands there.

/// What stands between two fences.
pub(super) struct Block {
    /// The heading it stands under.
    pub(super) heading: String,
    /// The words behind the fence: the language, and for `sh` who does it and how.
    pub(super) kind: Vec<String>,
    pub(super) text: String,
}

impl Block {
    /// Whether it is to be done by somebody of `who`.
    pub(super) fn is_for(&self, who: &[&str]) -> bool {
        self.kind.first().is_some_and(|kind| kind == "sh")
            && self.kind.get(1).is_some_and(|place| who.contains(&place.as_str()))
    }
}

/// The page of this name.
pub(super) fn read(name: &str) -> Vec<Block> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    blocks(&std::fs::read_to_string(path).unwrap())
}

fn blocks(page: &str) -> Vec<Block> {
    let (mut heading, mut blocks, mut open) = (String::new(), Vec::new(), None::<Block>);
    for line in page.lines() {
        // Fences may be indented, as in lists.
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text += &format!("{line}\n"),
            (None, Some(kind)) => {
                let kind = kind.split(' ').map(str::to_owned).collect();
                open = Some(Block { heading: heading.clone(), kind, text: String::new() });
            }
            (None, None) if line.starts_with('#') => {
                line.trim_start_matches('#').trim().clone_into(&mut heading);
            }
            (None, None) => {}
        }
    }
    blocks
}
