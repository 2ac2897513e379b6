//! Any words at all, for tests and for the fuzzer.

use piranha::cli::ipvsadm::kernel::{Kernel, MemoryKernel};
use piranha::cli::ipvsadm::{Invocation, NoNames, Session, parse, save};

/// Reading `words` ends without a panic, and a change that they ask for, written as a command line
/// again, asks for the same.
pub(crate) fn what_is_understood_can_be_written(words: &[String]) {
    let Ok(Invocation::Change { request, .. }) = parse("ipvsadm", words, &NoNames) else {
        return;
    };
    let line = save::command_line(&request);
    let words: Vec<&str> = line.split_whitespace().collect();
    match parse("ipvsadm", &words, &NoNames) {
        Ok(Invocation::Change { request: again, .. }) => assert_eq!(again, request, "{line}"),
        other => panic!("{line}: {other:?}"),
    }
}

/// A restore of `input` ends without a panic, whichever way it is read, and a checked one that
/// finds a mistake leaves the table as it was.
pub(crate) fn a_checked_restore_is_all_or_nothing(input: &[u8]) {
    restore(&["-R"], input);
    restore(&["-R", "--dry-run"], input);
    let (code, complaints, table) = restore(&["-R", "--check"], input);
    if complaints.contains("Nothing was changed.") {
        assert_ne!(code, 0);
        assert_eq!(table, "");
    }
}

fn restore(words: &[&str], input: &[u8]) -> (u8, String, String) {
    let kernel = super::shared::SharedKernel::new(MemoryKernel::default());
    let run = |words: &[&str], mut input: &[u8]| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut open = || Ok(Box::new(kernel.clone()) as Box<dyn Kernel>);
        let mut session =
            Session::new("ipvsadm", &NoNames, &mut input, &mut out, &mut err, &mut open);
        let code = session.run_words(words).unwrap();
        (
            code,
            String::from_utf8_lossy(&out).into_owned(),
            String::from_utf8_lossy(&err).into_owned(),
        )
    };
    let (code, _, complaints) = run(words, input);
    let (_, table, _) = run(&["-Sn"], b"");
    (code, complaints, table)
}
