use Access::Public;
use Kind::{Api, Asset, Form, Page, Stream};
use Method::{Delete, Get, Post, Put};

use super::Role;
use super::Role::{Admin, Operator, Viewer};
use super::form::decode;

/// How a request is made.
#[allow(clippy::exhaustive_enums, reason = "the methods of the table, which tests walk")]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Method {
    /// Changes nothing. `HEAD` is answered like it, without a body.
    Get,
    /// Does something.
    Post,
    /// Puts something in place of what was there.
    Put,
    /// Takes something away.
    Delete,
}

impl Method {
    /// Its name in HTTP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// Whether it may change something.
    #[must_use]
    pub const fn changes(self) -> bool {
        !matches!(self, Self::Get)
    }
}

/// Who may.
#[allow(clippy::exhaustive_enums, reason = "a role is needed or not")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Anybody: what there is before the login.
    Public,
    /// Whoever has this role, or one that may more.
    Role(Role),
}

/// What kind of answer there is, and of body.
#[allow(clippy::exhaustive_enums, reason = "each kind has its place in the server")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// HTML.
    Page,
    /// An HTML form; the answer leads to a page.
    Form,
    /// JSON, in both directions.
    Api,
    /// Server-sent events.
    Stream,
    /// A file that never changes under its name.
    Asset,
}

/// One thing that can be asked.
#[non_exhaustive]
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// How.
    pub method: Method,
    /// Where: `{name}` stands for one segment.
    pub path: &'static str,
    /// By whom.
    pub access: Access,
    /// What comes.
    pub kind: Kind,
    /// What the server does.
    pub endpoint: Endpoint,
    /// What it is for, in a sentence.
    pub summary: &'static str,
    /// The fields of the body, or of the query.
    pub fields: &'static [Field],
    /// Whether the password must have been entered a short while ago.
    pub fresh: bool,
    /// The most bytes of a body.
    pub limit: usize,
}

/// A field of a body, or of a query.
#[non_exhaustive]
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its type in JSON schema: `string`, `integer`, `boolean`.
    pub kind: &'static str,
    /// Whether it has to be there.
    pub required: bool,
    /// What it means.
    pub doc: &'static str,
}

const fn must(name: &'static str, kind: &'static str, doc: &'static str) -> Field {
    Field { name, kind, required: true, doc }
}

const fn may(name: &'static str, kind: &'static str, doc: &'static str) -> Field {
    Field { name, kind, required: false, doc }
}

impl Route {
    const fn new(
        method: Method,
        path: &'static str,
        access: Access,
        kind: Kind,
        endpoint: Endpoint,
        summary: &'static str,
    ) -> Self {
        let (fields, fresh, limit): (&[Field], _, _) = (&[], false, 64 << 10);
        Self { method, path, access, kind, endpoint, summary, fields, fresh, limit }
    }

    const fn page(
        path: &'static str,
        role: Role,
        endpoint: Endpoint,
        summary: &'static str,
    ) -> Self {
        Self::new(Get, path, Access::Role(role), Page, endpoint, summary)
    }

    const fn api(
        method: Method,
        path: &'static str,
        role: Role,
        endpoint: Endpoint,
        summary: &'static str,
    ) -> Self {
        Self::new(method, path, Access::Role(role), Api, endpoint, summary)
    }

    const fn with(mut self, fields: &'static [Field]) -> Self {
        self.fields = fields;
        self
    }

    const fn after_password(mut self) -> Self {
        self.fresh = true;
        self
    }

    const fn up_to(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// The names of what its path leaves open.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(name)
    }

    /// Whether the request `path` is this route's, with the values of its `{name}`s.
    fn matches(&self, path: &str) -> Option<Parameters> {
        let (mut wanted, mut found) = (self.path.split('/'), path.split('/'));
        let mut values = Vec::new();
        loop {
            match (wanted.next(), found.next()) {
                (None, None) => return Some(Parameters(values)),
                (Some(pattern), Some(segment)) => match name(pattern) {
                    Some(_) if segment.is_empty() => return None,
                    Some(name) => values.push((name, decode(segment, false))),
                    None if pattern == segment => {}
                    None => return None,
                },
                _ => return None,
            }
        }
    }
}

fn name(pattern: &'static str) -> Option<&'static str> {
    pattern.strip_prefix('{')?.strip_suffix('}')
}

/// What a path said for the `{name}`s of its route.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Parameters(Vec<(&'static str, String)>);

impl Parameters {
    /// The value for `name`; nothing for one that the route does not have.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(found, _)| *found == name).map_or("", |(_, value)| value)
    }
}

/// What a request is for.
#[allow(clippy::exhaustive_enums, reason = "it is found or not")]
#[derive(Clone, Debug)]
pub enum Found {
    /// This.
    Route(&'static Route, Parameters),
    /// Something that is not asked for by this method, but by these.
    OtherMethod(Vec<Method>),
    /// Nothing there is.
    Nothing,
}

/// What a request by `method` for `path`, without its query, is for.
#[must_use]
pub fn find(method: &str, path: &str) -> Found {
    // Streams have no end, so no answer to HEAD.
    let head = method == "HEAD";
    let method = if head { "GET" } else { method };
    let mut others = Vec::new();
    for route in ROUTES {
        let Some(parameters) = route.matches(path) else { continue };
        if route.method.name() == method && !(head && route.kind == Stream) {
            return Found::Route(route, parameters);
        }
        others.push(route.method);
    }
    if others.is_empty() { Found::Nothing } else { Found::OtherMethod(others) }
}

/// What the server does for a [`Route`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs, reason = "the table says what each is for")]
pub enum Endpoint {
    Overview,
    ServicesPage,
    ServicePage,
    ClusterPage,
    EventsPage,
    AccountsPage,
    AuditPage,
    Help,
    LoginPage,
    Login,
    SetupPage,
    Setup,
    Logout,
    Asset,
    Healthz,
    Readyz,
    OpenApi,
    Status,
    Readiness,
    Nodes,
    Node,
    Services,
    Service,
    Server,
    Events,
    Stream,
    History,
    Overrides,
    PutOverride,
    DeleteOverride,
    Failover,
    Maintenance,
    Config,
    Validate,
    Diff,
    Explain,
    Reload,
    BeginSession,
    EndSession,
    Confirm,
    OwnPassword,
    Sessions,
    RevokeSession,
    Users,
    PutUser,
    DeleteUser,
    Tokens,
    CreateToken,
    RevokeToken,
    Audit,
}

const REASON: Field = may("reason", "string", "Why, for the log and the audit trail.");
const NAME: Field = must("user", "string", "The name of the account.");
const PASSWORD: Field = must("password", "string", "Its password.");
const DRAFT: &[Field] = &[must("text", "string", "The whole of an lvs.cf.")];
const WORD: &[Field] = &[
    must("state", "string", "`drain`, `disable` or `weight`."),
    may("weight", "integer", "The weight, for `weight`."),
    may("deadline", "integer", "For `drain`: disabled after so many seconds."),
    may("expires", "integer", "Ends by itself after so many seconds."),
    may("save", "boolean", "Written into lvs.cf instead of said until further notice."),
    may("force", "boolean", "Even if it leaves the service without a server."),
    REASON,
];

/// Everything that can be asked, and by whom. What is not in here is refused.
pub const ROUTES: &[Route] = &[
    Route::page("/", Viewer, Endpoint::Overview, "The state of the pair at a glance."),
    Route::page("/services", Viewer, Endpoint::ServicesPage, "All services, with filter and order."),
    Route::page("/services/{service}", Viewer, Endpoint::ServicePage, "A service and its servers."),
    Route::page("/cluster", Viewer, Endpoint::ClusterPage, "The pair, and whether it could fail over."),
    Route::page("/events", Viewer, Endpoint::EventsPage, "What has happened."),
    Route::page("/accounts", Viewer, Endpoint::AccountsPage, "Sessions, users and tokens."),
    Route::page("/audit", Admin, Endpoint::AuditPage, "Who did what."),
    Route::page("/help", Viewer, Endpoint::Help, "Keys, states and words."),
    Route::new(Get, "/login", Public, Page, Endpoint::LoginPage, "Where one logs in."),
    Route::new(Post, "/login", Public, Form, Endpoint::Login, "Log in.").with(&[NAME, PASSWORD]),
    Route::new(Get, "/setup", Public, Page, Endpoint::SetupPage, "Where the first admin is made."),
    Route::new(Post, "/setup", Public, Form, Endpoint::Setup, "Make the first admin.").with(&[
        must("token", "string", "What `piranha serve` printed."),
        NAME,
        PASSWORD,
    ]),
    Route::new(Post, "/logout", Access::Role(Viewer), Form, Endpoint::Logout, "Log out."),
    Route::new(Get, "/assets/{name}", Public, Asset, Endpoint::Asset, "Style sheets and scripts."),
    Route::new(Get, "/healthz", Public, Api, Endpoint::Healthz, "Whether this server runs."),
    Route::new(Get, "/readyz", Public, Api, Endpoint::Readyz, "Whether it can ask the daemons."),
    Route::api(Get, "/api/v1/status", Viewer, Endpoint::Status, "What is known of the pair.")
        .with(&[may("servers", "string", "Which servers are told: `none`, `notable` or `all`.")]),
    Route::api(
        Get,
        "/api/v1/readiness",
        Viewer,
        Endpoint::Readiness,
        "Whether the pair is healthy and a failover would succeed, and if not why.",
    ),
    Route::api(Get, "/api/v1/openapi.json", Viewer, Endpoint::OpenApi, "This description."),
    Route::api(Get, "/api/v1/nodes", Viewer, Endpoint::Nodes, "This node, and what its partner said."),
    Route::api(Get, "/api/v1/nodes/{name}", Viewer, Endpoint::Node, "This node, by its name."),
    Route::api(Get, "/api/v1/services", Viewer, Endpoint::Services, "The services and their servers."),
    Route::api(Get, "/api/v1/services/{service}", Viewer, Endpoint::Service, "One service."),
    Route::api(
        Get,
        "/api/v1/services/{service}/servers/{server}",
        Viewer,
        Endpoint::Server,
        "One server of a service, by its name or its address and port.",
    ),
    Route::api(Get, "/api/v1/events", Viewer, Endpoint::Events, "What has happened.")
        .with(&[may("after", "integer", "Only events with a greater `id`.")]),
    Route::new(
        Get,
        "/api/v1/stream",
        Access::Role(Viewer),
        Stream,
        Endpoint::Stream,
        "What happens, as it happens: `snapshot`, `delta`, `event` and `ping`.",
    ),
    Route::api(
        Get,
        "/api/v1/history",
        Viewer,
        Endpoint::History,
        "What went through a service: 15 minutes by the second, 2 hours by 10 s, a day by 2 minutes.",
    )
    .with(&[
        must("service", "string", "The name of the service."),
        must("series", "string", "`cps`, `active`, `in`, `out` or `up`."),
        may("range", "integer", "How far back, in seconds; 900 unless said."),
    ]),
    Route::api(
        Get,
        "/api/v1/overrides",
        Viewer,
        Endpoint::Overrides,
        "What operators say of servers.",
    ),
    Route::api(
        Put,
        "/api/v1/services/{service}/servers/{server}/override",
        Operator,
        Endpoint::PutOverride,
        "Drain, disable or weigh a server.",
    )
    .with(WORD),
    Route::api(
        Delete,
        "/api/v1/services/{service}/servers/{server}/override",
        Operator,
        Endpoint::DeleteOverride,
        "Take back what was said of a server: lvs.cf and its checks decide again.",
    ),
    Route::api(
        Post,
        "/api/v1/cluster/failover",
        Operator,
        Endpoint::Failover,
        "Pass the service to the partner, once it has said that it takes it.",
    )
    .with(&[may("dry_run", "boolean", "Only say whether it would succeed."), REASON])
    .after_password(),
    Route::api(
        Put,
        "/api/v1/maintenance",
        Operator,
        Endpoint::Maintenance,
        "Begin maintenance of this node, or end it.",
    )
    .with(&[must("on", "boolean", "Whether it begins."), REASON])
    .after_password(),
    Route::api(
        Get,
        "/api/v1/config/raw",
        Admin,
        Endpoint::Config,
        "The file that is in force, with its digest as `ETag`.",
    ),
    Route::api(
        Post,
        "/api/v1/config/validate",
        Admin,
        Endpoint::Validate,
        "What is wrong with a draft. Changes nothing.",
    )
    .with(DRAFT)
    .up_to(4 << 20),
    Route::api(
        Post,
        "/api/v1/config/diff",
        Admin,
        Endpoint::Diff,
        "What a draft would change in what the file says, and what that does to connections.",
    )
    .with(DRAFT)
    .up_to(4 << 20),
    Route::api(
        Get,
        "/api/v1/config/explain/{name}",
        Viewer,
        Endpoint::Explain,
        "What a directive or a diagnostic means.",
    ),
    Route::api(Post, "/api/v1/config/reload", Admin, Endpoint::Reload, "Read lvs.cf again."),
    Route::new(Post, "/api/v1/session", Public, Api, Endpoint::BeginSession, "Log in.")
        .with(&[NAME, PASSWORD]),
    Route::api(Delete, "/api/v1/session", Viewer, Endpoint::EndSession, "Log out."),
    Route::api(
        Post,
        "/api/v1/session/confirm",
        Viewer,
        Endpoint::Confirm,
        "Enter the password again, for what concerns the whole pair.",
    )
    .with(&[PASSWORD]),
    Route::api(
        Put,
        "/api/v1/session/password",
        Viewer,
        Endpoint::OwnPassword,
        "Change one's own password; every session of the account ends.",
    )
    .with(&[PASSWORD, must("new", "string", "The new password.")]),
    Route::api(
        Get,
        "/api/v1/sessions",
        Viewer,
        Endpoint::Sessions,
        "Who is logged in: of an admin all sessions, of others their own.",
    ),
    Route::api(
        Delete,
        "/api/v1/sessions/{id}",
        Viewer,
        Endpoint::RevokeSession,
        "End a session: an admin any, others their own.",
    ),
    Route::api(Get, "/api/v1/users", Admin, Endpoint::Users, "Who may log in."),
    Route::api(
        Put,
        "/api/v1/users/{user}",
        Admin,
        Endpoint::PutUser,
        "Add a user, or change role or password of one; every session of the account ends.",
    )
    .with(&[
        may("role", "string", "`viewer`, `operator` or `admin`; of a new user `viewer`."),
        may("password", "string", "The password; a new user needs one."),
    ])
    .after_password(),
    Route::api(Delete, "/api/v1/users/{user}", Admin, Endpoint::DeleteUser, "Take a user away.")
        .after_password(),
    Route::api(Get, "/api/v1/tokens", Admin, Endpoint::Tokens, "The API tokens there are."),
    Route::api(
        Post,
        "/api/v1/tokens",
        Admin,
        Endpoint::CreateToken,
        "Make an API token; it is told this once.",
    )
    .with(&[
        must("name", "string", "What it is called."),
        may("role", "string", "What its holder may do; `viewer` unless said."),
        may("expires", "integer", "Ends after so many seconds; 90 days unless said."),
    ])
    .after_password(),
    Route::api(
        Delete,
        "/api/v1/tokens/{name}",
        Admin,
        Endpoint::RevokeToken,
        "Make an API token worthless.",
    ),
    Route::api(Get, "/api/v1/audit", Admin, Endpoint::Audit, "Who did what, the latest first."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn found(method: &str, path: &str) -> Option<Endpoint> {
        match find(method, path) {
            Found::Route(route, _) => Some(route.endpoint),
            _ => None,
        }
    }

    #[test]
    fn every_route_is_found_by_its_own_path_and_method_and_no_two_are_alike() {
        let mut seen = BTreeSet::new();
        for route in ROUTES {
            assert!(seen.insert((route.method, route.path)), "{} twice", route.path);
            assert!(seen.iter().all(|(_, path)| path.starts_with('/')));
            let path = route.path.replace(['{', '}'], "");
            assert_eq!(found(route.method.name(), &path), Some(route.endpoint), "{path}");
            assert!(route.summary.ends_with('.'), "{}", route.path);
        }
    }

    #[test]
    fn what_is_public_is_what_there_is_before_the_login_and_nothing_else() {
        let public = ROUTES.iter().filter(|route| route.access == Public);
        let paths: Vec<_> = public.map(|route| (route.method.name(), route.path)).collect();
        let expected = [
            ("GET", "/login"),
            ("POST", "/login"),
            ("GET", "/setup"),
            ("POST", "/setup"),
            ("GET", "/assets/{name}"),
            ("GET", "/healthz"),
            ("GET", "/readyz"),
            ("POST", "/api/v1/session"),
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn a_viewer_changes_nothing_but_the_own_session() {
        for route in ROUTES.iter().filter(|route| route.method.changes()) {
            let own = route.path.contains("session") || route.path == "/logout";
            assert!(own || route.access != Access::Role(Viewer), "{}", route.path);
        }
    }

    #[test]
    fn names_in_a_path_are_decoded_and_other_methods_are_told() {
        let path = "/api/v1/services/a%2Fb%20%3C/servers/s1/override";
        let Found::Route(route, parameters) = find("PUT", path) else { panic!("not found") };
        assert_eq!(route.endpoint, Endpoint::PutOverride);
        assert_eq!((parameters.get("service"), parameters.get("server")), ("a/b <", "s1"));
        assert!(matches!(find("FOO", path), Found::OtherMethod(methods) if methods.len() == 2));
        assert!(matches!(find("GET", "/api/v1/sessions/"), Found::Nothing));
        assert_eq!(found("HEAD", "/"), Some(Endpoint::Overview));
        assert_eq!(found("get", "/"), None);
    }
}
