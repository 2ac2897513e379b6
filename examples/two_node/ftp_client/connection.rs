//! The client's end of one control connection, and of the data connection it agrees on.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Break, Mode};
use crate::ftp_wire;

/// Lines a reply may have; the longest real one is FEAT's.
const REPLY_LINES: usize = 64;

/// A reply: its code and its last line, code included.
struct Reply {
    code: u16,
    line: String,
}

impl Reply {
    /// The reply itself if it is of the expected kind: the first digit, as RFC 959 (4.2.1) asks
    /// of clients.
    fn expect(self, kind: u16) -> Result<Self, Break> {
        match self.code / 100 {
            found if found == kind => Ok(self),
            // 4xx is "try again later" by definition; the server or the director may be going.
            4 => Err(Break::Retry(io::Error::other(self.line))),
            _ => Err(Break::Fatal(self.line)),
        }
    }
}

/// How the data connection will be made.
pub(super) enum DataPlan {
    Connect(SocketAddr),
    Accept(TcpListener),
}

/// A control connection.
pub(super) struct Connection {
    reader: BufReader<TcpStream>,
    server: IpAddr,
    local: IpAddr,
    timeout: Duration,
}

impl Connection {
    /// Connects and takes the greeting.
    pub(super) fn open(server: SocketAddr, timeout: Duration) -> Result<Self, Break> {
        let stream = connect(server, timeout)?;
        let local = stream.local_addr()?.ip();
        let reader = BufReader::new(stream);
        let mut connection = Self { reader, server: server.ip(), local, timeout };
        connection.reply()?.expect(2)?;
        Ok(connection)
    }

    pub(super) fn log_in(&mut self) -> Result<(), Break> {
        self.command("USER anonymous")?.expect(3)?;
        self.command("PASS two-node@example.net")?.expect(2)?;
        self.command("TYPE I")?.expect(2)?;
        Ok(())
    }

    pub(super) fn size(&mut self, name: &str) -> Result<u64, Break> {
        let reply = self.command(&format!("SIZE {name}"))?.expect(2)?;
        let size = reply.line.get(4..).and_then(|text| text.trim().parse().ok());
        size.ok_or_else(|| Break::Fatal(format!("not a size: {}", reply.line)))
    }

    /// Agrees with the server on how the data connection will be made.
    pub(super) fn prepare_data(&mut self, mode: Mode) -> Result<DataPlan, Break> {
        match mode {
            Mode::Passive => self.passive(),
            Mode::ExtendedPassive => self.extended_passive(),
            Mode::Active => self.active("PORT", ftp_wire::write_host_port),
            Mode::ExtendedActive => self.active("EPRT", |at| Some(ftp_wire::write_extended(at))),
        }
    }

    /// PASV. Many clients ignore the address in the reply because so many middle boxes get it
    /// wrong; this one insists on it, since rewriting it is the director's duty.
    fn passive(&mut self) -> Result<DataPlan, Break> {
        let reply = self.command("PASV")?.expect(2)?;
        match ftp_wire::read_passive_reply(&reply.line) {
            Some(address) if address.ip() == self.server => Ok(DataPlan::Connect(address)),
            _ => Err(Break::Fatal(format!("not an address of {}: {}", self.server, reply.line))),
        }
    }

    fn extended_passive(&mut self) -> Result<DataPlan, Break> {
        let reply = self.command("EPSV")?.expect(2)?;
        match ftp_wire::read_extended_passive_reply(&reply.line) {
            Some(port) => Ok(DataPlan::Connect(SocketAddr::new(self.server, port))),
            None => Err(Break::Fatal(format!("no port in: {}", reply.line))),
        }
    }

    fn active(
        &mut self,
        verb: &str,
        write: impl Fn(SocketAddr) -> Option<String>,
    ) -> Result<DataPlan, Break> {
        let listener = TcpListener::bind((self.local, 0))?;
        let argument = write(listener.local_addr()?);
        let argument = argument.ok_or_else(|| Break::Fatal(format!("{verb} knows IPv4 only")))?;
        self.command(&format!("{verb} {argument}"))?.expect(2)?;
        Ok(DataPlan::Accept(listener))
    }

    /// Asks for the file from `offset` on and returns the data connection.
    pub(super) fn retrieve(
        &mut self,
        name: &str,
        offset: u64,
        plan: DataPlan,
    ) -> Result<TcpStream, Break> {
        if offset > 0 {
            self.command(&format!("REST {offset}"))?.expect(3)?;
        }
        self.send(&format!("RETR {name}"))?;
        // A passive server may wait for us before it says 150, so connecting comes first.
        let data = match &plan {
            DataPlan::Connect(address) => connect(*address, self.timeout)?,
            DataPlan::Accept(listener) => {
                self.reply()?.expect(1)?;
                return self.accept(listener);
            }
        };
        self.reply()?.expect(1)?;
        Ok(data)
    }

    /// Waits for the server to connect, but no longer than the control connection is silent: if
    /// the director dies now, nobody will ever connect, and waiting out the timeout would look
    /// like a long takeover.
    fn accept(&self, listener: &TcpListener) -> Result<TcpStream, Break> {
        let control = self.reader.get_ref();
        let mut fds = [PollFd::new(listener, PollFlags::IN), PollFd::new(control, PollFlags::IN)];
        let timeout = Timespec::try_from(self.timeout).map_err(io::Error::other)?;
        let ready = poll(&mut fds, Some(&timeout)).map_err(io::Error::from)?;
        if ready == 0 {
            return Err(Break::Retry(io::ErrorKind::TimedOut.into()));
        }
        if !fds[0].revents().contains(PollFlags::IN) {
            return Err(Break::Retry(io::ErrorKind::ConnectionAborted.into()));
        }
        let (data, _) = listener.accept()?;
        data.set_read_timeout(Some(self.timeout))?;
        Ok(data)
    }

    /// Takes the reply that ends a transfer and says goodbye.
    pub(super) fn finish(&mut self) -> Result<(), Break> {
        self.reply()?.expect(2)?;
        self.command("QUIT")?.expect(2)?;
        Ok(())
    }

    fn command(&mut self, line: &str) -> Result<Reply, Break> {
        self.send(line)?;
        Ok(self.reply()?)
    }

    fn send(&mut self, line: &str) -> io::Result<()> {
        self.reader.get_mut().write_all(format!("{line}\r\n").as_bytes())
    }

    /// Reads one reply. One of several lines ends with the line that repeats the code followed
    /// by a blank (RFC 959, 4.2).
    fn reply(&mut self) -> io::Result<Reply> {
        let first = self.line()?;
        let code = reply_code(&first)?;
        if first.as_bytes().get(3) != Some(&b'-') {
            return Ok(Reply { code, line: first });
        }
        let last = format!("{code} ");
        for _ in 0..REPLY_LINES {
            let line = self.line()?;
            if line.starts_with(&last) {
                return Ok(Reply { code, line });
            }
        }
        Err(io::Error::other("a reply without end"))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let limit = ftp_wire::LINE_LIMIT as u64;
        (&mut self.reader).take(limit).read_line(&mut line)?;
        match line.strip_suffix('\n') {
            Some(line) => Ok(line.trim_end_matches('\r').to_owned()),
            None if line.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            None => Err(io::Error::other("a reply line too long or cut short")),
        }
    }
}

fn connect(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    Ok(stream)
}

fn reply_code(line: &str) -> io::Result<u16> {
    let code = line.get(..3).and_then(|code| code.parse().ok());
    code.ok_or_else(|| io::Error::other(format!("not an FTP reply: {line}")))
}
