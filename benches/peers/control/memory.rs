//! What `lvs` takes of memory, and how soon it says what it knows.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use piranha::control::Client;
use piranha::control::protocol::{Daemon, Scope, Servers as Which};

use crate::contender::{Contender, Kind, Layout, PORT};
use crate::traffic::{Servers, answer};
use crate::watch::Table;
use crate::{Outcome, PATIENCE, SERVERS, millis};

/// How often each answer is asked for.
const ROUNDS: usize = 50;

/// So many services `piranha status` shows.
const SHOWN: usize = 100;

/// Reloads of one changed weight.
const RELOADS: u32 = 10;

/// So many servers, in front of the kernel or, here, of the relay.
pub(crate) fn measure(servers: u32, kernel: bool) -> Outcome<()> {
    let layout = Layout { services: servers.div_ceil(SERVERS), checked_first: true, weight: 1 };
    let _servers = if kernel {
        Table::empty()?;
        Some(Servers::start()?)
    } else {
        // Where somebody else has the port there is no server to be up.
        let listener = TcpListener::bind(("0.0.0.0", PORT))?;
        std::thread::spawn(move || answer(&listener));
        None
    };
    let contender = Contender::start_with(Kind::Lvs, &layout.lvs_cf(kernel))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let told = runtime.block_on(async {
        let mut client = connect(&contender).await?;
        let up = wait_until_up(&mut client, &layout).await?;
        let mut answers = Vec::new();
        for (what, scope) in [
            ("overview", Scope::overview().at_most(0)),
            ("brief", Scope::overview()),
            ("status", Scope::of(Which::Notable).at_most(SHOWN)),
            ("all services", Scope::of(Which::Notable)),
            ("all servers", Scope::of(Which::All)),
        ] {
            answers.push((what, time(&mut client, &scope).await?));
        }
        let reload = reloads(&mut client, &contender, layout, kernel).await?;
        Outcome::Ok((up, answers, reload))
    });
    let (up, answers, reload) = told?;
    println!(
        "\n{} servers, all up after {:.1} s: {:.1} MB",
        servers.div_ceil(SERVERS) * SERVERS,
        up.as_secs_f64(),
        contender.megabytes()
    );
    for (what, times) in answers {
        println!("answer, {what}: {:.2} ms, at worst {:.2} ms", times[0], times[1]);
    }
    println!("reload of one changed weight: {:.1} ms, at worst {:.1} ms", reload[0], reload[1]);
    let [median, worst] = command(&contender)?;
    println!("piranha status, the whole command: {median:.2} ms, at worst {worst:.2} ms");
    Ok(())
}

async fn connect(contender: &Contender) -> Outcome<Client> {
    let until = Instant::now() + PATIENCE;
    loop {
        match Client::connect(&contender.control(), Daemon::Lvs).await {
            Ok(client) => return Ok(client),
            Err(error) if Instant::now() > until => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn wait_until_up(client: &mut Client, layout: &Layout) -> Outcome<Duration> {
    let begun = Instant::now();
    loop {
        let up = client.balancing_of(Scope::overview().at_most(0)).await?.totals().servers.up;
        if up == layout.services * SERVERS {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("{up} servers are up").into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Median and worst, in milliseconds.
async fn time(client: &mut Client, scope: &Scope) -> Outcome<[f64; 2]> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        client.balancing_of(scope.clone()).await?;
        times.push(millis(begun.elapsed()));
        // Not in step with anything it does every so often.
        tokio::time::sleep(Duration::from_millis(37)).await;
    }
    Ok(spread(times))
}

/// How long each reload takes that changes the weight of the last server, as whoever asks for it sees
/// it. Median and worst, in milliseconds.
async fn reloads(
    client: &mut Client,
    contender: &Contender,
    mut layout: Layout,
    kernel: bool,
) -> Outcome<[f64; 2]> {
    let mut times = Vec::new();
    for round in 0..RELOADS {
        layout.weight = 2 + round % 2;
        contender.replace(&layout.lvs_cf(kernel))?;
        let begun = Instant::now();
        client.reload().await?;
        times.push(millis(begun.elapsed()));
    }
    Ok(spread(times))
}

fn command(contender: &Contender) -> Outcome<[f64; 2]> {
    let program = std::env::current_exe()?.with_file_name("../piranha");
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let mut status = Command::new(&program);
        status.args(["status", "--control"]).arg(contender.control());
        status.stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        status.status()?;
        times.push(millis(begun.elapsed()));
        sleep(Duration::from_millis(37));
    }
    Ok(spread(times))
}

fn spread(mut times: Vec<f64>) -> [f64; 2] {
    times.sort_by(f64::total_cmp);
    let at = |index: usize| times.get(index).copied().unwrap_or(f64::NAN);
    [at(times.len() / 2), at(times.len().saturating_sub(1))]
}
