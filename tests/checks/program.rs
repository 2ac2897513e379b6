//! Checks by external programs: what they may do, and what ends them.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use piranha::health::{Check, CheckSpec, Expect, Failure, ProgramSpec, Stage};
use piranha::net::Protocol;
use piranha::runtime::checks::build;

use crate::{AMPLE, SHORT};

/// A shell script of its own.
fn script(body: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("probe");
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    (directory, path)
}

fn check(command: &str, expect: Expect) -> Arc<dyn Check> {
    let spec = CheckSpec::Program(ProgramSpec::new(command, expect).unwrap());
    build(&spec, Protocol::Tcp).unwrap().into()
}

async fn run(body: &str, expect: Expect, limit: Duration) -> Result<(), Failure> {
    let (_directory, path) = script(body);
    let check = check(&format!("{} %h %p", path.display()), expect);
    check.probe("[::1]:7".parse().unwrap(), limit).await
}

fn exactly(text: &str) -> Expect {
    Expect::Exactly(text.as_bytes().to_vec())
}

#[tokio::test]
async fn status_and_output_decide() {
    assert_eq!(run("echo $1 $2", exactly("::1 7"), AMPLE).await, Ok(()));
    assert_eq!(run("echo up and well", Expect::Regex("up|ready".into()), AMPLE).await, Ok(()));
    assert_eq!(run("echo anything", Expect::Nothing, AMPLE).await, Ok(()));
    assert_eq!(run("true", Expect::Anything, AMPLE).await, Err(Failure::Empty));
    let prefix_only = run("echo OKAY", exactly("OK"), AMPLE).await;
    assert!(matches!(prefix_only, Err(Failure::Differs { .. })), "{prefix_only:?}");
    let failed = run("echo OK; echo no route >&2; exit 3", exactly("OK"), AMPLE).await;
    let reason = failed.unwrap_err().to_string();
    assert_eq!(reason, r#"the program failed (exit status 3): "no route""#);
    let killed = run("kill -9 $$", Expect::Nothing, AMPLE).await.unwrap_err().to_string();
    assert!(killed.contains("killed by signal 9"), "{killed}");
}

#[tokio::test]
async fn it_has_no_shell_no_environment_and_no_way_to_more_privileges() {
    let environment = run(
        "env | cut -d= -f1 | grep -vx -e PWD -e _ -e SHLVL -e OLDPWD | sort",
        exactly("LANG\nPATH"),
        AMPLE,
    );
    assert_eq!(environment.await, Ok(()));
    let confined = run("grep NoNewPrivs /proc/self/status", Expect::Regex("1$".into()), AMPLE);
    assert_eq!(confined.await, Ok(()));
    let check = check("echo $(date) ; x", exactly("$(date) ; x"));
    assert_eq!(check.probe("127.0.0.1:1".parse().unwrap(), AMPLE).await, Ok(()));
}

#[tokio::test]
async fn memory_and_files_are_limited() {
    // The limits are set right after the start, which the script need not have seen yet.
    let body = "until [ $(ulimit -n) = 256 ]; do :; done; ulimit -v; ulimit -f";
    let shown = run(body, Expect::Regex("^1048576\n".into()), AMPLE);
    assert_eq!(shown.await, Ok(()));
}

#[tokio::test]
async fn one_that_does_not_end_is_killed_with_all_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let pid_file = directory.path().join("pid");
    let body = format!("sleep 1000 & echo $! > {}; wait", pid_file.display());
    let result = run(&body, Expect::Nothing, Duration::from_secs(2)).await;
    let (stage, after) = (Stage::Check, Duration::from_secs(2));
    assert_eq!(result, Err(Failure::TimedOut { stage, after }));
    gone(&std::fs::read_to_string(&pid_file).unwrap()).await;
}

#[tokio::test]
async fn one_whose_check_is_dropped_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let pid_file = directory.path().join("pid");
    let body = format!("echo $$ > {}; exec sleep 1000", pid_file.display());
    let probe = run(&body, Expect::Nothing, AMPLE);
    let begun = Instant::now();
    let written = async {
        while std::fs::read_to_string(&pid_file).unwrap_or_default().is_empty() {
            assert!(begun.elapsed() < AMPLE);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        result = probe => panic!("{result:?}"),
        () = written => {}
    }
    gone(&std::fs::read_to_string(&pid_file).unwrap()).await;
}

/// Waits until there is no process of this number, or one that is only to be reaped.
async fn gone(pid: &str) {
    let begun = Instant::now();
    let status = format!("/proc/{}/stat", pid.trim());
    while std::fs::read_to_string(&status).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(begun.elapsed() < AMPLE, "process {pid} lives");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_endless_output_is_read_to_the_limit_and_ends_with_the_time() {
    let result = run("while :; do echo yes; done", Expect::Anything, SHORT * 5).await;
    assert!(matches!(result, Err(Failure::TimedOut { .. })), "{result:?}");
    let long = run("head -c 100000 /dev/zero", Expect::Anything, AMPLE).await;
    assert_eq!(long, Ok(()));
}

#[tokio::test]
async fn two_never_run_at_once_for_one_server() {
    let (_directory, path) = script("sleep 1000");
    let check = check(&path.display().to_string(), Expect::Nothing);
    let server = "127.0.0.1:7".parse().unwrap();
    let first = check.probe(server, AMPLE);
    let second = async {
        tokio::task::yield_now().await;
        check.probe(server, AMPLE).await
    };
    let refused = tokio::select! {
        biased;
        result = first => panic!("{result:?}"),
        refused = second => refused,
    };
    assert!(matches!(refused, Err(Failure::Inconclusive(_))), "{refused:?}");
}

#[tokio::test]
async fn what_cannot_be_started_says_nothing_about_the_server() {
    let missing = check("/nonexistent/probe", Expect::Nothing);
    let result = missing.probe("127.0.0.1:7".parse().unwrap(), AMPLE).await;
    assert!(matches!(result, Err(Failure::Inconclusive(_))), "{result:?}");
    let spec = ProgramSpec::new("true", Expect::Nothing).unwrap();
    let spec = CheckSpec::Program(spec.with_user(Some("no such user".into())));
    assert!(build(&spec, Protocol::Tcp).is_err());
}

#[tokio::test]
async fn root_runs_it_as_the_user_that_is_named() {
    if !rustix::process::getuid().is_root() {
        eprintln!("NOT RUN: only root can choose the user of a program");
        return;
    }
    let spec = ProgramSpec::new("id -u -n", exactly("nobody")).unwrap();
    let spec = CheckSpec::Program(spec.with_user(Some("nobody".into())));
    let check = build(&spec, Protocol::Tcp).unwrap();
    assert_eq!(check.probe("127.0.0.1:7".parse().unwrap(), AMPLE).await, Ok(()));
    let groups = ProgramSpec::new("id -G", Expect::Regex("^[0-9]+$".into())).unwrap();
    let groups = CheckSpec::Program(groups.with_user(Some("nobody".into())));
    let check = build(&groups, Protocol::Tcp).unwrap();
    assert_eq!(check.probe("127.0.0.1:7".parse().unwrap(), AMPLE).await, Ok(()));
}
