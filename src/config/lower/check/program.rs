use crate::config::lower::fields::Fields;
use crate::config::lower::{Code, Context, Diagnostic, Directive};
use crate::health::{CheckSpec, Expect, ProgramSpec, decode_escapes};

impl Context<'_> {
    /// `send_program`, whose whole output is compared with `expect`.
    pub(super) fn program(&mut self, fields: &Fields) -> CheckSpec {
        let command = fields.payload(Directive::SendProgram).map(decode_escapes);
        let command = command.map(String::from_utf8).transpose();
        let Ok(command) = command else {
            let message = "a command must be UTF-8";
            self.report_at(fields, Directive::SendProgram, Code::InvalidText, message);
            return CheckSpec::Connect;
        };
        let expect = self.expect(fields, Expect::Exactly);
        let Some(program) = ProgramSpec::new(&command.unwrap_or_default(), expect) else {
            self.no_program(fields);
            return CheckSpec::Connect;
        };
        let user = fields.text(Directive::CheckUser);
        if user.is_none() {
            self.runs_as_daemon(fields);
        }
        CheckSpec::Program(program.with_user(user))
    }

    fn no_program(&mut self, fields: &Fields) {
        let directive =
            [Directive::SendProgram, Directive::Check].into_iter().find(|&d| fields.mentions(d));
        let span = directive.and_then(|directive| fields.span(directive)).unwrap_or_default();
        let message = "`check = program` needs `send_program`";
        self.report(
            Diagnostic::new(Code::ContradictoryCheck, span, message)
                .help("write `send_program = \"/path/to/program %h %p\"`"),
        );
    }

    fn runs_as_daemon(&mut self, fields: &Fields) {
        let span = fields.span(Directive::SendProgram).unwrap_or_default();
        let message = "this program runs as the user of the daemon, mostly root";
        self.report(
            Diagnostic::new(Code::ProgramAsDaemon, span, message)
                .help("name an unprivileged user: `check_user = nobody`"),
        );
    }
}
