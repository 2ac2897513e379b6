//! The table of routes.

use super::Access::Public;
use super::Kind::{Api, Asset, Form, Page, Stream};
use super::Method::{Delete, Get, Post, Put};
use super::{Access, Field, Route, may, must};
use crate::web::Role::{Admin, Operator, Viewer};

/// What the server does for a [`Route`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs, reason = "the table says what each is for")]
pub enum Endpoint {
    Overview,
    KioskPage,
    ServicesPage,
    ServicePage,
    ConnectionsPage,
    ListingPage,
    ClusterPage,
    EventsPage,
    AccountsPage,
    SystemPage,
    AuditPage,
    ConfigPage,
    HistoryPage,
    FilesPage,
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
    ServicesCsv,
    Service,
    Server,
    Connections,
    Listing,
    Events,
    Stream,
    History,
    Overrides,
    PutOverrides,
    PutOverride,
    DeleteOverride,
    Failover,
    Maintenance,
    Config,
    Validate,
    Diff,
    Explain,
    Directives,
    Review,
    Outline,
    Edit,
    Import,
    Apply,
    ConfirmConfig,
    UndoConfig,
    Revisions,
    Revision,
    Compare,
    Reload,
    Files,
    SyncFiles,
    ResolveFile,
    RunCheck,
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
    SupportBundle,
    TestAlerts,
}

const REASON: Field = may("reason", "string", "Why, for the log and the audit trail.");
const NAME: Field = must("user", "string", "The name of the account.");
const PASSWORD: Field = must("password", "string", "Its password.");
const TEXT: Field = must("text", "string", "The whole of an lvs.cf.");
const DRAFT: &[Field] = &[TEXT];
const MOST: usize = 4 << 20;
const WORD: &[Field] = &[
    must("state", "string", "`drain`, `disable` or `weight`."),
    may("weight", "integer", "The weight, for `weight`."),
    may("deadline", "integer", "For `drain`: disabled after so many seconds."),
    may("expires", "integer", "Ends by itself after so many seconds."),
    may("save", "boolean", "Written into lvs.cf instead of said until further notice."),
    may("force", "boolean", "Even if it leaves the service without a server."),
    REASON,
];

const MANY: &[Field] = &[
    must("servers", "array", "`SERVICE/SERVER`, or `SERVICE/*` for all of one; 500 at most."),
    must("state", "string", "`ready`, `drain`, `disable` or `weight`."),
    may("weight", "integer", "The weight, for `weight`."),
    may("deadline", "integer", "For `drain`: disabled after so many seconds."),
    may("expires", "integer", "Ends by itself after so many seconds."),
    may("save", "boolean", "Written into lvs.cf instead of said until further notice."),
    may("force", "boolean", "Even if together they leave a service without a server."),
    REASON,
];

/// Everything that can be asked, and by whom. What is not in here is refused.
pub const ROUTES: &[Route] = &[
    Route::page("/", Viewer, Endpoint::Overview, "The state of the pair at a glance."),
    Route::page("/kiosk", Viewer, Endpoint::KioskPage, "The same for a screen on the wall."),
    Route::page("/services", Viewer, Endpoint::ServicesPage, "All services, with filter and order."),
    Route::page("/services/{service}", Viewer, Endpoint::ServicePage, "A service and its servers."),
    Route::page(
        "/services/{service}/connections",
        Viewer,
        Endpoint::ConnectionsPage,
        "Who is connected to a service.",
    ),
    Route::page("/ipvsadm", Viewer, Endpoint::ListingPage, "All services as `ipvsadm -Ln` has them."),
    Route::page("/cluster", Viewer, Endpoint::ClusterPage, "The pair, and whether it could fail over."),
    Route::page("/events", Viewer, Endpoint::EventsPage, "What has happened."),
    Route::page("/accounts", Viewer, Endpoint::AccountsPage, "Sessions, users and tokens."),
    Route::page("/system", Viewer, Endpoint::SystemPage, "The programs of this node."),
    Route::page("/config", Admin, Endpoint::ConfigPage, "lvs.cf as text and as forms, over one draft.")
        .with(&[may("revision", "string", "Begins with what this revision says.")]),
    Route::page("/config/history", Admin, Endpoint::HistoryPage, "What lvs.cf was, and who changed it.")
        .with(&[
            may("from", "string", "Compares this revision, or `file`,"),
            may("to", "string", "with this one."),
        ]),
    Route::page("/files", Admin, Endpoint::FilesPage, "How files stand on both nodes."),
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
    Route::api(
        Get,
        "/api/v1/services.csv",
        Viewer,
        Endpoint::ServicesCsv,
        "The same as a table: a line for each server (RFC 4180).",
    ),
    Route::api(Get, "/api/v1/services/{service}", Viewer, Endpoint::Service, "One service."),
    Route::api(
        Get,
        "/api/v1/services/{service}/servers/{server}",
        Viewer,
        Endpoint::Server,
        "One server of a service, by its name or its address and port.",
    ),
    Route::api(
        Get,
        "/api/v1/services/{service}/connections",
        Viewer,
        Endpoint::Connections,
        "Who is connected to a service: the clients with most connections, and some of these.",
    ),
    Route::api(
        Get,
        "/api/v1/ipvsadm",
        Viewer,
        Endpoint::Listing,
        "The table of the data plane as `ipvsadm -Ln` prints it.",
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
        "/api/v1/overrides",
        Operator,
        Endpoint::PutOverrides,
        "Say the same of several servers, or of whole services: of all of them, or of none.",
    )
    .with(MANY),
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
        "/api/v1/services/{service}/servers/{server}/check",
        Operator,
        Endpoint::RunCheck,
        "Check a server once, now, with what was sent and got. Nothing follows from the result.",
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
    .up_to(MOST),
    Route::api(
        Post,
        "/api/v1/config/diff",
        Admin,
        Endpoint::Diff,
        "What a draft would change in what the file says, and what that does to connections.",
    )
    .with(DRAFT)
    .up_to(MOST),
    Route::api(
        Get,
        "/api/v1/config/explain/{name}",
        Viewer,
        Endpoint::Explain,
        "What a directive or a diagnostic means.",
    ),
    Route::api(
        Get,
        "/api/v1/config/directives",
        Viewer,
        Endpoint::Directives,
        "Every directive in every place it can stand in.",
    ),
    Route::api(
        Post,
        "/api/v1/config/review",
        Admin,
        Endpoint::Review,
        "What `lvs` says about a draft: errors, what it changes, whether it can run. Changes nothing.",
    )
    .with(DRAFT)
    .up_to(MOST),
    Route::api(
        Post,
        "/api/v1/config/outline",
        Admin,
        Endpoint::Outline,
        "The settings of a draft, block by block, with defaults and what follows from others.",
    )
    .with(DRAFT)
    .up_to(MOST),
    Route::api(
        Post,
        "/api/v1/config/edit",
        Admin,
        Endpoint::Edit,
        "A draft with one thing changed, every other byte as it was. Nothing is saved.",
    )
    .with(&[
        TEXT,
        must("action", "string", "`set`, `unset`, `push` (one more); for blocks `add`, `remove`, `rename`."),
        may("service", "string", "The block; outside of blocks without."),
        may("server", "string", "The server in it."),
        may("directive", "string", "For `set` and `unset`."),
        may("value", "string", "What the directive is to mean, for `set` and `push`."),
        may("nth", "integer", "Which of several, counted from 1, for `set` and `unset`."),
        may("name", "string", "The new name, for `rename`."),
    ])
    .up_to(MOST),
    Route::api(
        Post,
        "/api/v1/config/import",
        Admin,
        Endpoint::Import,
        "The configuration of another program as lvs.cf, with all that could not be expressed.",
    )
    .with(&[
        must("text", "string", "keepalived.conf, ldirectord.cf, or what `ipvsadm -Sn` prints."),
        may("from", "string", "`keepalived`, `ldirectord` or `ipvsadm`; found out unless said."),
        may("primary", "string", "Public address of the primary director."),
        may("backup", "string", "Public address of the backup director."),
        may("device", "string", "Device for VIPs that have none, `eth0` unless said."),
        may("vips", "string", "VIPs for services by firewall mark, with blanks between."),
    ])
    .up_to(MOST),
    Route::api(
        Post,
        "/api/v1/config/apply",
        Admin,
        Endpoint::Apply,
        "Put a draft or a revision in force. `If-Match` says from which file it was made.",
    )
    .with(&[
        may("text", "string", "The whole of an lvs.cf, or"),
        may("revision", "string", "the number of a revision, or how its hash begins."),
        may("confirm_within", "integer", "Seconds to confirm it, 0 for never; found out unless said."),
        may("partner", "boolean", "On both nodes, if the partner agrees; so unless said."),
        may("force_local", "boolean", "On this node alone, without asking the partner."),
        may("force", "boolean", "Even over what somebody edited by hand and nobody applied."),
        REASON,
    ])
    .up_to(MOST),
    Route::api(
        Post,
        "/api/v1/config/confirm",
        Admin,
        Endpoint::ConfirmConfig,
        "Keep the change that waits to be confirmed.",
    )
    .with(&[may("partner", "boolean", "On the partner too; so unless said.")]),
    Route::api(
        Post,
        "/api/v1/config/undo",
        Admin,
        Endpoint::UndoConfig,
        "Take the change back that waits to be confirmed, or else the last one.",
    )
    .with(&[may("partner", "boolean", "On the partner too; so unless said."), REASON]),
    Route::api(Get, "/api/v1/config/revisions", Admin, Endpoint::Revisions, "What lvs.cf was."),
    Route::api(
        Get,
        "/api/v1/config/revisions/{id}",
        Admin,
        Endpoint::Revision,
        "What a revision says, by its number or how its hash begins.",
    ),
    Route::api(
        Get,
        "/api/v1/config/compare",
        Admin,
        Endpoint::Compare,
        "Two revisions, by meaning and line by line.",
    )
    .with(&[
        must("from", "string", "A revision, or `file` for what is in the file."),
        must("to", "string", "The other one."),
    ]),
    Route::api(Post, "/api/v1/config/reload", Admin, Endpoint::Reload, "Read lvs.cf again."),
    Route::api(Get, "/api/v1/sync", Admin, Endpoint::Files, "How files stand on both nodes."),
    Route::api(
        Post,
        "/api/v1/sync/run",
        Admin,
        Endpoint::SyncFiles,
        "Bring each file from where it is newer to the other node. Conflicts are left.",
    )
    .with(&[
        may("direction", "string", "`push` or `pull`; both ways unless said."),
        may("dry_run", "boolean", "Only say what would be done."),
    ]),
    Route::api(
        Post,
        "/api/v1/sync/resolve",
        Admin,
        Endpoint::ResolveFile,
        "Make a file the same on both nodes, the version of one of them.",
    )
    .with(&[
        must("name", "string", "The file."),
        must("mine", "boolean", "Whether what is here wins, or what the partner has."),
    ]),
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
    Route::api(
        Get,
        "/api/v1/support-bundle",
        Admin,
        Endpoint::SupportBundle,
        "What somebody needs who is to help, without secrets, as a file.",
    ),
    Route::api(
        Post,
        "/api/v1/notify/test",
        Admin,
        Endpoint::TestAlerts,
        "Tell everybody whom lvs.cf names that this is a test.",
    )
    .with(&[may("only", "string", "Only those of this directive, such as `notify_mail`.")])
    .after_password(),
];
