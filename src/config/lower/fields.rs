//! What the directives of a block say.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::Span;
use crate::config::directive::Directive;
use crate::config::value::{Mask, Value};

/// A block's name, header and directives.
pub(super) struct Section {
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) fields: Fields,
}

/// The directives of one block; of those that stand twice, the last.
#[derive(Default)]
pub(super) struct Fields(Vec<Field>);

/// A directive that is there.
pub(super) struct Field {
    pub(super) directive: Directive,
    pub(super) name: Span,
    pub(super) values: Span,
    /// Missing where it could not be read.
    pub(super) value: Option<Value>,
}

impl Field {
    /// The place of its name and values.
    pub(super) const fn span(&self) -> Span {
        self.name.to(self.values)
    }
}

impl Fields {
    /// Whether the directive is there, readable or not.
    pub(super) fn mentions(&self, directive: Directive) -> bool {
        self.field(directive).is_some()
    }

    /// Takes a directive over and returns the one it replaces.
    pub(super) fn insert(&mut self, field: Field) -> Option<Field> {
        let apart = field.directive.is_kept_apart();
        let same = |known: &&mut Field| !apart && known.directive == field.directive;
        match self.0.iter_mut().find(same) {
            Some(known) => Some(std::mem::replace(known, field)),
            None => {
                self.0.push(field);
                None
            }
        }
    }

    /// How often a directive stands there that may do so several times.
    pub(super) fn times(&self, directive: Directive) -> usize {
        match self.value(directive) {
            Some(Value::Headers(headers)) => headers.len(),
            Some(Value::Json(expects)) => expects.len(),
            Some(Value::Pins(pins)) => pins.len(),
            _ => self.all(directive).count(),
        }
    }

    fn field(&self, directive: Directive) -> Option<&Field> {
        self.0.iter().find(|field| field.directive == directive)
    }

    /// Whether the directive is there with an empty text for a value.
    pub(super) fn is_empty(&self, directive: Directive) -> bool {
        match self.value(directive) {
            Some(Value::Payload(text)) => text.is_empty(),
            Some(Value::Text(text)) => text.is_empty(),
            _ => false,
        }
    }

    /// The place of the directive's name and values.
    pub(super) fn span(&self, directive: Directive) -> Option<Span> {
        self.field(directive).map(Field::span)
    }

    /// The place of its values.
    pub(super) fn value_span(&self, directive: Directive) -> Option<Span> {
        self.field(directive).map(|field| field.values)
    }

    /// Adds what stood further up to a directive that may stand several times.
    pub(super) fn gather(&self, directive: Directive, field: &mut Field) -> bool {
        match (&mut field.value, self.value(directive)) {
            (Some(value), Some(before)) => value.gather(before),
            _ => false,
        }
    }

    fn value(&self, directive: Directive) -> Option<&Value> {
        self.field(directive)?.value.as_ref()
    }

    pub(super) fn boolean(&self, directive: Directive) -> Option<bool> {
        match self.value(directive)? {
            Value::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn integer(&self, directive: Directive) -> Option<i64> {
        match self.value(directive)? {
            Value::Integer(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn count(&self, directive: Directive) -> Option<u32> {
        u32::try_from(self.integer(directive)?).ok()
    }

    pub(super) fn duration(&self, directive: Directive) -> Option<Duration> {
        match self.value(directive)? {
            Value::Duration(value) => Some(*value),
            _ => None,
        }
    }

    /// A duration for which 0 stands for none.
    pub(super) fn duration_or_none(&self, directive: Directive) -> Option<Duration> {
        self.duration(directive).filter(|value| !value.is_zero())
    }

    pub(super) fn port(&self, directive: Directive) -> Option<u16> {
        match self.value(directive)? {
            Value::Port(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn host(&self, directive: Directive) -> Option<IpAddr> {
        match self.value(directive)? {
            Value::Host(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn address_device(&self, directive: Directive) -> Option<(IpAddr, String)> {
        match self.value(directive)? {
            Value::AddressDevice(address, device) => Some((*address, device.clone())),
            _ => None,
        }
    }

    pub(super) fn endpoints(&self, directive: Directive) -> &[(IpAddr, Option<u16>)] {
        match self.value(directive) {
            Some(Value::Endpoints(endpoints)) => endpoints,
            _ => &[],
        }
    }

    /// A directive that may stand several times, each time it does.
    pub(super) fn all(&self, directive: Directive) -> impl Iterator<Item = &Field> {
        self.0.iter().filter(move |field| field.directive == directive)
    }

    pub(super) fn mask(&self, directive: Directive) -> Option<Mask> {
        match self.value(directive)? {
            Value::Mask(value) => *value,
            _ => None,
        }
    }

    pub(super) fn choice(&self, directive: Directive) -> Option<&'static str> {
        match self.value(directive)? {
            Value::Choice(value) => Some(value),
            _ => None,
        }
    }

    /// A text, unless it is empty.
    pub(super) fn text(&self, directive: Directive) -> Option<String> {
        match self.value(directive)? {
            Value::Text(value) => Some(value.clone()).filter(|value| !value.is_empty()),
            _ => None,
        }
    }

    /// Bytes with their escapes, unless they are empty.
    pub(super) fn payload(&self, directive: Directive) -> Option<&[u8]> {
        match self.value(directive)? {
            Value::Payload(value) => Some(value.as_slice()).filter(|value| !value.is_empty()),
            _ => None,
        }
    }

    /// A value of a kind that only one directive has.
    pub(super) fn special(&self, directive: Directive) -> Option<&Value> {
        self.value(directive)
    }
}
