//! The settings of a plugin: what it says it takes against what the .ini gives.

use super::bindings::about;
use super::redact::Secrets;

/// How alike a name must be to be suggested, from 0 to 1.
const ALIKE: f64 = 0.6;

/// One key that a plugin takes in its section of the .ini.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingDoc {
    /// The key.
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

/// What is wrong with `given`, one line each: keys that the plugin does not take, and keys that
/// it needs.
pub(super) fn problems(docs: &[SettingDoc], given: &[(String, String)]) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, _) in given {
        if !docs.iter().any(|doc| doc.name == *name) {
            problems.push(unknown(docs, name));
        }
    }
    for doc in docs.iter().filter(|doc| doc.required && doc.default.is_none()) {
        if !given.iter().any(|(name, _)| *name == doc.name) {
            problems.push(format!("setting `{}` is missing: {}", doc.name, doc.help));
        }
    }
    problems
}

fn unknown(docs: &[SettingDoc], name: &str) -> String {
    let alike = |doc: &&SettingDoc| strsim::jaro_winkler(&doc.name, name);
    let nearest = docs.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
    match nearest {
        Some(doc) if alike(&doc) >= ALIKE => {
            format!("it has no setting `{name}`; did you mean `{}`?", doc.name)
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
    let missing = |doc: &&SettingDoc| !given.iter().any(|(name, _)| *name == doc.name);
    let defaults = docs
        .iter()
        .filter(missing)
        .filter_map(|doc| doc.default.as_ref().map(|value| (doc.name.clone(), value.clone())));
    given.iter().cloned().chain(defaults).collect()
}

/// The values that must not be shown.
pub(super) fn secrets(docs: &[SettingDoc], given: &[(String, String)]) -> Secrets {
    let is_secret = |name: &str| docs.iter().any(|doc| doc.secret && doc.name == name);
    let secret = given.iter().filter(|(name, _)| is_secret(name));
    Secrets::new(secret.map(|(_, value)| value.clone()))
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
    fn defaults_follow_what_the_ini_gives_and_secrets_are_known() {
        let docs = [doc("portal", Some("eu"), false), doc("token", None, true)];
        let all = complete(&docs, &given(&["token"]));
        let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["token", "portal"]);
        assert_eq!(secrets(&docs, &all).hide("a value of token"), "a ***");
    }
}
