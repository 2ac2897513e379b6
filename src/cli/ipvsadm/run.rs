//! Carrying out a command line.

use std::io::{self, BufRead, Write};

use super::kernel::Kernel;
use super::label::Labels;
use super::list::{self, TablePrinter};
use super::parse::{Columns, Invocation, List, View, parse};
use super::{Names, connections, help, json, message, restore, save, wrapper};
use crate::ipvs::kernel::{Info, Request};
use crate::runtime::kernel::Listed;

/// The file that messages name, as the original's do.
const CONNECTIONS: &str = "/proc/net/ip_vs_conn";

/// Opens the kernel, when it is needed for the first time.
pub type Open<'a> = &'a mut dyn FnMut() -> io::Result<Box<dyn Kernel>>;

/// What a run of ipvsadm works with.
pub struct Session<'a> {
    pub(super) program: &'a str,
    pub(super) names: &'a dyn Names,
    input: Option<&'a mut dyn BufRead>,
    pub(super) out: &'a mut dyn Write,
    pub(super) err: &'a mut dyn Write,
    open: Open<'a>,
    kernel: Option<Box<dyn Kernel>>,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("program", &self.program)
            .field("open", &self.kernel.is_some())
            .finish_non_exhaustive()
    }
}

impl<'a> Session<'a> {
    /// A run of the program `program`, which reads `input` for a restore only.
    pub fn new(
        program: &'a str,
        names: &'a dyn Names,
        input: &'a mut dyn BufRead,
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
        open: Open<'a>,
    ) -> Self {
        Self { program, names, input: Some(input), out, err, open, kernel: None }
    }

    /// Carries out the command line `words`; returns the exit code.
    ///
    /// The name of the program decides what the words mean: `ipvsadm-save` and `ipvsadm-restore`
    /// are commands of their own.
    ///
    /// # Errors
    /// Those of the input and output, and of opening the kernel ([`CannotOpen`] inside).
    pub fn run_words<S: AsRef<str>>(&mut self, words: &[S]) -> io::Result<u8> {
        match wrapper::of(self.program) {
            Some(wrapper) => wrapper.run(self, words),
            None => self.run_ipvsadm(words),
        }
    }

    fn run_ipvsadm<S: AsRef<str>>(&mut self, words: &[S]) -> io::Result<u8> {
        match parse(self.program, words, self.names) {
            Ok(invocation) => self.run(invocation),
            Err(error) => {
                writeln!(self.err, "{error}")?;
                Ok(error.exit_code())
            }
        }
    }

    pub(super) fn run(&mut self, invocation: Invocation) -> io::Result<u8> {
        match invocation {
            Invocation::Help => help::write_usage(self.out, self.program)?,
            Invocation::Version => help::write_version(self.out)?,
            Invocation::Restore { check, dry_run } => return self.restore(check, dry_run),
            Invocation::Save { numeric } => return self.save(numeric),
            Invocation::List(list) => return self.list(&list),
            Invocation::Change { request, dry_run: true } => {
                writeln!(self.out, "{}", save::command_line(&request))?
            }
            Invocation::Change { request, .. } => return self.change(request),
        }
        Ok(0)
    }

    /// Nothing is read twice: a second restore has no input.
    fn restore(&mut self, check: bool, dry_run: bool) -> io::Result<u8> {
        match self.input.take() {
            Some(input) if check || dry_run => restore::checked(self, input, dry_run, false),
            Some(input) => restore::restore(self, input),
            None => Ok(0),
        }
    }

    /// Makes the table what the input says, the services before it taken out first.
    ///
    /// The whole input is read before that: it may come from a program that reads the table.
    pub(super) fn replace(&mut self, check: bool, dry_run: bool) -> io::Result<u8> {
        let mut whole = Vec::new();
        if let Some(input) = self.input.take() {
            input.read_to_end(&mut whole)?;
        }
        if check || dry_run {
            return restore::checked(self, &mut whole.as_slice(), dry_run, true);
        }
        self.change(Request::Flush)?;
        restore::restore(self, &mut whole.as_slice())
    }

    pub(super) fn kernel(&mut self) -> io::Result<&mut dyn Kernel> {
        let kernel = match self.kernel.take() {
            Some(kernel) => kernel,
            None => (self.open)().map_err(|error| io::Error::other(CannotOpen(error)))?,
        };
        Ok(self.kernel.insert(kernel).as_mut())
    }

    fn change(&mut self, request: Request) -> io::Result<u8> {
        let requests = [request];
        let results = self.kernel()?.apply(&requests);
        let [request] = &requests;
        let Some(error) = results.into_iter().find_map(Result::err) else {
            return Ok(0);
        };
        writeln!(self.err, "{}", message::refusal(request, &error))?;
        Ok(255)
    }

    fn save(&mut self, numeric: bool) -> io::Result<u8> {
        let mut services = match self.kernel()?.services() {
            Ok(services) => services,
            Err(error) => return self.cannot_list(&message::general(&error)),
        };
        list::sort(&mut services);
        let labels = self.labels(numeric, &services);
        save::write_rules(self.out, &services, &labels)?;
        Ok(0)
    }

    fn list(&mut self, list: &List) -> io::Result<u8> {
        let listed = match list.view {
            View::Table(columns) => self.list_services(list, columns)?,
            View::Connections { engines } => self.list_connections(list, engines)?,
            View::Timeouts => {
                let timeouts = self.kernel()?.timeouts();
                self.show(
                    list,
                    timeouts,
                    |t| json::timeouts(*t),
                    |out, t| list::write_timeouts(out, *t),
                )?
            }
            View::Daemons => {
                let daemons = self.kernel()?.daemons();
                self.show(
                    list,
                    daemons,
                    |d| json::daemons(d),
                    |out, d| list::write_daemons(out, d),
                )?
            }
        };
        match listed {
            Ok(()) => Ok(0),
            Err(message) => self.cannot_list(&message),
        }
    }

    /// Prints `value` one way or the other.
    fn show<T>(
        &mut self,
        list: &List,
        value: io::Result<T>,
        json: impl FnOnce(&T) -> serde_json::Value,
        text: impl FnOnce(&mut dyn Write, &T) -> io::Result<()>,
    ) -> io::Result<Result<(), String>> {
        match value {
            Ok(value) if list.json => writeln!(self.out, "{:#}", json(&value))?,
            Ok(value) => text(self.out, &value)?,
            Err(error) => return Ok(Err(message::general(&error))),
        }
        Ok(Ok(()))
    }

    fn list_services(&mut self, list: &List, columns: Columns) -> io::Result<Result<(), String>> {
        let (info, mut services) = match self.read_services(list)? {
            Ok(read) => read,
            Err(message) => return Ok(Err(message)),
        };
        if !list.unsorted {
            list::sort(&mut services);
        }
        if list.json {
            writeln!(self.out, "{:#}", json::services(info, &services))?;
            return Ok(Ok(()));
        }
        let labels = self.labels(list.numeric, &services);
        if let Some(info) = info {
            list::write_info(self.out, info)?;
        }
        let table = TablePrinter::new(columns, list.exact, &labels);
        table.write(self.out, &services)?;
        Ok(Ok(()))
    }

    #[allow(clippy::type_complexity, reason = "an answer, a refusal or no answer")]
    fn read_services(
        &mut self,
        list: &List,
    ) -> io::Result<Result<(Option<Info>, Vec<Listed>), String>> {
        let kernel = self.kernel()?;
        Ok(match list.service {
            Some(key) => match kernel.service(key) {
                Ok(service) => Ok((None, vec![service])),
                Err(error) => Err(message::refusal(&Request::GetService(key), &error)),
            },
            None => kernel
                .info()
                .and_then(|info| Ok((Some(info), kernel.services()?)))
                .map_err(|error| message::general(&error)),
        })
    }

    fn list_connections(&mut self, list: &List, engines: bool) -> io::Result<Result<(), String>> {
        let connections = match self.kernel()?.connections() {
            Ok(connections) => connections,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Ok(Err(format!("unexpected input from {CONNECTIONS}: {error}")));
            }
            Err(_) => return Ok(Err(format!("cannot open file {CONNECTIONS}"))),
        };
        if list.json {
            writeln!(self.out, "{:#}", json::connections(&connections))?;
            return Ok(Ok(()));
        }
        let labels = if list.numeric {
            Labels::numeric()
        } else {
            Labels::named(self.names, connections::addresses(&connections))
        };
        connections::write(self.out, &connections, engines, &labels)?;
        Ok(Ok(()))
    }

    fn labels(&self, numeric: bool, services: &[Listed]) -> Labels<'a> {
        if numeric { Labels::numeric() } else { Labels::of_services(self.names, services) }
    }

    fn cannot_list(&mut self, message: &str) -> io::Result<u8> {
        writeln!(self.err, "{message}")?;
        Ok(1)
    }
}

/// The kernel could not be opened: no ip_vs, or no privilege.
#[derive(Debug, thiserror::Error)]
#[error("Can't initialize ipvs: {}\nAre you sure that IP Virtual Server is built in the kernel or as module?", message::general(.0))]
pub struct CannotOpen(#[source] pub io::Error);
