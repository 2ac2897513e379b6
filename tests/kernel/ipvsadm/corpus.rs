//! Command lines of every kind, made from the table of options.

use piranha::cli::ipvsadm::{Spelling, Value, spellings};

use super::pair::Step;

/// What is there before a line: the commands that edit and delete need something to do it to.
pub(crate) const BEFORE: [&str; 4] = [
    "-A -t 10.0.0.1:80 -s rr",
    "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 3 -x 9 -y 5",
    "-A -f 9 -6 -s wrr -p 60 -M 64",
    "-a -f 9 -6 -r [fd01::1]:80 -m",
];

/// A line that each command accepts. `-E`, `-e` and `-l` have a line in [`each_spelling`]; they
/// take what `-A`, `-a` and `-L` take.
const COMMANDS: [&str; 12] = [
    "-A -t 10.0.0.2:80",
    "-D -t 10.0.0.1:80",
    "-a -t 10.0.0.1:80 -r 10.1.0.2:80",
    "-d -t 10.0.0.1:80 -r 10.1.0.1:80",
    "-L -n",
    "-C",
    "-Z",
    "-S -n",
    "-R",
    "--set 10 20 30",
    "--start-daemon master --mcast-interface dum0",
    "--stop-daemon master",
];

/// What ours has and Debian's has not.
const ADDED: [&str; 3] = ["json", "dry-run", "check"];

fn known() -> impl Iterator<Item = &'static Spelling> {
    spellings().iter().filter(|spelling| !ADDED.contains(&spelling.long))
}

/// A value that each option accepts.
fn value(long: &str) -> &'static str {
    match long {
        "start-daemon" | "stop-daemon" => "master",
        "tcp-service" | "udp-service" | "sctp-service" => "10.0.0.1:80",
        "fwmark-service" | "tun-port" | "syncid" | "mcast-ttl" | "weight" => "9",
        "scheduler" => "sh",
        "pe" => "sip",
        "persistent" => "50",
        "netmask" => "255.255.0.0",
        "real-server" => "10.1.0.1:80",
        "u-threshold" => "7",
        "l-threshold" => "4",
        "tun-type" => "gre",
        "sched-flags" => "flag-1",
        "mcast-interface" => "dum0",
        "sync-maxlen" => "1000",
        "mcast-group" => "224.0.0.82",
        "mcast-port" => "8849",
        other => panic!("give --{other} a value here"),
    }
}

fn long(spelling: &Spelling) -> String {
    let name = spelling.long;
    match spelling.value {
        Value::None => format!("--{name}"),
        Value::Required | Value::Optional => format!("--{name} {}", value(name)),
    }
}

/// Each command with each option, most of which it refuses, and with some commands.
pub(crate) fn each_option_with_each_command() -> Vec<Step> {
    // A persistence engine without persistence is a known difference.
    const LEFT_OUT: &str = "pe";
    const SECOND_COMMANDS: [&str; 3] = ["clear", "list", "stop-daemon"];
    let is_second = |name: &str| SECOND_COMMANDS.contains(&name);
    let options = Vec::from_iter(
        known().filter(|o| (is_second(o.long) || !is_command(o.long)) && o.long != LEFT_OUT),
    );
    let lines = COMMANDS.iter().flat_map(|command| {
        let with = options.iter().map(move |option| format!("{command} {}", long(option)));
        with.chain([(*command).to_owned()])
    });
    lines.map(|line| Step::new(&line)).collect()
}

/// Commands stand before all options in the table.
fn is_command(name: &str) -> bool {
    let mut commands = spellings().iter().map(|spelling| spelling.long);
    commands.by_ref().take_while(|name| *name != "tcp-service").any(|command| command == name)
}

/// Each option in each way to write it, the wrong ones among them.
pub(crate) fn each_spelling() -> Vec<Step> {
    let mut lines = Vec::new();
    for spelling in known() {
        let name = spelling.long;
        let mut forms = vec![format!("--{name}"), format!("--{name}="), format!("--{name}x")];
        if spelling.value == Value::None {
            forms.push(format!("--{name}=1"));
        } else {
            let value = value(name);
            forms.extend([format!("--{name}={value}"), format!("--{name} {value}")]);
        }
        if let Some(short) = spelling.short {
            forms.extend([format!("-{short}"), format!("-{short}=")]);
            if spelling.value == Value::None {
                forms.push(format!("-{short}Q"));
            } else {
                let value = value(name);
                forms.extend(["", " ", "="].map(|between| format!("-{short}{between}{value}")));
            }
        }
        for form in forms {
            lines.push(Step::new(&place(name, &form)));
        }
    }
    lines
}

/// A line in which the option is legal, or the option alone where it is a command.
fn place(name: &str, form: &str) -> String {
    match name {
        "tcp-service" | "udp-service" | "sctp-service" | "fwmark-service" => format!("-D {form}"),
        "ipv6" => format!("-D -f 9 {form}"),
        "scheduler" | "persistent" | "pe" | "sched-flags" => format!("-E -t 10.0.0.1:80 -p {form}"),
        "netmask" => format!("-E -t 10.0.0.1:80 -p 60 {form}"),
        "ops" => format!("-A -u 10.0.0.5:53 {form}"),
        "real-server" => format!("-d -t 10.0.0.1:80 {form}"),
        "masquerading" | "ipip" | "gatewaying" | "weight" | "u-threshold" | "l-threshold" => {
            format!("-e -t 10.0.0.1:80 -r 10.1.0.1:80 {form}")
        }
        "tun-type" => format!("-e -t 10.0.0.1:80 -r 10.1.0.1:80 -i {form}"),
        "tun-port" | "tun-nocsum" | "tun-csum" | "tun-remcsum" => {
            format!("-e -t 10.0.0.1:80 -r 10.1.0.1:80 -i --tun-type gue {form}")
        }
        "connection" | "timeout" | "daemon" | "stats" | "rate" | "thresholds"
        | "persistent-conn" | "tun-info" | "nosort" | "sort" | "exact" => format!("-L -n {form}"),
        "numeric" => format!("-S {form}"),
        "mcast-interface" => format!("--start-daemon backup {form}"),
        "syncid" | "sync-maxlen" | "mcast-group" | "mcast-port" | "mcast-ttl" => {
            format!("--start-daemon backup --mcast-interface dum0 {form}")
        }
        _ => form.to_owned(),
    }
}

/// Each pair of options of a list, of all services and of one.
pub(crate) fn each_pair_of_views() -> Vec<Step> {
    const VIEWS: [&str; 12] = [
        "-c",
        "--timeout",
        "--daemon",
        "--stats",
        "--rate",
        "--thresholds",
        "--persistent-conn",
        "--tun-info",
        "--nosort",
        "--sort",
        "--exact",
        "--syncid 4",
    ];
    let mut lines = Vec::new();
    for (index, first) in VIEWS.iter().enumerate() {
        for of in ["", "-t 10.0.0.1:80", "-f 9 -6", "-u 10.0.0.1:80"] {
            lines.push(Step::new(&format!("-L -n {first} {of}")));
        }
        for second in &VIEWS[index + 1..] {
            lines.push(Step::new(&format!("-L -n {first} {second}")));
        }
    }
    lines
}

/// Values in and out of their ranges.
pub(crate) fn values() -> Vec<Step> {
    const TIMES: &str = "0 1 -1 2678400 2678401 x 1x 4294967296";
    const THRESHOLDS: &str = "0 1 -1 2147483647 2147483648 x";
    const OF_16_BITS: &str = "0 1 65507 65508 65535 65536 -1 x";
    const OF_8_BITS: &str = "0 1 255 256 -1 x 010";
    const SERVICES: &str = "10.0.0.9 10.0.0.9:0 10.0.0.9:65535 10.0.0.9:65536 10.0.0.9: :80 \
        10.0.0.9:nonsense 10.0.0.256:80 10.9:80 0x0a000009:80 012.0.0.9:80 12 [fd00::9]:80 \
        [fd00::9] [fd00::9]: [fd00::9]:x fd00::9 [fd00::g]:80 [fd00::9]80 10.0.0.9:80:80 \
        224.0.0.1:80 0.0.0.0:80 255.255.255.255:80 [ff02::1]:80 [::]:80 [::ffff:10.0.0.9]:80";
    let templates = [
        ("-A -t % -p", SERVICES),
        ("-A -u %", SERVICES),
        ("-A --sctp-service %", "10.0.0.9:80 [fd00::9]:80 10.0.0.9"),
        ("-A -f %", "0 1 010 0x10 -1 2147483647 4294967296 x 1x"),
        ("-A -f % -6", "1 2147483647"),
        (
            "-A -t 10.0.0.9:80 -s %",
            "rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh nope \
            sixteen-letters- fifteen-letters",
        ),
        ("-A -t 10.0.0.9:80 -p %", TIMES),
        (
            "-A -t 10.0.0.9:80 -p 60 -M %",
            "255.255.255.0 255.255.255.255 128.0.0.0 255.0.0.x -1 nonsense",
        ),
        ("-A -t [fd00::9]:80 -p 60 -M %", "1 64 128 129 0 -1 x 255.255.255.0"),
        ("-A -t 10.0.0.9:80 -p 60 --pe %", "sip nope sixteen-letters-"),
        ("-A -u 10.0.0.9:53 -o -s %", "rr"),
        ("-A -f 8 -o -s %", "rr"),
        ("-A -t 10.0.0.9:80 -o -s %", "rr"),
        (
            "-A -t 10.0.0.9:80 -s sh -b %",
            "sh-fallback sh-port sh-fallback,sh-port sh-port,sh-fallback \
            mh-port flag-1,flag-2 flag-4 sh-port, x",
        ),
        ("-A -t 10.0.0.9:80 -s mh -b %", "mh-fallback mh-port mh-fallback,mh-port sh-port flag-2"),
        ("-A -t 10.0.0.9:80 -b %", "flag-1 flag-2,flag-3 flag-1,flag-2,flag-3 sh-port"),
        (
            "-a -t 10.0.0.1:80 -r %",
            "10.1.0.9 10.1.0.9:8080 10.1.0.9:0 10.1.0.9:65536 [fd01::9]:80 \
            fd01::9 0.0.0.0:80 224.0.0.1 255.255.255.255 127.0.0.1 10.9.9.9:80 7 x",
        ),
        ("-a -t 10.0.0.1:80 -m -r %", "10.1.0.9 10.1.0.9:8080 10.1.0.9:0 [fd01::9]:80"),
        ("-a -t 10.0.0.1:80 -i -r %", "10.1.0.9:8080 [fd01::9]:80 [fd01::9]:8080"),
        ("-a -f 9 -6 -r %", "10.1.0.9 [fd01::9]:80 fd01::9 [fe80::1]:80 [ff02::1]:80 [::1]:80"),
        ("-a -f 9 -6 -i -r %", "10.1.0.9 [fd01::9]:80"),
        ("-a -f 8 -r %", "10.1.0.9"),
        ("-a -t 10.0.0.1:80 -r 10.1.0.9 -w %", "0 1 65535 65536 2147483647 2147483648 -1 x"),
        ("-a -t 10.0.0.1:80 -r 10.1.0.9 -x %", THRESHOLDS),
        ("-a -t 10.0.0.1:80 -r 10.1.0.9 -x 5 -y %", "0 4 5 6 x"),
        ("-e -t 10.0.0.1:80 -r 10.1.0.1 -y %", THRESHOLDS),
        ("-a -t 10.0.0.1:80 -r 10.1.0.9 -i --tun-type gue --tun-csum --tun-port %", OF_16_BITS),
        ("-D -t %", "10.0.0.1:80 10.0.0.2:80 10.0.0.1:http"),
        ("-Z -t %", "10.0.0.1:80 10.0.0.2:80"),
        ("-d -t 10.0.0.1:80 -r %", "10.1.0.1 10.1.0.1:80 10.1.0.1:81 10.1.0.2"),
        ("-d -t 10.0.0.2:80 -r %", "10.1.0.1"),
        ("--set % 0 0", TIMES),
        ("--set 0 % 0", TIMES),
        ("--set 0 0 %", TIMES),
        ("--start-daemon %", "master slave MASTER 1"),
        ("--stop-daemon %", "master backup slave 1"),
        (
            "--start-daemon master --mcast-interface %",
            "dum0 nope0 sixteen-letters- fifteen-letters",
        ),
        ("--start-daemon master --mcast-interface dum0 --syncid %", OF_8_BITS),
        ("--start-daemon master --mcast-interface dum0 --sync-maxlen %", OF_16_BITS),
        (
            "--start-daemon master --mcast-interface dum0 --mcast-group %",
            "224.0.0.99 239.255.0.1 10.0.0.1 ff02::99 [ff02::99] fd00::1 x",
        ),
        ("--start-daemon master --mcast-interface dum0 --mcast-port %", OF_16_BITS),
        ("--start-daemon backup --mcast-interface dum0 --mcast-ttl %", OF_8_BITS),
    ];
    let lines = templates.iter().flat_map(|(template, values)| {
        values.split_whitespace().map(|value| Step::new(&template.replace('%', value)))
    });
    lines.collect()
}

/// Each tunnel with and without each of its options.
pub(crate) fn tunnels() -> Vec<Step> {
    let mut lines = Vec::new();
    for kind in ["", "--tun-type ipip", "--tun-type gue", "--tun-type gre", "--tun-type gtp"] {
        for port in ["", "--tun-port 6080"] {
            for sum in
                ["", "--tun-nocsum", "--tun-csum", "--tun-remcsum", "--tun-nocsum --tun-csum"]
            {
                for method in ["-i", "-m"] {
                    let options = format!("{method} {kind} {port} {sum}");
                    lines.push(Step::new(&format!("-a -t 10.0.0.1:80 -r 10.1.0.9 {options}")));
                }
            }
        }
    }
    lines
}

/// Lines without what they need, in the wrong order, or with too much.
pub(crate) fn misshapen() -> Vec<Step> {
    const LINES: [&str; 38] = [
        "-x",
        "-n",
        "-nL",
        "x",
        "-- -L",
        "-",
        "--",
        "-A",
        "-E",
        "-D",
        "-a",
        "-e",
        "-d",
        "-A x",
        "-a -t 10.0.0.1:80",
        "-a -r 10.1.0.1:80",
        "-d -t 10.0.0.1:80",
        "-Z x",
        "-C x",
        "-L x",
        "-S x",
        "-R x",
        "--set",
        "--set 1",
        "--set 1 2",
        "--set 1 2 3 4",
        "--set 1 x 3",
        "--start-daemon",
        "--stop-daemon",
        "-A -L -t 10.0.0.9:80",
        "-A -t 10.0.0.9:80 -t 10.0.0.9:80",
        "-A -t 10.0.0.9:80 -u 10.0.0.9:80",
        "-a -t 10.0.0.1:80 -r 10.1.0.9 -g -m",
        "-A -6 -f 8",
        "-A -t 10.0.0.9:80 -6",
        "-a -r 10.1.0.9:80 -t 10.0.0.1:80",
        "-Lnn",
        "-lnc",
    ];
    LINES.iter().map(|line| Step::new(line)).collect()
}

/// The words that sort behind others, to have more to list.
pub(crate) const MANY: [&str; 22] = [
    "-A -t 10.0.0.1:80 -s rr",
    "-a -t 10.0.0.1:80 -r 10.1.0.3:81 -m -w 0",
    "-a -t 10.0.0.1:80 -r 10.1.0.3:80 -m -w 2147483647",
    "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -x 2147483647 -y 7",
    "-a -t 10.0.0.1:80 -r 10.1.0.2:80 -i",
    "-a -t 10.0.0.1:80 -r 10.1.0.4:80 -i --tun-type gue --tun-port 6080 --tun-remcsum",
    "-a -t 10.0.0.1:80 -r 10.1.0.5:80 -i --tun-type gre --tun-csum",
    "-a -t 10.0.0.1:80 -r 10.9.9.9:80 -g",
    "-A -t 10.0.0.1:21 -s wlc -p 300",
    "-A -t 10.0.0.2:0 -s lc -p 2678400 -M 255.255.255.0",
    "-A -u 10.0.0.1:53 -s sh -o -b sh-fallback,sh-port",
    "-a -u 10.0.0.1:53 -r 10.1.0.1:5353 -m",
    "-A -u 10.0.0.1:5060 -s wlc -p 60 --pe sip",
    "-A --sctp-service 10.0.0.1:9 -s wrr",
    "-A -t [fd00::1]:80 -s rr -p 360 -M 64",
    "-a -t [fd00::1]:80 -r [fd01::2]:8080 -m",
    "-a -t [fd00::1]:80 -r [fd01::1]:80 -g",
    "-A -u [fd00::1]:53 -s mh -b mh-port",
    "-A -f 7 -s wrr -b flag-1,flag-3",
    "-a -f 7 -r 10.1.0.1:0 -g",
    "-A -f 7 -6 -s rr",
    "-a -f 7 -6 -r [fd01::1]:443 -m",
];
