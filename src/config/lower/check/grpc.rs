use crate::config::lower::fields::Fields;
use crate::config::lower::{Code, Context, Diagnostic, Directive};
use crate::health::{CheckSpec, GrpcSpec};

impl Context<'_> {
    pub(super) fn grpc(&mut self, fields: &Fields) -> CheckSpec {
        let mut grpc = GrpcSpec::default();
        match fields.choice(Directive::CheckTls) {
            Some("on") => grpc.tls = Some(self.tls(fields)),
            Some("starttls") => {
                let message = "`grpc` cannot turn TLS on in the middle: write `check_tls = on`";
                let message = message.to_owned();
                self.report_at(fields, Directive::CheckTls, Code::ContradictoryCheck, message);
            }
            _ => {}
        }
        if let Some(service) = fields.text(Directive::GrpcService) {
            if service.len() > GrpcSpec::SERVICE_MAX || service.contains(char::is_control) {
                self.no_service(fields);
            }
            grpc.service = service;
        }
        CheckSpec::Grpc(grpc)
    }

    fn no_service(&mut self, fields: &Fields) {
        let span = fields.value_span(Directive::GrpcService).unwrap_or_default();
        let message = "this is not the name of a gRPC service";
        self.report(
            Diagnostic::new(Code::InvalidText, span, message)
                .help("name it with its package: `grpc_service = shop.v1.Orders`"),
        );
    }
}
