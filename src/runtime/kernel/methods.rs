//! The calls both clients have, written once.

/// The methods of a client whose `over_netlink` answers requests: blocking, or with `async` and
/// `.await`; `pause` is what it does between many calls that take no waiting.
macro_rules! client_methods {
    ({ $($asyncness:tt)? }, { $($await:tt)* }, { $($pause:tt)* }) => {
        /// Asks everything in order, many in one send where that is possible. One answer for each
        /// request.
        ///
        /// # Errors
        /// [`KernelError`] when the kernel is out of reach.
        pub $($asyncness)? fn run(&mut self, requests: Vec<Request>) -> Result<Vec<Answer>, KernelError> {
            if let Way::Untried = self.way {
                let first = self.over_netlink(vec![Request::GetInfo])$($await)*?;
                let first = answers::one(&Request::GetInfo, first)?;
                self.way = Way::found(&first, &self.namespace);
            }
            let Way::Options(options) = &mut self.way else {
                return self.over_netlink(requests)$($await)*;
            };
            let mut answers = Vec::with_capacity(requests.len());
            for some in requests.chunks(MAX_BATCH) {
                answers.extend(some.iter().map(|request| options.ask(request)));
                $($pause)*
            }
            Ok(answers)
        }

        /// The interface in use. Netlink as long as nothing was asked: the first request finds out
        /// whether the kernel grants that, or only the socket options.
        #[must_use]
        pub const fn transport(&self) -> Transport {
            self.way.transport()
        }

        /// All services, each once, in the kernel's order, which means nothing.
        ///
        /// # Errors
        /// [`KernelError`].
        pub $($asyncness)? fn services(&mut self) -> Result<Vec<ServiceStatus>, KernelError> {
            let answer = self.ask(Request::ListServices)$($await)*?;
            Ok(answers::services(answer))
        }

        /// One service.
        ///
        /// # Errors
        /// [`KernelError`], if it is not there too.
        pub $($asyncness)? fn service(&mut self, key: ServiceKey) -> Result<ServiceStatus, KernelError> {
            let request = Request::GetService(key);
            let answer = self.ask(request.clone())$($await)*?;
            answers::one(&request, answers::services(answer))
        }

        /// All destinations of a service, each once, the newest first.
        ///
        /// None for a service that is not there: the kernel does not tell these apart.
        ///
        /// # Errors
        /// [`KernelError`].
        pub $($asyncness)? fn destinations(
            &mut self,
            key: ServiceKey,
        ) -> Result<Vec<DestinationStatus>, KernelError> {
            let answer = self.ask(Request::ListDestinations(key))$($await)*?;
            Ok(answers::destinations(answer))
        }

        /// All services with their destinations, one listing for each.
        ///
        /// The kernel gives no snapshot: while others change the table an entry may be missing.
        ///
        /// # Errors
        /// [`KernelError`].
        pub $($asyncness)? fn list(&mut self) -> Result<Vec<Listed>, KernelError> {
            let services = self.services()$($await)*?;
            self.list_destinations(services)$($await)*
        }

        /// The whole table, without counters.
        ///
        /// # Errors
        /// [`KernelError`].
        pub $($asyncness)? fn table(&mut self) -> Result<Table, KernelError> {
            let listed = self.list()$($await)*?;
            Ok(answers::table(&listed))
        }

        /// The destinations of these services.
        ///
        /// # Errors
        /// [`KernelError`].
        pub $($asyncness)? fn list_destinations(
            &mut self,
            services: Vec<ServiceStatus>,
        ) -> Result<Vec<Listed>, KernelError> {
            let keys = services.iter().map(|status| status.service.key());
            let requests = keys.map(Request::ListDestinations).collect();
            let outcomes = self.run(requests)$($await)*?;
            answers::join(services, outcomes)
        }

        /// Carries out `ops` in order, many in one send, and goes on after one that fails. One
        /// outcome for each.
        ///
        /// # Errors
        /// [`KernelError`] when the kernel is out of reach; how many operations were carried out
        /// is then unknown.
        pub $($asyncness)? fn apply(
            &mut self,
            ops: &[Op],
        ) -> Result<Vec<Result<(), KernelError>>, KernelError> {
            let outcomes = self.run(ops.iter().map(Request::from).collect())$($await)*?;
            Ok(outcomes.into_iter().map(|outcome| outcome.map(|_| ())).collect())
        }

        /// Makes a service.
        ///
        /// # Errors
        /// [`KernelError`]; nothing was changed.
        pub $($asyncness)? fn add_service(&mut self, service: Service) -> Result<(), KernelError> {
            self.change(Request::AddService(service))$($await)*
        }

        /// Replaces the settings of a service; its destinations and connections stay.
        ///
        /// # Errors
        /// [`KernelError`]; nothing was changed.
        pub $($asyncness)? fn edit_service(&mut self, service: Service) -> Result<(), KernelError> {
            self.change(Request::EditService(service))$($await)*
        }

        /// Takes a service out, with its destinations. Its connections go on.
        ///
        /// # Errors
        /// [`KernelError`]; nothing was changed.
        pub $($asyncness)? fn remove_service(&mut self, key: ServiceKey) -> Result<(), KernelError> {
            self.change(Request::RemoveService(key))$($await)*
        }

        /// Adds a destination to a service. One that was removed while it had connections gets
        /// them back.
        ///
        /// # Errors
        /// [`KernelError`]; nothing was changed.
        pub $($asyncness)? fn add_destination(
            &mut self,
            key: ServiceKey,
            destination: Destination,
        ) -> Result<(), KernelError> {
            self.change(Request::AddDestination(key, destination))$($await)*
        }

        /// Replaces the settings of a destination; its connections stay.
        ///
        /// # Errors
        /// [`KernelError`]; nothing was changed.
        pub $($asyncness)? fn edit_destination(
            &mut self,
            key: ServiceKey,
            destination: Destination,
        ) -> Result<(), KernelError> {
            self.change(Request::EditDestination(key, destination))$($await)*
        }

        /// Takes a destination out. Its connections end when the sysctl `expire_nodest_conn` is
        /// set; else their packets are dropped until they time out.
        ///
        /// # Errors
        /// [`KernelError`]; nothing was changed.
        pub $($asyncness)? fn remove_destination(
            &mut self,
            key: ServiceKey,
            address: SocketAddr,
        ) -> Result<(), KernelError> {
            self.change(Request::RemoveDestination(key, address))$($await)*
        }

        /// How long connections without packets are kept.
        ///
        /// # Errors
        /// [`KernelError`].
        pub $($asyncness)? fn timeouts(&mut self) -> Result<Timeouts, KernelError> {
            let answer = self.ask(Request::GetTimeouts)$($await)*?;
            answers::one(&Request::GetTimeouts, answers::timeouts(answer))
        }

        /// Sets the timeouts that are not zero, for connections that come from now on.
        ///
        /// # Errors
        /// [`KernelError`]; nothing was changed.
        pub $($asyncness)? fn set_timeouts(&mut self, timeouts: Timeouts) -> Result<(), KernelError> {
            self.change(Request::SetTimeouts(timeouts))$($await)*
        }

        /// The sync daemons that run: none, one, or one of each role.
        ///
        /// # Errors
        /// [`KernelError`].
        pub $($asyncness)? fn daemons(&mut self) -> Result<Vec<Daemon>, KernelError> {
            let answer = self.ask(Request::ListDaemons)$($await)*?;
            Ok(answers::daemons(answer))
        }

        /// Starts a sync daemon.
        ///
        /// # Errors
        /// [`KernelError`]; nothing was changed.
        pub $($asyncness)? fn start_daemon(&mut self, daemon: Daemon) -> Result<(), KernelError> {
            self.change(Request::StartDaemon(daemon))$($await)*
        }

        /// Stops the sync daemon of this role.
        ///
        /// # Errors
        /// [`KernelError`]; nothing was changed.
        pub $($asyncness)? fn stop_daemon(&mut self, role: DaemonRole) -> Result<(), KernelError> {
            self.change(Request::StopDaemon(role))$($await)*
        }

        /// Zeroes the counters of a service and its destinations, or of everything.
        ///
        /// # Errors
        /// [`KernelError`]; nothing was changed.
        pub $($asyncness)? fn zero(&mut self, key: Option<ServiceKey>) -> Result<(), KernelError> {
            self.change(Request::Zero(key))$($await)*
        }

        /// Takes **every** service out, whoever made it, in one go. Connections go on.
        ///
        /// Nothing in this crate needs it to get to a state: that is what
        /// [`plan`](crate::ipvs::plan()) is for.
        ///
        /// # Errors
        /// [`KernelError`]; nothing was changed.
        pub $($asyncness)? fn danger_flush(&mut self) -> Result<(), KernelError> {
            self.change(Request::Flush)$($await)*
        }

        /// Version of IPVS and size of the connection table.
        ///
        /// # Errors
        /// [`KernelError`].
        pub $($asyncness)? fn info(&mut self) -> Result<Info, KernelError> {
            let answer = self.ask(Request::GetInfo)$($await)*?;
            answers::one(&Request::GetInfo, answers::infos(answer))
        }

        /// What was passed over since the client was made.
        #[must_use]
        pub const fn counters(&self) -> ExchangeCounters {
            self.way.counters(self.exchange.counters())
        }

        $($asyncness)? fn change(&mut self, request: Request) -> Result<(), KernelError> {
            self.ask(request)$($await)*.map(|_| ())
        }

        $($asyncness)? fn ask(&mut self, request: Request) -> Result<Vec<Reply>, KernelError> {
            let outcomes = self.run(vec![request.clone()])$($await)*?;
            answers::one(&request, outcomes)?
        }
    };
}

pub(super) use client_methods;
