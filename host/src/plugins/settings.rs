//! The settings of a plugin: what it says it takes against what the .ini gives.

use super::bindings::about;
use super::load_error::SettingProblem;
use super::redact::Secrets;

/// How alike a name must be to be suggested, from 0 to 1.
const ALIKE: f64 = 0.6;

/// One key that a plugin takes in its section of the .ini.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingDoc {
    /// The key; a `*` at its end stands for anything.
    pub name: String,
    /// One line for the person who edits the .ini.
    pub help: String,
    /// What is used where the key is missing.
    pub default: Option<String>,
    /// The plugin does not work without it.
    pub required: bool,
    /// Never to be shown.
    pub secret: bool,
}

impl SettingDoc {
    /// Whether a key of the .ini is this setting.
    pub fn takes(&self, key: &str) -> bool {
        match self.prefix() {
            Some(prefix) => key.len() > prefix.len() && key.starts_with(prefix),
            None => self.name == key,
        }
    }

    /// What stands before the `*`, where there is one.
    fn prefix(&self) -> Option<&str> {
        self.name.strip_suffix('*')
    }

    /// How alike a key is, from 0 to 1, and the key that was probably meant.
    fn resembles(&self, key: &str) -> (f64, String) {
        match (self.prefix(), key.split_inclusive('.').next()) {
            (Some(prefix), Some(head)) => {
                let tail = key.strip_prefix(head).filter(|tail| !tail.is_empty());
                let meant = format!("{prefix}{}", tail.unwrap_or("*"));
                (strsim::jaro_winkler(prefix, head), meant)
            }
            _ => (strsim::jaro_winkler(&self.name, key), self.name.clone()),
        }
    }
}

impl From<about::Setting> for SettingDoc {
    fn from(setting: about::Setting) -> Self {
        Self {
            name: setting.name,
            help: setting.help,
            default: setting.default,
            required: setting.required,
            secret: setting.secret,
        }
    }
}

/// What is wrong with `given`: keys that the plugin does not take, and keys that it needs.
pub(super) fn problems(docs: &[SettingDoc], given: &[(String, String)]) -> Vec<SettingProblem> {
    let mut problems = Vec::new();
    for (name, _) in given {
        if !docs.iter().any(|doc| doc.takes(name)) {
            problems.push(SettingProblem { setting: name.clone(), message: unknown(docs, name) });
        }
    }
    for doc in docs.iter().filter(|doc| doc.required && doc.default.is_none()) {
        if !given.iter().any(|(name, _)| doc.takes(name)) {
            let message = format!("setting `{}` is missing: {}", doc.name, doc.help);
            problems.push(SettingProblem { setting: doc.name.clone(), message });
        }
    }
    problems
}

fn unknown(docs: &[SettingDoc], name: &str) -> String {
    let alike = docs.iter().map(|doc| doc.resembles(name));
    match alike.max_by(|(a, _), (b, _)| a.total_cmp(b)) {
        Some((alike, meant)) if alike >= ALIKE => {
            format!("it has no setting `{name}`; did you mean `{meant}`?")
        }
        Some(_) => {
            let names: Vec<_> = docs.iter().map(|doc| format!("`{}`", doc.name)).collect();
            format!("it has no setting `{name}`; it takes {}", names.join(", "))
        }
        None => format!("it has no setting `{name}`; it takes none"),
    }
}

/// `given` in its order, then the defaults of what it leaves out.
pub(super) fn complete(docs: &[SettingDoc], given: &[(String, String)]) -> Vec<(String, String)> {
    let missing = |doc: &&SettingDoc| {
        doc.prefix().is_none() && !given.iter().any(|(name, _)| *name == doc.name)
    };
    let defaults = docs
        .iter()
        .filter(missing)
        .filter_map(|doc| doc.default.as_ref().map(|value| (doc.name.clone(), value.clone())));
    given.iter().cloned().chain(defaults).collect()
}

/// The values that must not be shown: those that are declared secret, and `more`.
pub(super) fn secrets(docs: &[SettingDoc], given: &[(String, String)], more: &[String]) -> Secrets {
    let is_secret = |name: &str| docs.iter().any(|doc| doc.secret && doc.takes(name));
    let secret = given.iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| value);
    Secrets::new(secret.chain(more).map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(name: &str, default: Option<&str>, required: bool) -> SettingDoc {
        SettingDoc {
            name: name.into(),
            help: format!("the {name}"),
            default: default.map(Into::into),
            required,
            secret: name == "token",
        }
    }

    fn problems(docs: &[SettingDoc], given: &[(String, String)]) -> Vec<String> {
        super::problems(docs, given).into_iter().map(|problem| problem.message).collect()
    }

    fn given(names: &[&str]) -> Vec<(String, String)> {
        names.iter().map(|name| ((*name).to_owned(), format!("value of {name}"))).collect()
    }

    #[test]
    fn unknown_and_missing_settings_are_told_with_the_nearest_name() {
        let docs = [doc("token", None, true), doc("portal", Some("eu"), true)];
        assert_eq!(problems(&docs, &given(&["token"])), [""; 0]);
        assert_eq!(
            problems(&docs, &given(&["tokn", "zzz"])),
            [
                "it has no setting `tokn`; did you mean `token`?",
                "it has no setting `zzz`; it takes `token`, `portal`",
                "setting `token` is missing: the token",
            ]
        );
        assert_eq!(problems(&[], &given(&["x"])), ["it has no setting `x`; it takes none"]);
    }

    #[test]
    fn a_star_stands_for_any_name_but_an_empty_one() {
        let docs = [doc("body", None, false), doc("header.*", Some("never used"), false)];
        assert_eq!(problems(&docs, &given(&["header.X-Source", "header.a.b"])), [""; 0]);
        assert_eq!(
            problems(&docs, &given(&["header.", "headr.X-Source"])),
            [
                "it has no setting `header.`; did you mean `header.*`?",
                "it has no setting `headr.X-Source`; did you mean `header.X-Source`?",
            ]
        );
        let needed = [doc("query.*", None, true)];
        assert_eq!(problems(&needed, &[]), ["setting `query.*` is missing: the query.*"]);
        assert_eq!(problems(&needed, &given(&["query.a"])), [""; 0]);
        assert_eq!(complete(&docs, &given(&["header.a"])), given(&["header.a"]));
        let secret = SettingDoc { secret: true, ..doc("key.*", None, false) };
        assert_eq!(secrets(&[secret], &given(&["key.a"]), &[]).hide("a value of key.a"), "a ***");
    }

    #[test]
    fn defaults_follow_what_the_ini_gives_and_secrets_are_known() {
        let docs = [doc("portal", Some("eu"), false), doc("token", None, true)];
        let all = complete(&docs, &given(&["token"]));
        let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["token", "portal"]);
        assert_eq!(secrets(&docs, &all, &[]).hide("a value of token"), "a ***");
        let more = ["hidden".to_owned()];
        assert_eq!(secrets(&docs, &all, &more).hide("value of token, hidden"), "***, ***");
    }
}
