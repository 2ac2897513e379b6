//! Style sheets and scripts, each under a name that changes with it.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use super::secret::hex;

/// A file that is the same for as long as its name is.
#[derive(Debug)]
pub(crate) struct Asset {
    /// The name it has in the sources.
    source: &'static str,
    /// The name it is asked by: `app.0123456789ab.css`.
    pub(crate) name: String,
    pub(crate) media: &'static str,
    pub(crate) text: String,
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// In the order in which they may name each other: a file names only those before it.
const SOURCES: &[(&str, &str, &str)] = &[
    ("app.css", "text/css; charset=utf-8", include_str!("assets/app.css")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
    ("theme.js", JAVASCRIPT, include_str!("assets/theme.js")),
    ("number.js", JAVASCRIPT, include_str!("assets/number.js")),
    ("api.js", JAVASCRIPT, include_str!("assets/api.js")),
    ("live.js", JAVASCRIPT, include_str!("assets/live.js")),
    ("kiosk.js", JAVASCRIPT, include_str!("assets/kiosk.js")),
    ("mark.js", JAVASCRIPT, include_str!("assets/mark.js")),
    ("act.js", JAVASCRIPT, include_str!("assets/act.js")),
    ("accounts.js", JAVASCRIPT, include_str!("assets/accounts.js")),
    ("graph.js", JAVASCRIPT, include_str!("assets/graph.js")),
    ("config.js", JAVASCRIPT, include_str!("assets/config.js")),
    ("columns.js", JAVASCRIPT, include_str!("assets/columns.js")),
    ("app.js", JAVASCRIPT, include_str!("assets/app.js")),
];

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let mut assets: Vec<Asset> = Vec::new();
    for (source, media, text) in SOURCES {
        // Modules import each other by the names in the sources.
        let text = assets.iter().fold((*text).to_owned(), |text, before| {
            text.replace(&format!("\"./{}\"", before.source), &format!("\"./{}\"", before.name))
        });
        let digest = hex(&Sha256::digest(&text)[..6]);
        let (stem, kind) = source.split_once('.').unwrap_or((source, "bin"));
        let name = format!("{stem}.{digest}.{kind}");
        assets.push(Asset { source, name, media, text });
    }
    assets
});

/// The asset that is asked for as `name`.
pub(crate) fn named(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

/// Where the file `source` is.
pub(crate) fn url(source: &str) -> String {
    let asset = ASSETS.iter().find(|asset| asset.source == source);
    asset.map_or_else(String::new, |asset| format!("/assets/{}", asset.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_asset_is_found_under_its_url_and_imports_only_what_there_is() {
        for (source, ..) in SOURCES {
            let url = url(source);
            let asset = named(url.strip_prefix("/assets/").unwrap()).unwrap();
            for (_, rest) in
                asset.text.match_indices("from \"./").map(|(at, _)| asset.text.split_at(at + 8))
            {
                let imported = rest.split('"').next().unwrap();
                assert!(named(imported).is_some(), "{source} imports {imported}");
            }
        }
    }
}
