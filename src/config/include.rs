//! Files that other files include, and which of them a place is in.

use std::ops::Range;

use super::diagnostic::Sink;
use super::lower::Part;
use super::syntax::{Quote, Shape};
use super::{Code, Diagnostic, Directive, Document, Position, Related, Span, Surroundings};

/// How deep files may include each other.
const MAX_DEPTH: usize = 8;
/// How many files, and how many `include` directives, may be read.
const MAX_FILES: usize = 1000;
/// The bytes of all files together.
const MAX_TOTAL: usize = 64 << 20;

/// A file that another one includes.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Included {
    /// Its name, as [`Surroundings::matching`] gave it.
    pub name: String,
    /// The file as it was written.
    pub document: Document,
    /// What is added to offsets in it, so that they differ from those in other files.
    base: usize,
}

impl Included {
    /// Whether `span` is in this file.
    #[must_use]
    pub fn contains(&self, span: Span) -> bool {
        (self.base..=self.base + self.document.as_bytes().len()).contains(&span.start)
    }

    /// The span as an offset in the file itself.
    #[must_use]
    pub const fn local(&self, span: Span) -> Span {
        Span::new(span.start - self.base, span.end - self.base)
    }
}

/// The name and the place of `span`: in one of `included`, or in `document` called `name`.
pub(super) fn locate<'a>(
    name: &'a str,
    document: &Document,
    included: &'a [Included],
    span: Span,
) -> (&'a str, Position) {
    match included.iter().find(|file| file.contains(span)) {
        Some(file) => (&file.name, file.document.position(file.local(span).start)),
        None => (name, document.position(span.start)),
    }
}

/// The diagnostics about one file, with offsets in that file. Places in other files are named in
/// the text.
pub(super) fn about(
    diagnostics: &[Diagnostic],
    file: Option<&Included>,
    place: &dyn Fn(Span) -> (Option<usize>, String),
    number: Option<usize>,
) -> Vec<Diagnostic> {
    let local = |span| file.map_or(span, |file| file.local(span));
    let here = diagnostics.iter().filter(|diagnostic| place(diagnostic.span).0 == number);
    here.map(|diagnostic| {
        let mut shown = Diagnostic { span: local(diagnostic.span), ..diagnostic.clone() };
        shown.related.clear();
        for Related { span, message } in &diagnostic.related {
            let (holder, position) = place(*span);
            if holder == number {
                shown.related.push(Related { span: local(*span), message: message.clone() });
            } else {
                shown.message.push_str(&format!(" ({position}: {message})"));
            }
        }
        shown
    })
    .collect()
}

/// Part of a file: `None` for the first one, or its number among those included, and statements.
pub(super) type Stretch = (Option<usize>, Range<usize>);

/// The stretches with their files.
pub(super) fn parts<'a>(
    root: &'a Document,
    included: &'a [Included],
    stretches: &[Stretch],
) -> Vec<Part<'a>> {
    let part = |(file, statements): &Stretch| {
        let (document, base) = match file.and_then(|file| included.get(file)) {
            Some(file) => (&file.document, file.base),
            None => (root, 0),
        };
        Part { document, base, statements: statements.clone() }
    };
    stretches.iter().map(part).collect()
}

/// A file with all it includes.
pub(super) struct Gathered<'a> {
    surroundings: &'a dyn Surroundings,
    name: &'a str,
    root: Document,
    included: Vec<Included>,
    /// In the order in which they count.
    stretches: Vec<Stretch>,
    /// The files that are being read, the outermost first.
    chain: Vec<Option<usize>>,
    problems: Sink,
    directives: usize,
    total: usize,
}

impl<'a> Gathered<'a> {
    pub(super) fn new(name: &'a str, root: Document, surroundings: &'a dyn Surroundings) -> Self {
        let mut gathered = Self {
            surroundings,
            name,
            total: root.as_bytes().len(),
            problems: root.problems().clone(),
            root,
            included: Vec::new(),
            stretches: Vec::new(),
            chain: Vec::new(),
            directives: 0,
        };
        gathered.take(None);
        gathered
    }

    /// All stretches, and what was wrong so far.
    pub(super) fn parts(&self) -> (Vec<Part<'_>>, Sink) {
        (parts(&self.root, &self.included, &self.stretches), self.problems.clone())
    }

    pub(super) fn finish(self) -> (Document, Vec<Included>, Vec<Stretch>) {
        (self.root, self.included, self.stretches)
    }

    fn document(&self, file: Option<usize>) -> &Document {
        file.map_or(&self.root, |file| &self.included[file].document)
    }

    fn base(&self, file: Option<usize>) -> usize {
        file.map_or(0, |file| self.included[file].base)
    }

    fn name(&self, file: Option<usize>) -> &str {
        file.map_or(self.name, |file| &self.included[file].name)
    }

    /// Takes a file over, with those it includes where it does so.
    fn take(&mut self, file: Option<usize>) {
        self.chain.push(file);
        let mut from = 0;
        for (statement, pattern, span) in self.includes(file) {
            self.stretches.push((file, from..statement + 1));
            from = statement + 1;
            self.include(file, &pattern, span);
        }
        self.stretches.push((file, from..self.document(file).statements().len()));
        self.chain.pop();
    }

    /// The `include` directives of a file: statement, value, place.
    fn includes(&self, file: Option<usize>) -> Vec<(usize, String, Span)> {
        let document = self.document(file);
        let outside = document.statements().iter().enumerate().filter(|(_, statement)| {
            statement.shape == Shape::Assignment && statement.block().is_none()
        });
        outside
            .filter_map(|(index, statement)| {
                let [name, _, value] = document.tokens(statement) else {
                    return None;
                };
                let is_include = document.value(name) == Directive::Include.name().as_bytes();
                let span = value.span().shifted(self.base(file));
                (is_include && value.quote != Quote::Open)
                    .then(|| (index, document.word(value).into_owned(), span))
            })
            .collect()
    }

    fn include(&mut self, from: Option<usize>, pattern: &str, span: Span) {
        self.directives += 1;
        if self.chain.len() > MAX_DEPTH {
            let message = format!("files are included more than {MAX_DEPTH} deep");
            return self.report(Code::IncludeLimit, span, message);
        }
        if self.directives > MAX_FILES {
            return self.too_many(span);
        }
        match self.surroundings.matching(self.name(from), pattern) {
            Ok(names) if names.is_empty() => {
                let message = format!("`{pattern}` matches no file");
                self.report(Code::NothingIncluded, span, message);
            }
            Ok(names) => names.into_iter().for_each(|name| self.open(name, span)),
            Err(reason) => {
                let message = format!("cannot include `{pattern}`: {reason}");
                self.report(Code::IncludeFailed, span, message);
            }
        }
    }

    fn open(&mut self, name: String, span: Span) {
        if self.chain.iter().any(|&file| self.name(file) == name) {
            let names: Vec<_> = self.chain.iter().map(|&file| self.name(file)).collect();
            let message = format!("{} includes itself: {} -> {name}", name, names.join(" -> "));
            return self.report(Code::IncludeCycle, span, message);
        }
        if self.included.len() == MAX_FILES {
            return self.too_many(span);
        }
        let text = match self.surroundings.read(&name) {
            Ok(text) => text,
            Err(reason) => {
                let message = format!("cannot include `{name}`: {reason}");
                return self.report(Code::IncludeFailed, span, message);
            }
        };
        let base = self.total + 1;
        if base + text.len() > MAX_TOTAL {
            let message = "all files together are larger than 64 MiB".to_owned();
            return self.report(Code::IncludeLimit, span, message);
        }
        self.total = base + text.len();
        let document = Document::parse(&text);
        self.problems.merge(document.problems(), base);
        self.included.push(Included { name, document, base });
        self.take(Some(self.included.len() - 1));
    }

    fn too_many(&mut self, span: Span) {
        let message = format!("more than {MAX_FILES} files are included");
        self.report(Code::IncludeLimit, span, message);
    }

    fn report(&mut self, code: Code, span: Span, message: String) {
        self.problems.push(Diagnostic::new(code, span, message));
    }
}
