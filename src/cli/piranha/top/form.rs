//! Questions that are asked before anything is changed.

use super::rows::Row;
use super::update::Action;
use crate::control::Word;
use crate::control::protocol::Operation;
use crate::control::status::{ServerState, ServerStatus, Status};
use crate::net::Weight;

/// The longest text that is taken: a reason ends up in log lines.
const LONGEST: usize = 200;

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    Ready,
    Drain,
    Disable,
    Weight,
    /// Pass the service on: the name of this node must be typed for it.
    Failover {
        node: String,
    },
}

/// A line to type into.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) label: String,
    pub(super) text: String,
}

/// A question: what will happen, and what has to be typed first.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) title: String,
    /// What will happen, in words.
    pub(super) effects: Vec<String>,
    pub(super) fields: Vec<Field>,
    /// The field that is typed into.
    pub(super) focus: usize,
    /// What is wrong with what was typed.
    pub(super) complaint: Option<String>,
    wish: Wish,
    target: String,
}

impl Form {
    /// What is asked before `wish` is done to the server of `row`.
    pub(super) fn of_server(wish: Wish, row: &Row<'_>, server: &ServerStatus) -> Self {
        let target = row.key();
        let (verb, effect) = match wish {
            Wish::Ready => ("Ready", "lvs.cf and the checks decide again"),
            Wish::Drain => ("Drain", "no new connections; those it has go on"),
            Wish::Disable => ("Disable", "out of the table; its connections may break"),
            Wish::Weight | Wish::Failover { .. } => ("Weigh", "another weight than in lvs.cf"),
        };
        let mut effects = vec![effect.to_owned()];
        if let Some(traffic) = &server.traffic {
            effects.push(format!("{} connections now", traffic.load.total()));
        }
        let keeps_out = matches!(wish, Wish::Drain | Wish::Disable);
        if keeps_out && server.state == ServerState::Up && row.service.counts.up == 1 {
            effects.push(format!("! the last server of {} that is up", row.service.name));
        }
        let mut fields = vec![Field::new("Reason", "")];
        if wish == Wish::Weight {
            let weight = server.weight.unwrap_or(server.configured_weight);
            fields.insert(0, Field::new("Weight", &weight.to_string()));
        }
        Self {
            title: format!("{verb} {target}"),
            effects,
            fields,
            focus: 0,
            complaint: None,
            wish,
            target,
        }
    }

    /// What is asked before the service is passed to the partner.
    pub(super) fn of_failover(status: &Status) -> Self {
        let against = status.verdict.against_failover();
        let mut effects =
            vec!["the partner takes the service; this node is standby then".to_owned()];
        effects.extend(against.map(|reason| format!("! it would fail: {}", reason.message)));
        let node = status.node.clone();
        let label = format!("Type {node} to confirm");
        Self {
            title: format!("Failover from {node}"),
            effects,
            fields: vec![Field::new(&label, ""), Field::new("Reason", "")],
            focus: 0,
            complaint: None,
            wish: Wish::Failover { node },
            target: String::new(),
        }
    }

    pub(super) fn type_in(&mut self, letter: char) {
        let text = &mut self.fields[self.focus].text;
        if text.chars().count() < LONGEST && !letter.is_control() {
            text.push(letter);
        }
    }

    pub(super) fn erase(&mut self) {
        self.fields[self.focus].text.pop();
    }

    pub(super) fn erase_all(&mut self) {
        self.fields[self.focus].text.clear();
    }

    pub(super) const fn move_on(&mut self) {
        self.focus = (self.focus + 1) % self.fields.len();
    }

    /// What has to be done now, unless what was typed does not do.
    pub(super) fn confirm(&mut self) -> Option<Action> {
        match self.decide() {
            Ok(action) => Some(action),
            Err(complaint) => {
                self.complaint = Some(complaint);
                None
            }
        }
    }

    fn decide(&self) -> Result<Action, String> {
        let word = match &self.wish {
            Wish::Ready => Word::Ready,
            Wish::Drain => Word::Drain { deadline: None },
            Wish::Disable => Word::Disable,
            Wish::Weight => Word::Weight(weight(self.fields[0].text.trim())?),
            Wish::Failover { node } if self.fields[0].text.trim() != node => {
                return Err(format!("type {node} to confirm, or Esc"));
            }
            Wish::Failover { .. } => return Ok(Action::HandOver { reason: self.reason() }),
        };
        let mut operation = Operation::new(&self.target, word);
        operation.reason = self.reason();
        Ok(Action::Operate(operation))
    }

    fn reason(&self) -> Option<String> {
        let text = self.fields.last()?.text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

impl Field {
    fn new(label: &str, text: &str) -> Self {
        Self { label: label.to_owned(), text: text.to_owned() }
    }
}

fn weight(text: &str) -> Result<Weight, String> {
    let number: u32 = text.parse().map_err(|_no| format!("`{text}` is no weight: a number"))?;
    Weight::new(number).map_err(|error| error.to_string())
}
