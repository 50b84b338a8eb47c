//! Which template makes which part of a request, for which kind of event.

use std::fmt;

use callhook_plugin::{EventKind, Field, Setting};

/// The kinds of events that have templates of their own, by the names of the .ini's `events`.
pub(crate) const KINDS: [&str; 8] =
    ["ringing", "start", "end", "ringing-stopped", "dialing", "hold", "resume", "recording"];

/// The parts of a request that have one template each.
const PARTS: [&str; 5] = ["method", "url", "body", "content_type", "when"];

/// The parts of a request that have a template for each name.
const LISTS: [&str; 3] = ["header.", "query.", "form."];

/// Something wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) setting: String,
    pub(crate) message: String,
    /// It does not depend on the event.
    pub(crate) whatever_comes: bool,
}

impl Fault {
    pub(crate) fn new(setting: &str, message: impl Into<String>) -> Self {
        Self { setting: setting.to_owned(), message: message.into(), whatever_comes: true }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.setting, self.message)
    }
}

/// A template, with the whole name of its setting for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source<'a> {
    pub(crate) setting: &'a str,
    pub(crate) text: &'a str,
}

/// A template of a list, such as that of one header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named<'a> {
    pub(crate) name: &'a str,
    pub(crate) source: Source<'a>,
}

/// The templates of a request, as far as they are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub(crate) method: Option<Source<'a>>,
    pub(crate) url: Option<Source<'a>>,
    pub(crate) body: Option<Source<'a>>,
    pub(crate) content_type: Option<Source<'a>>,
    pub(crate) when: Option<Source<'a>>,
    pub(crate) header: Vec<Named<'a>>,
    pub(crate) query: Vec<Named<'a>>,
    pub(crate) form: Vec<Named<'a>>,
}

/// All settings of the plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings<'a> {
    /// The country code of numbers that have none.
    pub(crate) country: Option<&'a str>,
    general: Parts<'a>,
    /// In the order of [`KINDS`].
    own: [Option<Parts<'a>>; KINDS.len()],
}

/// What the host is told about the settings.
pub(crate) fn described() -> Vec<Setting> {
    let mut all = vec![
        Setting::new("method", "template of the method; POST with a body, else GET"),
        Setting::new("url", "template of the address; the endpoint's own without it"),
        Setting::new("body", "template of the body"),
        Setting::new("content_type", "what the body is; values in it are escaped as that needs")
            .or("application/json"),
        Setting::new("when", "expression; where it is false, the event is skipped"),
        Setting::new("country", "country code for the filter e164, such as 420"),
        Setting::new("header.*", "template of the header of this name"),
        Setting::new("query.*", "template of the address's parameter of this name"),
        Setting::new("form.*", "template of the form's field of this name, instead of a body"),
    ];
    all.extend(KINDS.map(|kind| {
        let help = format!("any of the above but country, for {kind} alone");
        Setting::new(&format!("{kind}.*"), &help)
    }));
    all
}

impl<'a> Settings<'a> {
    /// Sorts the settings; the fault is the first that is found.
    pub(crate) fn read(fields: &'a [Field]) -> Result<Self, Fault> {
        let mut settings = Self::default();
        for field in fields {
            let (setting, text) = (field.name.as_str(), field.value.as_str());
            let source = Source { setting, text };
            if setting == "country" {
                settings.country = Some(text);
                continue;
            }
            let own = KINDS.iter().zip(&mut settings.own).find_map(|(kind, own)| {
                let rest = setting.strip_prefix(kind)?.strip_prefix('.')?;
                Some((rest, own))
            });
            let (key, parts) = match own {
                Some((key, own)) => (key, own.get_or_insert_default()),
                None => (setting, &mut settings.general),
            };
            parts.put(key, source)?;
        }
        settings.refuse_two_contents()?;
        Ok(settings)
    }

    /// The templates for a kind of event: its own, and the general ones where it has none. None
    /// if nothing is to be sent for it.
    pub(crate) fn parts(&self, kind: &EventKind) -> Option<Parts<'a>> {
        let place = KINDS.iter().position(|name| *name == kind.name())?;
        let own = self.own.get(place)?.as_ref();
        let parts = own.map_or_else(|| self.general.clone(), |own| own.over(&self.general));
        let sends = parts.has_content()
            || own.is_some_and(Parts::makes_a_request)
            || (self.general.makes_a_request() && !self.some_have_content());
        sends.then_some(parts)
    }

    fn some_have_content(&self) -> bool {
        self.all().any(Parts::has_content)
    }

    /// The general templates, and those of each kind that has some.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Parts<'a>> {
        std::iter::once(&self.general).chain(self.own.iter().flatten())
    }

    fn refuse_two_contents(&self) -> Result<(), Fault> {
        for parts in self.all() {
            if let (Some(body), [_, ..]) = (parts.body, &parts.form[..]) {
                return Err(Fault::new(body.setting, "there is a form as well; take one of them"));
            }
        }
        Ok(())
    }
}

impl<'a> Parts<'a> {
    fn put(&mut self, key: &'a str, source: Source<'a>) -> Result<(), Fault> {
        let part = match key {
            "method" => &mut self.method,
            "url" => &mut self.url,
            "body" => &mut self.body,
            "content_type" => &mut self.content_type,
            "when" => &mut self.when,
            _ => return self.put_named(key, source),
        };
        *part = Some(source);
        Ok(())
    }

    fn put_named(&mut self, key: &'a str, source: Source<'a>) -> Result<(), Fault> {
        let (list, name) = match LISTS.map(|list| key.strip_prefix(list)) {
            [Some(name), _, _] => (&mut self.header, name),
            [_, Some(name), _] => (&mut self.query, name),
            [_, _, Some(name)] => (&mut self.form, name),
            _ => return Err(unknown(key, source.setting)),
        };
        if name.is_empty() {
            return Err(Fault::new(source.setting, "a name is missing behind the dot"));
        }
        list.push(Named { name, source });
        Ok(())
    }

    /// These, and those of `general` that are not among them.
    fn over(&self, general: &Self) -> Self {
        let merged = |own: &[Named<'a>], general: &[Named<'a>]| {
            let kept = general.iter().filter(|it| !own.iter().any(|own| own.name == it.name));
            kept.chain(own).copied().collect::<Vec<_>>()
        };
        let (body, form) = if self.has_content() {
            let fields = if self.body.is_none() { &general.form[..] } else { &[] };
            (self.body, merged(&self.form, fields))
        } else {
            (general.body, general.form.clone())
        };
        Self {
            method: self.method.or(general.method),
            url: self.url.or(general.url),
            body,
            content_type: self.content_type.or(general.content_type),
            when: self.when.or(general.when),
            header: merged(&self.header, &general.header),
            query: merged(&self.query, &general.query),
            form,
        }
    }

    fn has_content(&self) -> bool {
        self.body.is_some() || !self.form.is_empty()
    }

    /// Something is set beyond `when` and `content_type`.
    pub(crate) fn makes_a_request(&self) -> bool {
        self.has_content()
            || self.method.is_some()
            || self.url.is_some()
            || !self.header.is_empty()
            || !self.query.is_empty()
    }
}

/// That a setting means nothing, with the nearest name that would.
fn unknown(key: &str, setting: &str) -> Fault {
    let kind = setting.strip_suffix(key).unwrap_or_default();
    let known = PARTS.into_iter().chain(LISTS);
    let head = key.split_inclusive('.').next().unwrap_or(key);
    let tail = key.strip_prefix(head).unwrap_or_default();
    let hint = match crate::names::nearest(head, known.clone()) {
        Some(name) => format!("did you mean `{kind}{name}{tail}`?"),
        None => format!("known are {}", known.collect::<Vec<_>>().join(", ")),
    };
    Fault::new(setting, format!("unknown setting; {hint}"))
}
