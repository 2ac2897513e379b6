//! One kernel for the commands of a whole transcript.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use piranha::cli::ipvsadm::kernel::{Kernel, MemoryKernel};
use piranha::ipvs::ServiceKey;
use piranha::ipvs::kernel::{Connection, Daemon, Info, Request, Timeouts};
use piranha::runtime::kernel::Listed;

#[derive(Clone)]
pub(crate) struct SharedKernel(Rc<RefCell<MemoryKernel>>);

impl SharedKernel {
    pub(crate) fn new(kernel: MemoryKernel) -> Self {
        Self(Rc::new(RefCell::new(kernel)))
    }
}

impl Kernel for SharedKernel {
    fn info(&mut self) -> io::Result<Info> {
        self.0.borrow_mut().info()
    }

    fn services(&mut self) -> io::Result<Vec<Listed>> {
        self.0.borrow_mut().services()
    }

    fn service(&mut self, key: ServiceKey) -> io::Result<Listed> {
        self.0.borrow_mut().service(key)
    }

    fn apply(&mut self, changes: &[Request]) -> Vec<io::Result<()>> {
        self.0.borrow_mut().apply(changes)
    }

    fn timeouts(&mut self) -> io::Result<Timeouts> {
        self.0.borrow_mut().timeouts()
    }

    fn daemons(&mut self) -> io::Result<Vec<Daemon>> {
        self.0.borrow_mut().daemons()
    }

    fn connections(&mut self) -> io::Result<Vec<Connection>> {
        self.0.borrow_mut().connections()
    }
}
