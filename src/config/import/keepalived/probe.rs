//! Checks that run a program or ask a name server.

use std::net::SocketAddr;

use super::read::Node;
use crate::config::import::importer::Importer;
use crate::config::import::ipvsadm::without_check;
use crate::config::import::service::Service;
use crate::net::Protocol;

/// `MISC_CHECK`: no shell is run, there or here.
pub(super) fn program(
    node: &Node,
    server: SocketAddr,
    service: &mut Service,
    importer: &mut Importer<'_>,
) {
    let path = node.children.iter().find(|child| child.keyword() == "misc_path");
    let line = path.map_or(node.line, |path| path.line);
    let user = node.children.iter().find(|child| child.keyword() == "user");
    match command(path.and_then(|path| path.word(1)).unwrap_or_default(), server) {
        Ok(command) => {
            service.set("check", "program", node.line, importer);
            service.set("send_program", &command, line, importer);
            run_as(user, service, importer);
        }
        Err(reason) => {
            importer.lost(line, reason);
            without_check(service, importer);
            user.inspect(|user| importer.lost(user.line, "no program is run"));
        }
    }
}

fn run_as(user: Option<&Node>, service: &mut Service, importer: &mut Importer<'_>) {
    let Some(user) = user else {
        return;
    };
    service.set("check_user", user.word(1).unwrap_or_default(), user.line, importer);
    if user.word(2).is_some() {
        importer.lost(user.line, "a program runs in the group of its user");
    }
}

/// The command for all servers, which is what `text` is for this one.
pub(super) fn command(text: &str, server: SocketAddr) -> Result<String, &'static str> {
    let text = plain(text)?;
    let word = |word: &str| match word {
        "%h" | "%p" => Err("`%h` and `%p` stand for the server's address and port here"),
        word if word.parse() == Ok(server.ip()) => Ok("%h".to_owned()),
        word if word.parse() == Ok(server.port()) => Ok("%p".to_owned()),
        word => Ok(word.to_owned()),
    };
    let words: Result<Vec<_>, _> = text.split_ascii_whitespace().map(word).collect();
    Ok(words?.join(" "))
}

/// The command `text` if it means the same without a shell.
pub(super) fn plain(text: &str) -> Result<&str, &'static str> {
    if text.trim().is_empty() {
        return Err("it names no program");
    }
    if text.contains(|letter: char| "|&;<>()$`\\\"'*?[]{}~#!".contains(letter)) {
        return Err("what a shell would make of this is not known: put it into a program of its \
                    own");
    }
    Ok(text)
}

/// `DNS_CHECK`, which asks for the SOA record of the root unless told otherwise.
pub(super) fn dns(node: &Node, service: &mut Service, importer: &mut Importer<'_>) {
    service.set("check", "dns", node.line, importer);
    let find = |word: &str| node.children.iter().find(|child| child.keyword() == word);
    let (name, kind) = (find("name"), find("type"));
    if let Some(name) = name {
        service.set("dns_name", name.word(1).unwrap_or_default(), name.line, importer);
    }
    let line = kind.map_or(node.line, |kind| kind.line);
    let kind = kind.and_then(|kind| kind.word(1)).unwrap_or("SOA");
    service.set("dns_type", kind, line, importer);
    if service.protocol() == Protocol::Tcp {
        importer.replaced(node.line, "the name server of a TCP service is asked over TCP");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_address_and_port_become_placeholders() {
        let servers = ["10.0.0.1:80", "[fd00::1]:81"].map(|text| text.parse().unwrap());
        let texts = ["/bin/check  -a 10.0.0.1 80", "/bin/check -a fd00:0::1 81"];
        for (server, text) in servers.into_iter().zip(texts) {
            assert_eq!(command(text, server).unwrap(), "/bin/check -a %h %p");
        }
        assert_eq!(command("/bin/check 10.0.0.2", servers[0]).unwrap(), "/bin/check 10.0.0.2");
    }

    #[test]
    fn what_needs_a_shell_is_refused() {
        let server = "10.0.0.1:80".parse().unwrap();
        for text in ["a | b", "a && b", "a 'b c'", "a $B", "a > b", "a *.c", "", " ", "a %h"] {
            assert!(command(text, server).is_err(), "{text}");
        }
    }
}
