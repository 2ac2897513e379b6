use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::network::Budget;
use super::tls::Tls;
use super::{CheckError, Dialer, http2};
use crate::health::{Check, Excerpt, Failure, GrpcSpec, HttpSpec, TlsSpec};
use crate::wire::grpc::{Malformed, Serving, health_request, health_status};

const PATH: &str = "/grpc.health.v1.Health/Check";
/// More than an answer ever has; a larger one is none.
const BODY: usize = 4096;
const OK: &[u8] = b"0";

/// Passes if a gRPC server says that a service of it is serving.
pub(super) struct Grpc {
    service: String,
    request: http2::Request,
    tls: Option<Tls>,
    dialer: Dialer,
}

impl Grpc {
    pub(super) fn new(spec: &GrpcSpec, dialer: Dialer) -> Result<Self, CheckError> {
        let service = spec.service.clone();
        if service.len() > GrpcSpec::SERVICE_MAX || service.contains(char::is_control) {
            return Err(CheckError::Service { limit: GrpcSpec::SERVICE_MAX });
        }
        let request = http2::Request::new(&request(spec)?, None)?;
        let tls = spec.tls.as_ref().map(|tls| Tls::new(tls, None)).transpose()?;
        Ok(Self { service, request, tls: tls.map(Tls::over_http2), dialer })
    }

    fn judge(&self, answer: &http2::Answer) -> Result<(), Failure> {
        let status = answer.field("grpc-status").unwrap_or_default();
        if status != OK {
            let said = answer.field("grpc-message").unwrap_or_default();
            let status = if status.is_empty() { b"none" } else { status };
            return Err(self.unexpected("gRPC status 0", &[status, b" ", said].concat()));
        }
        match health_status(answer.body()) {
            Ok(Serving::Serving) => Ok(()),
            Ok(other) => Err(self.unexpected("SERVING", other.name().as_bytes())),
            Err(Malformed) => Err(self.unexpected("an answer in gRPC", answer.body())),
        }
    }

    fn unexpected(&self, wanted: &str, got: &[u8]) -> Failure {
        let step = match self.service.as_str() {
            "" => "of the server".to_owned(),
            service => format!("of the service {}", Excerpt::new(service.as_bytes())),
        };
        Failure::Unexpected { step, wanted: wanted.to_owned(), got: Excerpt::new(got.trim_ascii()) }
    }
}

#[async_trait]
impl Check for Grpc {
    async fn probe(&self, target: SocketAddr, limit: Duration) -> Result<(), Failure> {
        let mut line = self.dialer.converse(target, Budget::new(limit)).await?;
        if let Some(tls) = &self.tls {
            line = line.start_tls(tls).await?;
        }
        self.judge(&self.request.ask(line, BODY, &mut |_| false).await?)
    }
}

/// A call as gRPC's protocol over HTTP/2 has it.
fn request(spec: &GrpcSpec) -> Result<HttpSpec, CheckError> {
    let headers = ["content-type: application/grpc", "te: trailers"].map(str::parse);
    let mut request = HttpSpec {
        method: "POST".to_owned(),
        path: PATH.to_owned(),
        host: spec.tls.as_ref().and_then(|TlsSpec { name, .. }| name.clone()),
        body: health_request(&spec.service),
        tls: spec.tls.clone(),
        ..HttpSpec::default()
    };
    request.headers = headers.into_iter().collect::<Result<_, _>>().map_err(CheckError::Header)?;
    request.status = "200".parse().map_err(CheckError::Header)?;
    Ok(request)
}
