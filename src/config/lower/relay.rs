//! What `max_connections` and `transparent` cannot go together with.

use super::fields::Fields;
use super::{Code, Context, Diagnostic, Directive};
use crate::config::model::{DataPlane, Virtual};
use crate::net::{Family, Protocol};

impl Context<'_> {
    pub(super) fn check_relay_options(
        &mut self,
        service: &Virtual,
        plane: DataPlane,
        global: &Fields,
    ) {
        if service.max_connections.is_some() {
            self.check_max_connections(service, plane, global);
        }
        if service.transparent {
            self.check_transparent(service, plane, global);
        }
    }

    fn check_max_connections(&mut self, service: &Virtual, plane: DataPlane, global: &Fields) {
        let name = &service.name;
        if service.protocol != Protocol::Tcp {
            let message = format!("`{name}` is a UDP service: its clients cannot wait");
            self.relay_option(service, &message, "take `max_connections` out");
        } else if plane == DataPlane::Kernel {
            let message =
                format!("the kernel cannot do `max_connections`, which `{name}` asks for");
            self.needs_relay(service, global, message);
        }
    }

    fn check_transparent(&mut self, service: &Virtual, plane: DataPlane, global: &Fields) {
        let name = &service.name;
        if plane == DataPlane::Kernel {
            let message = format!("the kernel cannot do `transparent`, which `{name}` asks for");
            return self.needs_relay(service, global, message);
        }
        if service.helper.is_some() {
            let message = format!("`{name}` has the FTP helper, which cannot be transparent");
            self.relay_option(service, &message, "set `helper = none`, or take `transparent` out");
        }
        let family = Family::of(service.address);
        for server in service.active_servers() {
            if Family::of(server.address.ip()) != family {
                let message = format!(
                    "server `{}` of `{name}` has another address family than its clients: \
                     it cannot be `transparent`",
                    server.name
                );
                self.relay_option(service, &message, "take `transparent` out");
            }
        }
    }

    fn needs_relay(&mut self, service: &Virtual, global: &Fields, message: String) {
        let chosen = global.span(Directive::Dataplane).unwrap_or_default();
        self.report(
            Diagnostic::new(Code::RelayOptionImpossible, service.span, message)
                .related(chosen, "the kernel is chosen here")
                .help("use `dataplane = relay`; servers behind the kernel see the client itself"),
        );
    }

    fn relay_option(&mut self, service: &Virtual, message: &str, help: &str) {
        let diagnostic = Diagnostic::new(Code::RelayOptionImpossible, service.span, message);
        self.report(diagnostic.help(help));
    }
}
