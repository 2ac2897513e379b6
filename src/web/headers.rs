//! What every answer carries.

/// Nothing but what this server serves, no inline script or style, in no frame.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'";

/// The header fields of every answer, whatever came of the request.
pub(crate) const EVERYWHERE: [(&str, &str); 8] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    // Not `no-referrer`: browsers would then send `Origin: null` with a form.
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("x-frame-options", "DENY"),
    ("x-robots-tag", "noindex"),
];

/// For what may change: it is not to be found in a cache after the logout.
pub(crate) const NO_STORE: &str = "no-store";

/// For what has its digest in its name.
pub(crate) const FOREVER: &str = "public, max-age=31536000, immutable";
