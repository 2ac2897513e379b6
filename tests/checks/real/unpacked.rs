//! Servers that `tests/checks/run` unpacks below `target` instead of installing them: INN wants a
//! host with a domain name, and MySQL, which Debian has in its unstable suite only, libraries of
//! that.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use piranha::health::{Application, ApplicationSpec, CheckSpec, Security};

use super::{
    command, directory, free_port, give_to, hangs_and_goes, is_root, is_verified, login, plain,
    ready, start, tls,
};
use crate::certificates::{file, secret};
use crate::{AMPLE, probe, why};

/// Where the files of a server are, or `None` and a word on what is not tested.
fn unpacked(server: &str, program: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/check-servers").join(server);
    if !root.join(program).exists() {
        eprintln!("NOT RUN: {server} is not unpacked");
        return None;
    }
    Some(root)
}

/// The news server of InterNetNews, without the daemon that feeds it.
#[tokio::test]
async fn nnrpd() {
    let program = "usr/lib/news/bin/nnrpd-ssl";
    let Some(root) = unpacked("inn2", program) else { return };
    if !is_root() {
        return;
    }
    let (directory, address) = (directory(), free_port());
    let here = directory.path();
    let path = here.display();
    fs::copy(file("ca.pem"), here.join("ca.pem")).unwrap();
    fs::create_dir(here.join("overview")).unwrap();
    let configuration = format!(
        "mta: \"/bin/true %s\"\norganization: x\novmethod: tradindexed\nhismethod: hisv6\n\
         pathhost: news.example.org\ndomain: example.org\npathnews: {path}\npathetc: {path}\n\
         pathdb: {path}\npathspool: {path}\npathrun: {path}\npathlog: {path}\npathtmp: {path}\n\
         enableoverview: true\nnnrpdloadlimit: 0\nrunasuser: news\nrunasgroup: news\n\
         tlscafile: {path}/ca.pem\ntlscertfile: {path}/server.pem\ntlskeyfile: {path}/server.key\n"
    );
    let readers = "auth all { hosts: \"*\" default: \"<anonymous>\" }\n\
                   access all { users: \"*\" newsgroups: \"*\" }\n";
    let files = [
        ("inn.conf", configuration.as_str()),
        ("readers.conf", readers),
        ("active", "junk 0000000000 0000000001 y\n"),
        ("storage.conf", "method tradspool {\n newsgroups: *\n class: 0\n}\n"),
        ("expire.ctl", ""),
        ("history", ""),
        ("newsgroups", ""),
        ("overview/group.index", ""),
    ];
    for (name, contents) in files {
        fs::write(here.join(name), contents).unwrap();
    }
    fs::set_permissions(here.join("server.key"), Permissions::from_mode(0o600)).unwrap();
    for name in ["", "overview", "overview/group.index", "server.key", "history"] {
        give_to("news", &here.join(name));
    }
    let port = address.port().to_string();
    let arguments = ["-D", "-f", "-n", "-p", &port, "-4", "127.0.0.1"];
    let mut command = command(&root.join(program), &arguments);
    command.env("LD_LIBRARY_PATH", root.join("usr/lib/news"));
    command.env("INNCONF", here.join("inn.conf"));
    let overview = here.join("overview");
    let server = start(command, directory, address).await;
    let check = plain(Application::Nntp);
    assert_eq!(probe(&check, address, AMPLE).await, Ok(()));
    is_verified(Application::Nntp, Security::StartTls, address).await;
    let away = overview.with_extension("away");
    fs::rename(&overview, &away).unwrap();
    let broken = why(&check, address, AMPLE).await;
    assert!(broken.contains("as a greeting, got \"400 NNTP server unavailable"), "{broken}");
    fs::rename(&away, &overview).unwrap();
    hangs_and_goes(server, &check, address).await;
}

/// What `mysqld` is started with, by the loader and with the libraries of its own suite.
fn mysqld(root: &Path, arguments: &[String]) -> Command {
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let mut command = Command::new(libraries.join("ld-linux-x86-64.so.2"));
    command.arg("--library-path").arg(&libraries).arg(root.join("usr/sbin/mysqld"));
    command.args(["--no-defaults", "--user=mysql", "--secure-file-priv="]).args(arguments);
    command.arg(format!("--lc-messages-dir={}/usr/share/mysql", root.display()));
    command
}

#[tokio::test]
async fn mysql_with_caching_sha2_password() {
    let Some(root) = unpacked("mysql", "usr/sbin/mysqld") else { return };
    if !is_root() {
        return;
    }
    let (directory, address) = (directory(), free_port());
    let path = directory.path().display().to_string();
    give_to("mysql", directory.path());
    let data = format!("--datadir={path}/data");
    let made = mysqld(&root, &[data.clone(), "--initialize-insecure".into()]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let user = "CREATE USER 'ann'@'%' IDENTIFIED WITH caching_sha2_password BY 'hunter2';\n";
    fs::write(directory.path().join("users"), user).unwrap();
    let mut command = mysqld(&root, &[data, format!("--init-file={path}/users")]);
    command.args([format!("--ssl-cert={path}/server.pem"), format!("--ssl-key={path}/server.key")]);
    command.args(["--bind-address=127.0.0.1", "--mysqlx=OFF", "--disable-log-bin"]);
    command.args([format!("--port={}", address.port()), format!("--socket={path}/socket")]);
    command.arg(format!("--pid-file={path}/pid"));
    let server = start(command, directory, address).await;
    let check = plain(Application::Mysql);
    ready(&check, address).await;
    is_verified(Application::Mysql, Security::StartTls, address).await;
    let (_right, right) = secret(b"ann:hunter2");
    let in_clear = why(&login(Application::Mysql, &right), address, AMPLE).await;
    assert!(in_clear.contains("write `check_tls = starttls`"), "{in_clear}");
    if cfg!(feature = "tls") {
        let over_tls = |auth: &Path| {
            let spec = ApplicationSpec::new(Application::Mysql).with_auth(Some(auth.to_owned()));
            CheckSpec::Application(spec.with_security(Security::StartTls(tls())))
        };
        assert_eq!(probe(&over_tls(&right), address, AMPLE).await, Ok(()));
        let remembered = probe(&login(Application::Mysql, &right), address, AMPLE).await;
        assert_eq!(remembered, Ok(()), "a user who was seen proves the password without TLS");
        let (_wrong, wrong) = secret(b"ann:hunter3");
        let refused = why(&over_tls(&wrong), address, AMPLE).await;
        assert!(refused.contains("Access denied"), "{refused}");
        // So that nobody learns which users there are, it asks strangers for any of its methods.
        let (_stranger, stranger) = secret(b"nobody:hunter2");
        let refused = why(&over_tls(&stranger), address, AMPLE).await;
        let asked = refused.contains("expected a known method of authentication");
        assert!(asked || refused.contains("Access denied"), "{refused}");
    }
    hangs_and_goes(server, &check, address).await;
}
