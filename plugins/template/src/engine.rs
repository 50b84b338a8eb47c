//! The template engine: minijinja, with its values written by [`Page`] and with the filters of
//! this plugin.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Expression, UndefinedBehavior};

use crate::filters;
use crate::names;
use crate::page::{Page, Place, plain};
use crate::settings::{Fault, Settings, Source};

/// Renders templates, one at a time.
pub(crate) struct Engine<'a> {
    environment: Environment<'a>,
    sheet: Arc<Mutex<Sheet>>,
}

/// The page that is being written.
struct Sheet {
    page: Page,
    /// Somebody wants to know whether what is written now comes here.
    asked: bool,
    /// It does.
    arrived: bool,
}

impl Sheet {
    /// Asks whether what is written from now on arrives, and tells whether it has so far.
    fn expect(&mut self, asked: bool) -> bool {
        self.asked = asked;
        std::mem::take(&mut self.arrived)
    }
}

impl<'a> Engine<'a> {
    pub(crate) fn new(settings: &Settings<'a>) -> Self {
        let page = Page::new(Place::Text);
        let sheet = Arc::new(Mutex::new(Sheet { page, asked: false, arrived: false }));
        let mut environment = Environment::new();
        environment.set_debug(true);
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        let own = Arc::clone(&sheet);
        environment.set_formatter(move |out, _, value| {
            // What a block such as `{% set x %}` collects does not come to the page; it is a value
            // like any other, and escaped where it is used.
            if comes_to_the_page(&own, || out.write_str("").map_err(Error::from))? {
                lock(&own).page.write_value(value)
            } else {
                out.write_str(&plain(value)?).map_err(Error::from)
            }
        });
        filters::add(&mut environment, settings.country);
        Self { environment, sheet }
    }

    /// What comes out of a template at this place.
    pub(crate) fn render(
        &self,
        source: Source<'a>,
        place: Place,
        context: &Value,
    ) -> Result<String, Fault> {
        self.page(source, place, context).map(Page::finish)
    }

    /// The page that comes out of it.
    pub(crate) fn page(
        &self,
        source: Source<'a>,
        place: Place,
        context: &Value,
    ) -> Result<Page, Fault> {
        lock(&self.sheet).page = Page::new(place);
        self.environment
            .template_from_named_str(source.setting, source.text)
            .and_then(|template| {
                template.render_captured_to(context, Writer(&self.sheet)).map(|_| ())
            })
            .map_err(|error| fault(source, &error))?;
        Ok(std::mem::replace(&mut lock(&self.sheet).page, Page::new(Place::Text)))
    }

    /// Whether an expression is true.
    pub(crate) fn holds(&self, source: Source<'a>, context: &Value) -> Result<bool, Fault> {
        self.expression(source)?
            .eval(context)
            .map(|value| value.is_true())
            .map_err(|error| fault(source, &error))
    }

    /// What is wrong with a template before it is rendered.
    pub(crate) fn look_at(&self, source: Source<'a>) -> Option<Fault> {
        match self.environment.template_from_named_str(source.setting, source.text) {
            Ok(template) => names::fault(source, &template.undeclared_variables(true), false),
            Err(error) => Some(fault(source, &error)),
        }
    }

    /// What is wrong with an expression before it is evaluated.
    pub(crate) fn look_at_expression(&self, source: Source<'a>) -> Option<Fault> {
        match self.expression(source) {
            Ok(expression) => names::fault(source, &expression.undeclared_variables(true), true),
            Err(fault) => Some(fault),
        }
    }

    fn expression(&self, source: Source<'a>) -> Result<Expression<'_, 'a>, Fault> {
        // minijinja 2.24 panics on what follows them.
        if let Some(start) = names::closing(source.text) {
            let place = names::place(source.text, start);
            let message = format!("{place}an expression stands without braces around it");
            return Err(Fault { whatever_comes: true, ..Fault::new(source.setting, message) });
        }
        self.environment.compile_expression(source.text).map_err(|error| fault(source, &error))
    }
}

/// Templates write their own text here.
struct Writer<'s>(&'s Mutex<Sheet>);

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        let mut sheet = lock(self.0);
        sheet.arrived = sheet.asked;
        sheet.page.write(text);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether `write` comes to the page, rather than into a block that collects it.
fn comes_to_the_page(
    sheet: &Mutex<Sheet>,
    write: impl FnOnce() -> Result<(), Error>,
) -> Result<bool, Error> {
    lock(sheet).expect(true);
    let written = write();
    let arrived = lock(sheet).expect(false);
    written.map(|()| arrived)
}

/// There is one thread, and nothing that holds the lock panics.
fn lock(sheet: &Mutex<Sheet>) -> MutexGuard<'_, Sheet> {
    sheet.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the engine found wrong, and where.
fn fault(source: Source<'_>, error: &Error) -> Fault {
    let kind = error.kind().to_string();
    let message = match error.detail() {
        Some(detail) => format!("{kind}: {detail}"),
        None => kind,
    };
    let start = error.range().map(|range| range.start).filter(|_| error.name().is_some());
    let place = match (start, error.line()) {
        (Some(start), _) => names::place(source.text, start),
        (None, Some(line)) => format!("line {line}: "),
        (None, None) => String::new(),
    };
    let whatever_comes = matches!(
        error.kind(),
        ErrorKind::SyntaxError
            | ErrorKind::UndefinedError
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownMethod
            | ErrorKind::UnknownTest
    );
    Fault { whatever_comes, ..Fault::new(source.setting, format!("{place}{message}")) }
}
