//! One request from the templates of one kind of event.

use callhook_plugin::{CallEvent, HttpRequest, Outcome};
use minijinja::value::Value;

use crate::context;
use crate::engine::Engine;
use crate::outline::outline;
use crate::page::{Page, Place};
use crate::settings::{Fault, Named, Parts, Settings, Source};

/// What becomes of an event.
pub(crate) fn make<'a>(
    settings: &Settings<'a>,
    engine: &Engine<'a>,
    event: &CallEvent,
    draft: HttpRequest,
) -> Result<Outcome, Fault> {
    match settings.parts(&event.kind) {
        Some(parts) => {
            let context = context::variables(event, &draft);
            Maker { engine, context, parts }.make(draft)
        }
        None => Ok(Outcome::skip(format!("there is no template for {}", event.kind.name()))),
    }
}

/// What it takes to make a request.
struct Maker<'e, 'a> {
    engine: &'e Engine<'a>,
    context: Value,
    parts: Parts<'a>,
}

impl<'a> Maker<'_, 'a> {
    fn make(&self, draft: HttpRequest) -> Result<Outcome, Fault> {
        if let Some(when) = self.parts.when
            && !self.engine.holds(when, &self.context)?
        {
            return Ok(Outcome::skip(format!("`{}` does not hold", when.setting)));
        }
        let mut request = self.addressed(draft)?;
        if let Some(source) = self.parts.body {
            let content_type = self.content_type()?;
            let body = self.body(source, &content_type)?;
            if body.is_empty() && !source.text.is_empty() {
                return Ok(Outcome::skip(format!("`{}` comes out empty", source.setting)));
            }
            if !body.is_empty() {
                request = request.with_method("POST").with_body(&content_type, body);
            }
        } else if !self.parts.form.is_empty() {
            request = request.post_form(pairs(&self.list(&self.parts.form, Place::Text)?));
        }
        for (name, value) in self.list(&self.parts.header, Place::Header)? {
            request = request.with_header(name, value);
        }
        if let Some(source) = self.parts.method {
            let method = self.engine.render(source, Place::Header, &self.context)?;
            request = request.with_method(&method.to_ascii_uppercase());
        }
        Ok(request.into())
    }

    /// The draft to the address that the settings make.
    fn addressed(&self, draft: HttpRequest) -> Result<HttpRequest, Fault> {
        let request = match self.parts.url {
            Some(source) => {
                let url = self.engine.render(source, Place::Url, &self.context)?;
                refuse_dots(source, &url)?;
                draft.with_url(url)
            }
            None => draft,
        };
        let query = self.list(&self.parts.query, Place::Text)?;
        Ok(if query.is_empty() { request } else { request.with_query(pairs(&query)) })
    }

    fn content_type(&self) -> Result<String, Fault> {
        match self.parts.content_type {
            Some(source) => self.engine.render(source, Place::Header, &self.context),
            None => Ok("application/json".to_owned()),
        }
    }

    /// The body without white space around it. What is to be JSON is JSON.
    fn body(&self, source: Source<'a>, content_type: &str) -> Result<String, Fault> {
        let place = Place::of(content_type);
        let page = self.engine.page(source, place, &self.context)?;
        let text = page.text().trim();
        if place == Place::Json && !text.is_empty() {
            serde_json::from_str::<serde_json::Value>(page.text())
                .map_err(|error| not_json(source, &page, &error))?;
        }
        Ok(text.to_owned())
    }

    /// What comes out of the templates of a list; those that come out empty are left out.
    fn list(&self, list: &[Named<'a>], place: Place) -> Result<Vec<(&'a str, String)>, Fault> {
        let mut found = Vec::new();
        for Named { name, source } in list {
            let text = self.engine.render(*source, place, &self.context)?;
            if !text.is_empty() {
                found.push((*name, text));
            }
        }
        Ok(found)
    }
}

/// That a body is not JSON, and behind which text of the template. What its strings hold is left
/// out: it may be a secret of the .ini, of which the host would not recognise a part.
fn not_json(source: Source<'_>, page: &Page, error: &serde_json::Error) -> Fault {
    const LONGEST: usize = 30;
    let lines = page.text().split_inclusive('\n').take(error.line().saturating_sub(1));
    let start: usize = lines.map(str::len).sum();
    let before = page.without_values(start + error.column().saturating_sub(1));
    let shown: Vec<char> = outline(before.trim_end()).chars().rev().take(LONGEST).collect();
    let shown: String = shown.into_iter().rev().collect();
    let why = error.to_string();
    let why = why.split(" at line").next().unwrap_or_default();
    Fault::new(source.setting, format!("what comes out is not JSON: {why}, behind `{shown}`"))
}

fn pairs<'p>(list: &'p [(&'p str, String)]) -> impl Iterator<Item = (&'p str, &'p str)> {
    list.iter().map(|(name, value)| (*name, value.as_str()))
}

/// A value that is `.` or `..` is a part of a path that leads elsewhere, and has no other spelling.
fn refuse_dots(source: Source<'_>, url: &str) -> Result<(), Fault> {
    let path = url.split('?').next().unwrap_or_default();
    if path.split('/').any(|part| matches!(part, "." | "..")) {
        let message = "a part of the path comes out as `.` or `..`, which leads elsewhere";
        return Err(Fault::new(source.setting, message));
    }
    Ok(())
}
