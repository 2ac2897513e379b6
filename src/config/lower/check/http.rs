use crate::config::lower::fields::Fields;
use crate::config::lower::{Code, Context, Diagnostic, Directive};
use crate::config::value::Value;
use crate::health::{BodyExpect, CheckSpec, HttpSpec, HttpVersion, TlsSpec, decode_escapes};

impl Context<'_> {
    pub(super) fn http(&mut self, fields: &Fields, tls: Option<TlsSpec>) -> CheckSpec {
        let mut http = HttpSpec::default();
        if let Some(path) = self.http_path(fields) {
            http.path = path;
        }
        if let Some(method) = self.http_method(fields) {
            http.method = method;
        }
        http.host = fields.text(Directive::HttpHost);
        http.auth = fields.text(Directive::CheckAuth).map(Into::into);
        http.body = decode_escapes(fields.payload(Directive::HttpBody).unwrap_or_default());
        http.expect = self.body_expect(fields);
        http.tls = tls;
        if fields.choice(Directive::HttpVersion) == Some("2") {
            http.version = HttpVersion::Http2;
        }
        if let Some(Value::Json(expects)) = fields.special(Directive::HttpJson) {
            http.json.clone_from(expects);
        }
        if let Some(Value::Status(status)) = fields.special(Directive::HttpStatus) {
            http.status = status.clone();
        }
        if let Some(Value::Headers(headers)) = fields.special(Directive::HttpHeader) {
            http.headers.clone_from(headers);
        }
        let limit = fields.count(Directive::HttpLimit);
        http.body_limit = limit.map_or(http.body_limit, |limit| limit as usize);
        CheckSpec::Http(http)
    }

    fn http_path(&mut self, fields: &Fields) -> Option<String> {
        let path = fields.text(Directive::HttpPath)?;
        if !path.starts_with('/') {
            let span = fields.value_span(Directive::HttpPath).unwrap_or_default();
            let message = "the path of an HTTP check begins with `/`";
            self.report(
                Diagnostic::new(Code::InvalidText, span, message)
                    .help(format!("write `http_path = /{path}`")),
            );
        }
        Some(path)
    }

    fn http_method(&mut self, fields: &Fields) -> Option<String> {
        let method = fields.text(Directive::HttpMethod)?;
        let usable = method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        if !usable || method == "CONNECT" {
            let span = fields.value_span(Directive::HttpMethod).unwrap_or_default();
            let message = format!("`{method}` is not a method a check can use");
            self.report(
                Diagnostic::new(Code::InvalidText, span, message)
                    .help("write it in capitals: GET, HEAD, OPTIONS or POST"),
            );
        }
        Some(method)
    }

    fn body_expect(&mut self, fields: &Fields) -> Option<BodyExpect> {
        let text = decode_escapes(fields.payload(Directive::HttpExpect)?);
        if fields.boolean(Directive::UseRegex).unwrap_or(false) {
            self.pattern(fields, Directive::HttpExpect, text).map(BodyExpect::Regex)
        } else {
            Some(BodyExpect::Contains(text))
        }
    }
}
