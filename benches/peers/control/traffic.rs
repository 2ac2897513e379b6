//! The servers, and a client that goes on asking: processes of their own, in namespaces.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::Outcome;
use crate::contender::PORT;

/// A request that takes longer is lost.
const LOST: Duration = Duration::from_secs(2);

/// Between two requests: the guest has one processor, which is not to be the client's.
const PAUSE: Duration = Duration::from_millis(5);

/// The process that is every server.
pub(crate) struct Servers(Child);

impl Servers {
    pub(crate) fn start() -> Outcome<Self> {
        let (child, _, mut answers) = inside("servers", &["serve", &format!("0.0.0.0:{PORT}")])?;
        answers.read_line(&mut String::new())?;
        Ok(Self(child))
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Answers each connection with a word, until it is killed.
pub(crate) fn serve(address: &str) -> Outcome<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening");
    answer(&listener);
    Ok(())
}

/// The same, where somebody listens already.
pub(crate) fn answer(listener: &TcpListener) {
    for stream in listener.incoming() {
        // A check that has seen enough is gone by now.
        let _ = stream.and_then(|mut stream| stream.write_all(b"ok"));
    }
}

/// The process that is a client.
pub(crate) struct Hammer {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Hammer {
    pub(crate) fn start(service: &SocketAddr) -> Outcome<Self> {
        let (child, orders, mut answers) = inside("client", &["hammer", &service.to_string()])?;
        answers.read_line(&mut String::new())?;
        Ok(Self { child, orders, answers })
    }

    /// How often it asked, and how often in vain.
    pub(crate) fn finish(mut self) -> Outcome<(u64, u64)> {
        drop(self.orders);
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let _ = self.child.wait();
        let (asked, lost) = line.trim().split_once(' ').ok_or("the client died")?;
        Ok((asked.parse()?, lost.parse()?))
    }
}

/// Asks until standard input ends, then says how often, and how often in vain.
pub(crate) fn hammer(address: &str) -> Outcome<()> {
    static OVER: AtomicBool = AtomicBool::new(false);
    let address: SocketAddr = address.parse()?;
    ask(address).map_err(|error| format!("{address} does not answer: {error}"))?;
    println!("asking");
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        OVER.store(true, Ordering::Relaxed);
    });
    let (mut asked, mut lost) = (0_u64, 0_u64);
    while !OVER.load(Ordering::Relaxed) {
        asked += 1;
        if let Err(error) = ask(address) {
            lost += 1;
            eprintln!("request {asked}: {error}");
        }
        std::thread::sleep(PAUSE);
    }
    println!("{asked} {lost}");
    Ok(())
}

fn ask(address: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, LOST)?;
    stream.set_read_timeout(Some(LOST))?;
    let mut word = [0; 2];
    stream.read_exact(&mut word)
}

fn inside(
    namespace: &str,
    arguments: &[&str],
) -> Outcome<(Child, ChildStdin, BufReader<ChildStdout>)> {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(std::env::current_exe()?).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let orders = child.stdin.take().ok_or("no standard input")?;
    let answers = child.stdout.take().ok_or("no standard output")?;
    Ok((child, orders, BufReader::new(answers)))
}
