mod table;

use Kind::{Api, Page, Stream};
use Method::Get;

use super::Role;
use super::form::decode;
pub use table::{Endpoint, ROUTES};

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Access::Public;
    use super::Role::Viewer;
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
