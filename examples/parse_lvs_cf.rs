//! Reads an lvs.cf: what is wrong with it, what it means, and an edit that keeps every other byte.
//!
//! ```text
//! cargo run --example parse_lvs_cf                                 a file of its own
//! cargo run --example parse_lvs_cf -- /etc/sysconfig/ha/lvs.cf
//! ```
#![allow(clippy::disallowed_methods, reason = "an example does its own input and output")]

use std::error::Error;

use piranha::config::{Config, Directive, Loaded, load};

const SAMPLE: &[u8] = b"\
# The shop, behind two directors.
primary = 192.0.2.11
backup  = 192.0.2.12
backup_active = 1
virtual shop {
    active = 1
    address = 192.0.2.80 eth0:1
    port = 443
    check = connect
    server one {
        address = 192.0.2.21
        active = 1
        weight = 2      # the new machine
    }
}
";

/// Everything there is to say about the file, each remark with its place.
fn remarks(loaded: &Loaded) -> impl Iterator<Item = String> + '_ {
    loaded.diagnostics.iter().map(|diagnostic| {
        let place = loaded.document.position(diagnostic.span.start);
        let help = diagnostic.help.as_deref().unwrap_or("no help");
        format!("{place}: {diagnostic} ({help})")
    })
}

fn print(config: &Config) {
    println!("directors: {} and {:?}", config.primary, config.backup);
    for service in &config.virtuals {
        println!("{}: {}:{} by {}", service.name, service.address, service.port, service.scheduler);
        for server in &service.servers {
            println!("  {} {} weight {}", server.name, server.address, server.weight);
        }
    }
}

/// The file with another weight; comments and layout stay.
fn with_weight(file: &[u8], weight: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut loaded = load(file);
    loaded.document.set_server("shop", "one", Directive::Weight, weight)?;
    Ok(loaded.document.to_bytes())
}

fn main() -> Result<(), Box<dyn Error>> {
    let given = std::env::args_os().nth(1);
    let file = given.as_ref().map_or(Ok(SAMPLE.to_vec()), std::fs::read)?;
    let loaded = load(&file);
    remarks(&loaded).for_each(|remark| println!("{remark}"));
    let Some(config) = &loaded.config else { return Err("the file cannot be used".into()) };
    print(config);
    if given.is_none() {
        println!("\nwith another weight:\n{}", String::from_utf8(with_weight(&file, "5")?)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_changes_one_word_and_nothing_else() {
        let after = String::from_utf8(with_weight(SAMPLE, "5").unwrap()).unwrap();
        let before = std::str::from_utf8(SAMPLE).unwrap();
        assert_eq!(after, before.replace("weight = 2 ", "weight = 5 "));
        assert!(load(after.as_bytes()).config.is_some());
    }

    #[test]
    fn a_slip_is_told_with_its_place_and_its_mend() {
        let file = String::from_utf8(SAMPLE.to_vec()).unwrap().replace("weight", "wieght");
        let loaded = load(file.as_bytes());
        assert!(loaded.config.is_none());
        let said: Vec<_> = remarks(&loaded).collect();
        assert!(said.iter().any(|line| line.starts_with("13:9: error[E0102]")), "{said:?}");
        assert!(said.iter().any(|line| line.contains("did you mean `weight`?")), "{said:?}");
    }
}
