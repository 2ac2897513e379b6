//! Databases: being there, and letting a user in.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use piranha::health::{Application, ApplicationSpec, CheckSpec, Security};
use tokio::net::TcpStream;

use super::{
    command, directory, free_port, give_to, hangs_and_goes, installed, is_root, is_verified, login,
    plain, ready, start, tls,
};
use crate::certificates::secret;
use crate::{AMPLE, probe, why};

#[tokio::test]
async fn postgresql() {
    let (Some(initdb), Some(program)) = (installed("initdb"), installed("postgres")) else {
        return;
    };
    if !is_root() {
        return;
    }
    let (directory, address) = (directory(), free_port());
    let path = directory.path().display().to_string();
    for name in ["", "server.key", "server.pem"] {
        give_to("postgres", &directory.path().join(name));
    }
    let key = directory.path().join("server.key");
    fs::set_permissions(key, Permissions::from_mode(0o600)).unwrap();
    let as_user = |program: &Path, arguments: &str| {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program).args(arguments.split(' '));
        command.current_dir("/");
        command
    };
    let made = as_user(&initdb, &format!("-D {path}/data -A scram-sha-256 --no-sync -U postgres"));
    fs::write(directory.path().join("pw"), "hunter2\n").unwrap();
    let made = { made }.args(["--pwfile", &format!("{path}/pw")]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let access = "local all all trust\nhost all carol all password\nhost all all all md5\n";
    fs::write(directory.path().join("data/pg_hba.conf"), access).unwrap();
    let port = address.port();
    let command = as_user(
        &program,
        &format!(
            "-D {path}/data -h 127.0.0.1 -p {port} -k {path} -F -c max_connections=4 -c \
             superuser_reserved_connections=0 -c max_wal_senders=0 -c ssl=on -c \
             ssl_cert_file={path}/server.pem -c ssl_key_file={path}/server.key"
        ),
    );
    let server = start(command, directory, address).await;
    ready(&plain(Application::Postgresql), address).await;
    is_verified(Application::Postgresql, Security::StartTls, address).await;
    // Over the socket in the directory, which asks for no password.
    let make = "SET password_encryption = md5; CREATE ROLE bob LOGIN PASSWORD 'secret of bob'; \
                CREATE ROLE carol LOGIN PASSWORD 'secret of carol'";
    let psql = installed("psql").unwrap();
    let arguments = ["-h", &path, "-p", &port.to_string(), "-U", "postgres", "-c", make];
    let made = Command::new(psql).args(arguments).env_clear().output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let (postgres, bob, carol) = (
        secret(b"postgres:hunter2"),
        secret(b"bob:secret of bob"),
        secret(b"carol:secret of carol"),
    );
    for (_directory, auth) in [&postgres, &bob] {
        let check = login(Application::Postgresql, auth);
        assert_eq!(probe(&check, address, AMPLE).await, Ok(()), "SCRAM and MD5");
    }
    let in_clear = why(&login(Application::Postgresql, &carol.1), address, AMPLE).await;
    assert!(in_clear.contains("write `check_tls = starttls`"), "{in_clear}");
    if cfg!(feature = "tls") {
        for (_directory, auth) in [&postgres, &bob, &carol] {
            let spec = ApplicationSpec::new(Application::Postgresql).with_auth(Some(auth.clone()));
            let check = CheckSpec::Application(spec.with_security(Security::StartTls(tls())));
            assert_eq!(probe(&check, address, AMPLE).await, Ok(()));
        }
    }
    for wrong in [&b"postgres:hunter3"[..], b"bob:hunter2", b"nobody:x"] {
        let (_directory, auth) = secret(wrong);
        let refused = why(&login(Application::Postgresql, &auth), address, AMPLE).await;
        assert!(refused.starts_with("expected to be let in after the login, got \"password"));
    }
    hangs_and_goes(server, &plain(Application::Postgresql), address).await;
}

#[tokio::test]
async fn mariadb() {
    let (Some(install), Some(program)) = (installed("mariadb-install-db"), installed("mariadbd"))
    else {
        return;
    };
    if !is_root() {
        return;
    }
    let (directory, address) = (directory(), free_port());
    let path = directory.path().display().to_string();
    give_to("mysql", directory.path());
    let common = ["--no-defaults", "--user=mysql", &format!("--datadir={path}/data")];
    let made = command(&install, &common).arg("--skip-test-db").output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let users = "CREATE USER 'ann'@'%' IDENTIFIED BY 'hunter2';\n\
                 CREATE USER 'ann'@'localhost' IDENTIFIED BY 'hunter2';\n";
    fs::write(directory.path().join("users"), users).unwrap();
    let mut command = command(&program, &common);
    command.arg(format!("--init-file={path}/users"));
    command.args([format!("--ssl-cert={path}/server.pem"), format!("--ssl-key={path}/server.key")]);
    command.args(["--bind-address=127.0.0.1", "--max-connections=10", "--max-connect-errors=3"]);
    command.args([format!("--port={}", address.port()), format!("--socket={path}/socket")]);
    command.args([format!("--pid-file={path}/pid"), "--skip-name-resolve=0".into()]);
    let server = start(command, directory, address).await;
    let check = plain(Application::Mysql);
    // More of them than a host may break off before it is blocked.
    for _ in 0..20 {
        assert_eq!(probe(&check, address, AMPLE).await, Ok(()));
    }
    let (_right, right) = secret(b"ann:hunter2");
    assert_eq!(probe(&login(Application::Mysql, &right), address, AMPLE).await, Ok(()));
    for wrong in [&b"ann:hunter3"[..], b"ann:", b"nobody:hunter2"] {
        let (_wrong, wrong) = secret(wrong);
        let refused = why(&login(Application::Mysql, &wrong), address, AMPLE).await;
        assert!(refused.contains("Access denied"), "{refused}");
    }
    if cfg!(feature = "tls") {
        let spec = ApplicationSpec::new(Application::Mysql);
        let secure = Security::StartTls(tls());
        let check = CheckSpec::Application(spec.with_auth(Some(right)).with_security(secure));
        assert_eq!(probe(&check, address, AMPLE).await, Ok(()));
    }
    is_verified(Application::Mysql, Security::StartTls, address).await;
    let mut held = Vec::new();
    for _ in 0..12 {
        held.push(TcpStream::connect(address).await.unwrap());
    }
    let begun = Instant::now();
    let full = loop {
        match probe(&check, address, AMPLE).await {
            Err(failure) => break failure.to_string(),
            Ok(()) => assert!(begun.elapsed() < AMPLE, "there is always room"),
        }
    };
    assert!(full.contains("Too many connections"), "{full}");
    drop(held);
    ready(&check, address).await;
    hangs_and_goes(server, &check, address).await;
}
