use crate::daemon::{
    Daemon, Files, LVS, alone, lvs_of, read_from, service, signal, until, word_server,
};

#[test]
fn a_stopped_pulse_gives_the_address_up_and_ends_with_0() {
    let files = Files::new();
    let server = word_server("127.78.20.11:0", "up");
    let text = alone(20, &service("web", "127.78.20.80", 8080, "127.78.20.11", server.port()));
    let mut pulse = Daemon::pulse(&files.write("lvs.cf", &text));
    pulse.expect("active, was acquiring");
    until("the service answers", || read_from("127.78.20.80:8080").is_ok_and(|word| word == "up"));
    pulse.signal("INT");
    let (status, log) = pulse.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(read_from("127.78.20.80:8080").is_err());
}

#[test]
fn a_killed_pulse_takes_its_lvs_and_the_address_with_it() {
    let files = Files::new();
    let server = word_server("127.78.21.11:0", "up");
    let text = alone(21, &service("web", "127.78.21.80", 8080, "127.78.21.11", server.port()));
    let mut pulse = Daemon::pulse(&files.write("lvs.cf", &text));
    pulse.expect("active, was acquiring");
    pulse.signal("KILL");
    let _ = pulse.end();
    until("the address is silent", || read_from("127.78.21.80:8080").is_err());
}

#[test]
fn a_killed_lvs_is_started_again_and_the_service_comes_back() {
    let files = Files::new();
    let server = word_server("127.78.22.11:0", "up");
    let text = alone(22, &service("web", "127.78.22.80", 8080, "127.78.22.11", server.port()));
    let mut pulse = Daemon::pulse(&files.write("lvs.cf", &text));
    pulse.expect("active, was acquiring");
    signal(lvs_of(pulse.pid()), "KILL");
    pulse.expect("data plane lost");
    pulse.expect("active, was acquiring");
    until("the service answers", || read_from("127.78.22.80:8080").is_ok_and(|word| word == "up"));
}

#[test]
fn a_reload_brings_the_vip_of_a_new_virtual_up_and_takes_a_removed_one_down() {
    let files = Files::new();
    let server = word_server("127.78.23.11:0", "up");
    let one = service("one", "127.78.23.80", 8080, "127.78.23.11", server.port());
    let two = service("two", "127.78.23.81", 8080, "127.78.23.11", server.port());
    let path = files.write("lvs.cf", &alone(23, &one));
    let mut pulse = Daemon::pulse(&path);
    pulse.expect("active, was acquiring");
    files.write("lvs.cf", &alone(23, &(one.clone() + &two)));
    pulse.signal("HUP");
    pulse.expect("configuration reloaded");
    until("the new VIP answers", || read_from("127.78.23.81:8080").is_ok_and(|word| word == "up"));
    files.write("lvs.cf", &alone(23, &one));
    pulse.signal("HUP");
    until("the removed VIP is silent", || read_from("127.78.23.81:8080").is_err());
    assert_eq!(read_from("127.78.23.80:8080").unwrap(), "up");
}

#[test]
fn a_reload_that_fails_leaves_what_ran_running() {
    let files = Files::new();
    let server = word_server("127.78.24.11:0", "up");
    let one = service("one", "127.78.24.80", 8080, "127.78.24.11", server.port());
    let path = files.write("lvs.cf", &alone(24, &one));
    let mut pulse = Daemon::pulse(&path);
    pulse.expect("active, was acquiring");
    until("the service answers", || read_from("127.78.24.80:8080").is_ok_and(|word| word == "up"));
    files.write("lvs.cf", "primary = nowhere at all\n");
    pulse.signal("HUP");
    let line = pulse.expect("what ran is still running");
    assert!(line.contains("lvs.cf:1:"), "{line}");
    assert_eq!(read_from("127.78.24.80:8080").unwrap(), "up");
}

#[test]
fn a_file_that_is_gone_or_cannot_be_read_is_named_and_what_ran_goes_on() {
    let files = Files::new();
    let server = word_server("127.78.26.11:0", "up");
    let text = alone(26, &service("one", "127.78.26.80", 8080, "127.78.26.11", server.port()));
    let path = files.write("lvs.cf", &text);
    let mut pulse = Daemon::pulse(&path);
    pulse.expect("active, was acquiring");
    until("the service answers", || read_from("127.78.26.80:8080").is_ok_and(|word| word == "up"));
    let mut refused = || {
        pulse.signal("HUP");
        let line = pulse.expect("what ran is still running");
        assert!(line.contains("cannot read") && line.contains("lvs.cf"), "{line}");
        assert_eq!(read_from("127.78.26.80:8080").unwrap(), "up");
    };
    std::fs::remove_file(&path).unwrap();
    refused();
    // Root may read whatever is a file.
    std::fs::create_dir(&path).unwrap();
    refused();
    std::fs::remove_dir(&path).unwrap();
    files.write("lvs.cf", &text);
    pulse.signal("HUP");
    pulse.expect("configuration reloaded, 0 changes");
}

#[test]
fn an_lvs_started_by_hand_serves_by_itself_and_stops_on_sigterm() {
    let files = Files::new();
    let server = word_server("127.78.25.11:0", "up");
    let text = alone(25, &service("web", "127.78.25.80", 8080, "127.78.25.11", server.port()));
    let path = files.write("lvs.cf", &text);
    let lvs = Daemon::start(LVS, &["-n", "-c", path.to_str().unwrap()]);
    until("the service answers", || read_from("127.78.25.80:8080").is_ok_and(|word| word == "up"));
    lvs.signal("TERM");
    let (status, log) = lvs.end();
    assert_eq!(status.code(), Some(0), "{log}");
}
