use serde::{Deserialize, Serialize};

use super::TlsSpec;

/// A question to the health service of a gRPC server (`grpc.health.v1.Health/Check`, as gRPC's
/// health checking protocol has it), which must answer that it is `SERVING`.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct GrpcSpec {
    /// The service that is asked about; empty, the default, is the server as a whole.
    pub service: String,
    /// gRPC over TLS; off by default, HTTP/2 then begins without being agreed on. The name of it
    /// is also the authority that is asked for, else that is the server's address and port.
    pub tls: Option<TlsSpec>,
}

impl GrpcSpec {
    /// The longest [`service`](Self::service), in bytes.
    pub const SERVICE_MAX: usize = 1024;
}
