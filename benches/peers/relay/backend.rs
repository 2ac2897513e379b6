//! The servers, in a process of their own: TCP ones that send what they are asked for, and UDP
//! ones that echo.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use socket2::SockRef;

use crate::load::REQUEST;
use crate::{Outcome, measure};

/// Servers of each protocol.
pub(crate) const SERVERS: usize = 4;

/// The servers' process. Ends when dropped.
pub(crate) struct Backend {
    child: Child,
    pub(crate) tcp: Vec<SocketAddr>,
    pub(crate) udp: Vec<SocketAddr>,
}

impl Backend {
    pub(crate) fn start() -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("no output")?;
        let lines = BufReader::new(output).lines().take(2 * SERVERS);
        let mut tcp = lines.map(|line| Ok(line?.parse()?)).collect::<Outcome<Vec<SocketAddr>>>()?;
        let udp = tcp.split_off(SERVERS);
        Ok(Self { child, tcp, udp })
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until standard input ends, which it does with the process that started this one.
pub(crate) fn serve() -> Outcome<()> {
    let listeners = (0..SERVERS).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into()));
    let listeners = listeners.collect::<Result<Vec<_>, _>>()?;
    let sockets = (0..SERVERS).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)));
    let sockets = sockets.collect::<Result<Vec<_>, _>>()?;
    for listener in &listeners {
        println!("{}", listener.local_addr()?);
    }
    for socket in sockets {
        // What is on the way at a time fits, so that no loss is the servers'.
        SockRef::from(&socket).set_recv_buffer_size(measure::RECEIVE_BUFFER)?;
        println!("{}", socket.local_addr()?);
        std::thread::spawn(move || echo(&socket));
    }
    std::thread::spawn(|| Servers::new(listeners).and_then(Servers::run));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}

fn echo(socket: &UdpSocket) {
    let mut buffer = [0; 2048];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let _ = socket.send_to(&buffer[..length], from);
    }
}

struct Servers {
    poll: Poll,
    listeners: Vec<TcpListener>,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    payload: Box<[u8]>,
}

struct Connection {
    stream: TcpStream,
    /// What of a request has been read.
    request: [u8; REQUEST],
    filled: usize,
    /// What of the answer is left to send.
    left: usize,
}

impl Servers {
    fn new(mut listeners: Vec<TcpListener>) -> std::io::Result<Self> {
        let poll = Poll::new()?;
        for (index, listener) in listeners.iter_mut().enumerate() {
            poll.registry().register(listener, Token(index), Interest::READABLE)?;
        }
        let payload = vec![b'x'; 256 * 1024].into_boxed_slice();
        Ok(Self { poll, listeners, connections: Vec::new(), free: Vec::new(), payload })
    }

    fn run(mut self) -> std::io::Result<()> {
        let mut events = Events::with_capacity(512);
        loop {
            self.poll.poll(&mut events, None)?;
            for event in &events {
                match event.token().0 {
                    listener @ 0..SERVERS => self.accept(listener),
                    token => self.turn(token - SERVERS),
                }
            }
        }
    }

    fn accept(&mut self, listener: usize) {
        while let Ok((mut stream, _)) = self.listeners[listener].accept() {
            let index = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            let both = Interest::READABLE | Interest::WRITABLE;
            let _ = stream.set_nodelay(true);
            let _ = self.poll.registry().register(&mut stream, Token(index + SERVERS), both);
            let connection = Connection { stream, request: [0; REQUEST], filled: 0, left: 0 };
            self.connections[index] = Some(connection);
        }
    }

    fn turn(&mut self, index: usize) {
        let Some(connection) = self.connections[index].as_mut() else {
            return;
        };
        if !connection.serve(&self.payload) {
            self.connections[index] = None;
            self.free.push(index);
        }
    }
}

impl Connection {
    /// `false` once the connection has ended.
    fn serve(&mut self, payload: &[u8]) -> bool {
        use std::io::ErrorKind::WouldBlock;
        loop {
            while self.left > 0 {
                let size = self.left.min(payload.len());
                match self.stream.write(&payload[..size]) {
                    Ok(count) => self.left -= count,
                    Err(error) => return error.kind() == WouldBlock,
                }
            }
            match self.stream.read(&mut self.request[self.filled..]) {
                Ok(0) => return false,
                Ok(count) => self.filled += count,
                Err(error) => return error.kind() == WouldBlock,
            }
            if self.filled == REQUEST {
                self.filled = 0;
                self.left = crate::load::requested(&self.request);
            }
        }
    }
}
