//! When the partner was last heard from.

use std::time::Duration;

use crate::control::Age;
use crate::control::peer::PartnerStatus;

/// A partner that is spoken with every few seconds and was not for so long is silent.
const SILENT: Duration = Duration::from_secs(20);

/// How old what is known of the partner is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Heard {
    node: String,
    silent: bool,
    /// Beside what it told: "heard just now", "silent for 45s".
    pub(crate) age: String,
    why: Option<String>,
}

impl Heard {
    /// What the program says that has the connection.
    pub(crate) fn of(partner: PartnerStatus) -> Self {
        let PartnerStatus { node, heard, problem: why, .. } = partner;
        let silent = why.is_some() || heard.is_none_or(|age| age.0 >= SILENT);
        // What changes with every look would have the whole list drawn anew.
        let age = match heard {
            Some(age) if silent => format!("silent for {}", Age(age.0)),
            Some(_) => "heard just now".to_owned(),
            None => "not heard from".to_owned(),
        };
        Self { node, silent, age, why }
    }

    /// Nobody is there who would know, because of `why`.
    pub(crate) fn nobody(why: &str) -> Self {
        let (node, age) = ("the partner".to_owned(), "not heard from".to_owned());
        Self { node, silent: true, age, why: Some(why.to_owned()) }
    }

    /// Whether what happened on it since is missing.
    pub(crate) const fn is_silent(&self) -> bool {
        self.silent
    }

    /// The same as a sentence.
    pub(crate) fn sentence(&self) -> String {
        let Self { node, age, why, .. } = self;
        let why = why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        let missing = if self.silent { " What happened there since is missing here." } else { "" };
        format!("{node}: {age}{why}.{missing}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Timestamp;

    fn partner(heard: Option<u64>, problem: Option<&str>) -> Heard {
        let pin = "sha256:".to_owned() + &"0".repeat(64);
        let at = "192.0.2.2:3638".parse().unwrap();
        let mut partner =
            PartnerStatus::new("lb2".to_owned(), pin.parse().unwrap(), at, Timestamp(0));
        partner.heard = heard.map(|seconds| Age(Duration::from_secs(seconds)));
        partner.problem = problem.map(str::to_owned);
        Heard::of(partner)
    }

    #[test]
    fn a_partner_that_is_not_heard_from_is_said_to_be_silent_whatever_the_reason() {
        assert_eq!(partner(Some(3), None).sentence(), "lb2: heard just now.");
        for silent in
            [partner(Some(45), None), partner(Some(2), Some("refused")), partner(None, None)]
        {
            assert!(silent.is_silent(), "{silent:?}");
            assert!(silent.sentence().ends_with("is missing here."), "{silent:?}");
        }
        assert_eq!(partner(Some(45), None).age, "silent for 45s");
        assert!(Heard::nobody("not paired").sentence().contains("(not paired)"));
    }
}
