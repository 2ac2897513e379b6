//! One control connection, from greeting to goodbye.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::Settings;
use super::data::{Plan, Throttle};
use super::files::{File, Files, STORED_SIZE_LIMIT};
use crate::ftp_wire;

/// A control connection silent for this long is closed with 421.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a reply may block before the client counts as gone.
const REPLY_TIMEOUT: Duration = Duration::from_secs(15);
/// Commands a client may send ahead; beyond it, TCP makes the client wait.
const COMMANDS_AHEAD: usize = 8;

/// Talks to one client until it quits or its connection ends.
///
/// # Errors
/// When the control connection breaks.
pub(super) fn run(control: TcpStream, settings: &Settings, files: &Files) -> io::Result<()> {
    let mut session = Session::new(control, settings, files)?;
    session.reply(&format!("220 {} ready, anonymous only.", settings.name))?;
    session.serve()
}

/// What the reading side of the control connection found.
enum Input {
    Command(String),
    /// A line too long or not text: the client is not speaking FTP.
    Rubbish,
}

/// Reads commands on a thread of its own, so that ABOR and the client's death are noticed while
/// the session is busy with a transfer.
fn read_commands(control: TcpStream) -> io::Result<Receiver<Input>> {
    let (sender, receiver) = mpsc::sync_channel(COMMANDS_AHEAD);
    thread::Builder::new().spawn(move || {
        // The receiver learns of any end the same way: the channel closes.
        let _ = forward_commands(control, &sender);
    })?;
    Ok(receiver)
}

fn forward_commands(control: TcpStream, sender: &SyncSender<Input>) -> io::Result<()> {
    let mut reader = BufReader::new(control);
    loop {
        let mut line = Vec::new();
        let limit = ftp_wire::LINE_LIMIT as u64;
        (&mut reader).take(limit).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        let input = read_command(&line);
        let over = matches!(input, Input::Rubbish);
        if sender.send(input).is_err() || over {
            return Ok(());
        }
    }
}

/// Takes a line apart from its line end and from the telnet signals that precede ABOR (RFC 959,
/// 4.1.3).
fn read_command(line: &[u8]) -> Input {
    const TELNET_SIGNALS: [u8; 3] = [0xff, 0xf4, 0xf2];
    let Some(line) = line.strip_suffix(b"\n") else {
        return Input::Rubbish;
    };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let signals = line.iter().take_while(|byte| TELNET_SIGNALS.contains(byte)).count();
    match str::from_utf8(&line[signals..]) {
        Ok(text) if !text.contains(char::is_control) => Input::Command(text.to_owned()),
        _ => Input::Rubbish,
    }
}

/// How a transfer ended.
enum Ended {
    Complete,
    Aborted,
}

/// What the session does after a command.
enum Next {
    Continue,
    Quit,
}

/// How far the client has come in logging in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Login {
    Unknown,
    Named,
    Done,
}

struct Session<'a> {
    control: TcpStream,
    commands: Receiver<Input>,
    /// A command that arrived during a transfer and waits for its end.
    waiting: Option<Input>,
    settings: &'a Settings,
    files: &'a Files,
    local: IpAddr,
    peer: IpAddr,
    login: Login,
    plan: Plan,
    /// After `EPSV ALL` the client promised to use nothing else (RFC 2428, 4).
    only_extended_passive: bool,
    /// The offset of REST, for the next transfer. RFC 3659 (5.3) wants REST right before it, but
    /// forgetting the offset over a PASV in between would hand the client a corrupt file.
    restart_at: u64,
}

impl<'a> Session<'a> {
    fn new(control: TcpStream, settings: &'a Settings, files: &'a Files) -> io::Result<Self> {
        control.set_nodelay(true)?;
        // ABOR may come as urgent data (RFC 959, 4.1.3), of which the system would otherwise take
        // the last byte out of the stream: the line would have no end.
        SockRef::from(&control).set_out_of_band_inline(true)?;
        control.set_write_timeout(Some(REPLY_TIMEOUT))?;
        Ok(Self {
            commands: read_commands(control.try_clone()?)?,
            waiting: None,
            settings,
            files,
            local: control.local_addr()?.ip(),
            peer: control.peer_addr()?.ip(),
            login: Login::Unknown,
            plan: Plan::None,
            only_extended_passive: false,
            restart_at: 0,
            control,
        })
    }

    fn serve(&mut self) -> io::Result<()> {
        let result = self.converse();
        // The reading thread holds the socket too; without this it would keep it open.
        let _ = self.control.shutdown(std::net::Shutdown::Both);
        result
    }

    fn converse(&mut self) -> io::Result<()> {
        loop {
            let input = match self.waiting.take() {
                Some(input) => Ok(input),
                None => self.commands.recv_timeout(IDLE_TIMEOUT),
            };
            match input {
                Ok(Input::Command(line)) => match self.execute(&line)? {
                    Next::Continue => {}
                    Next::Quit => return Ok(()),
                },
                Ok(Input::Rubbish) => return self.reply("500 That is not an FTP command."),
                Err(RecvTimeoutError::Timeout) => return self.reply("421 Idle for too long."),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn execute(&mut self, line: &str) -> io::Result<Next> {
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        let verb = verb.to_ascii_uppercase();
        match verb.as_str() {
            "QUIT" => {
                self.reply("221 Goodbye.")?;
                return Ok(Next::Quit);
            }
            "USER" => self.user(argument)?,
            "PASS" => self.password()?,
            "FEAT" => {
                self.reply("211-Features:\r\n EPRT\r\n EPSV\r\n REST STREAM\r\n SIZE\r\n211 End")?
            }
            "SYST" => self.reply("215 UNIX Type: L8")?,
            "NOOP" => self.reply("200 Still here.")?,
            _ if self.login != Login::Done => {
                self.reply("530 Log in with USER anonymous first.")?
            }
            "TYPE" | "MODE" | "STRU" => self.representation(&verb, argument)?,
            "PWD" | "XPWD" => self.reply("257 \"/\" is the current directory.")?,
            "CWD" | "CDUP" => self.change_directory(&verb, argument)?,
            "PASV" => self.passive()?,
            "EPSV" => self.extended_passive(argument)?,
            "PORT" => self.active(ftp_wire::read_host_port(argument))?,
            "EPRT" => self.active(ftp_wire::read_extended(argument))?,
            "REST" => self.restart(argument)?,
            "SIZE" => self.size(argument)?,
            "RETR" => self.retrieve(argument)?,
            "STOR" => self.store(argument)?,
            "LIST" => self.send_text(&self.files.listing())?,
            "NLST" => self.send_text(&self.files.names())?,
            "ABOR" => self.reply("226 No transfer to abort.")?,
            _ => self.reply("502 Not implemented here.")?,
        }
        Ok(Next::Continue)
    }

    fn reply(&mut self, text: &str) -> io::Result<()> {
        self.control.write_all(format!("{text}\r\n").as_bytes())
    }

    fn user(&mut self, name: &str) -> io::Result<()> {
        self.login = Login::Unknown;
        if !matches!(name, "anonymous" | "ftp") {
            return self.reply("530 Only anonymous is known here.");
        }
        self.login = Login::Named;
        self.reply("331 Any password will do.")
    }

    fn password(&mut self) -> io::Result<()> {
        if self.login == Login::Unknown {
            return self.reply("503 USER comes first.");
        }
        self.login = Login::Done;
        self.reply("230 Welcome.")
    }

    /// Everything is sent as it is, in one stream: the type changes nothing but must be accepted.
    fn representation(&mut self, verb: &str, argument: &str) -> io::Result<()> {
        let argument = argument.to_ascii_uppercase();
        match (verb, argument.as_str()) {
            ("TYPE", "I" | "L 8" | "A" | "A N") | ("MODE", "S") | ("STRU", "F") => {
                self.reply("200 As you like.")
            }
            _ => self.reply("504 Not in this representation."),
        }
    }

    fn change_directory(&mut self, verb: &str, path: &str) -> io::Result<()> {
        match (verb, path) {
            ("CDUP", _) | (_, "/" | "." | ".." | "~" | "") => self.reply("250 There is only one."),
            _ => self.reply("550 There is no directory but /."),
        }
    }

    fn passive(&mut self) -> io::Result<()> {
        if self.only_extended_passive {
            return self.reply("501 EPSV ALL was agreed on.");
        }
        let (plan, address) = Plan::passive(self.local)?;
        let Some(address) = ftp_wire::write_host_port(address) else {
            return self.reply("425 PASV knows IPv4 only, use EPSV.");
        };
        self.plan = plan;
        self.reply(&format!("227 Entering Passive Mode ({address})."))
    }

    fn extended_passive(&mut self, argument: &str) -> io::Result<()> {
        let family = if self.local.is_ipv4() { "1" } else { "2" };
        if argument.eq_ignore_ascii_case("ALL") {
            self.only_extended_passive = true;
            return self.reply("200 EPSV only, then.");
        }
        if !argument.is_empty() && argument != family {
            return self.reply(&format!("522 Network protocol not supported, use ({family})."));
        }
        let (plan, address) = Plan::passive(self.local)?;
        self.plan = plan;
        let port = address.port();
        self.reply(&format!("229 Entering Extended Passive Mode (|||{port}|)"))
    }

    /// Connects only to the client itself and to no system port, so that nobody can use this
    /// server to reach a third machine (RFC 2577, the bounce attack).
    fn active(&mut self, address: Option<SocketAddr>) -> io::Result<()> {
        if self.only_extended_passive {
            return self.reply("501 EPSV ALL was agreed on.");
        }
        match address {
            None => self.reply("501 That is not an address."),
            Some(address) if address.ip() != self.peer || address.port() < 1024 => {
                self.reply("504 Only to a port above 1023 of your own address.")
            }
            Some(address) => {
                self.plan = Plan::Active(address);
                self.reply("200 Will connect there.")
            }
        }
    }

    fn restart(&mut self, argument: &str) -> io::Result<()> {
        match argument.parse() {
            Ok(offset) => {
                self.restart_at = offset;
                self.reply(&format!("350 Will start at {offset}."))
            }
            Err(_) => self.reply("501 That is not an offset."),
        }
    }

    fn size(&mut self, path: &str) -> io::Result<()> {
        match self.files.find(path) {
            Some(file) => self.reply(&format!("213 {}", file.size())),
            None => self.reply("550 No such file; file-SIZE.bin exists for every SIZE."),
        }
    }

    fn retrieve(&mut self, path: &str) -> io::Result<()> {
        let offset = std::mem::take(&mut self.restart_at);
        let Some(file) = self.files.find(path) else {
            return self.reply("550 No such file; file-SIZE.bin exists for every SIZE.");
        };
        if offset > file.size() {
            return self.reply("554 The file ends before that offset.");
        }
        self.transfer(|session, data| session.send(data, &file, offset))
    }

    fn send_text(&mut self, text: &str) -> io::Result<()> {
        let file = File::Stored(text.as_bytes().to_vec().into());
        self.transfer(|session, data| session.send(data, &file, 0))
    }

    fn store(&mut self, path: &str) -> io::Result<()> {
        let offset = std::mem::take(&mut self.restart_at);
        if let Err(reason) = Files::storable(path) {
            return self.reply(&format!("553 Not stored: {reason}."));
        }
        let Some(mut bytes) = self.kept(path, offset) else {
            return self.reply("554 The file ends before that offset.");
        };
        let mut complete = false;
        self.transfer(|session, data| {
            let ended = session.receive(data, &mut bytes)?;
            complete = matches!(ended, Ended::Complete);
            if complete {
                session.files.store(path, std::mem::take(&mut bytes)).map_err(io::Error::other)?;
            }
            Ok(ended)
        })
    }

    /// The first `offset` bytes of what is stored at `path` already, which a restarted STOR keeps.
    fn kept(&self, path: &str, offset: u64) -> Option<Vec<u8>> {
        let count = usize::try_from(offset).ok()?;
        if count == 0 {
            return Some(Vec::new());
        }
        let file = self.files.find(path).filter(|file| file.size() >= offset)?;
        let mut bytes = vec![0; count];
        file.read(0, &mut bytes);
        Some(bytes)
    }

    /// Opens the data connection, runs `body` on it and says how it went. A failure of the data
    /// connection is not one of the session.
    fn transfer(
        &mut self,
        body: impl FnOnce(&mut Self, &mut TcpStream) -> io::Result<Ended>,
    ) -> io::Result<()> {
        let plan = std::mem::take(&mut self.plan);
        self.reply("150 Opening the data connection.")?;
        let mut data = match plan.open(self.local, self.peer) {
            Ok(data) => data,
            Err(error) => return self.reply(&format!("425 No data connection: {error}.")),
        };
        let ended = body(self, &mut data);
        drop(data);
        match ended {
            Ok(Ended::Complete) => self.reply("226 Transfer complete."),
            Ok(Ended::Aborted) => self.reply("426 Aborted.\r\n226 As you wished."),
            Err(error) => self.reply(&format!("426 Transfer failed: {error}.")),
        }
    }

    fn send(&mut self, data: &mut TcpStream, file: &File, mut offset: u64) -> io::Result<Ended> {
        let mut throttle = Throttle::new(self.settings.bytes_per_second);
        let mut buffer = vec![0; throttle.chunk()];
        loop {
            if self.aborted(throttle.pause()) {
                return Ok(Ended::Aborted);
            }
            let count = file.read(offset, &mut buffer);
            if count == 0 {
                return Ok(Ended::Complete);
            }
            data.write_all(&buffer[..count])?;
            offset += count as u64;
            throttle.sent(count);
        }
    }

    fn receive(&mut self, data: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<Ended> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if self.aborted(Duration::ZERO) {
                return Ok(Ended::Aborted);
            }
            let count = data.read(&mut buffer)?;
            if count == 0 {
                return Ok(Ended::Complete);
            }
            if bytes.len() + count > STORED_SIZE_LIMIT {
                return Err(io::Error::other("the file is too large to keep in memory"));
            }
            bytes.extend_from_slice(&buffer[..count]);
        }
    }

    /// Waits for `pause`, and notices if the client sends ABOR or disappears meanwhile.
    fn aborted(&mut self, pause: Duration) -> bool {
        if self.waiting.is_some() {
            thread::sleep(pause);
            return false;
        }
        match self.commands.recv_timeout(pause) {
            Ok(Input::Command(line)) if line.eq_ignore_ascii_case("ABOR") => true,
            Ok(input) => {
                self.waiting = Some(input);
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        }
    }
}
