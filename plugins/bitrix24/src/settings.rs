//! What the section `[plugin.bitrix24]` says.
//!
//! It is read anew at every call, which costs next to nothing, and by the same function that checks
//! it at start-up: what `check` lets pass cannot fail later.

/// A setting as the operator reads of it: its name, one line of help, and its default.
pub const KEYS: [(&str, &str, Option<&str>); 9] = [
    (
        "user_column",
        "the column of the [directory] file with the id of the Bitrix24 user",
        Some("bitrix24_user"),
    ),
    (
        "without_user",
        "for an extension without such an id: extension (Bitrix24 looks for a user with this \
         internal number) or skip",
        Some("extension"),
    ),
    (
        "default_user",
        "the id of the Bitrix24 user who stands for people Bitrix24 does not know; without it a \
         call that reached only such people is not logged",
        None,
    ),
    ("show", "whether to show the call's card: yes or no", Some("yes")),
    (
        "crm_create",
        "whether Bitrix24 creates a lead or contact for an unknown number: yes or no",
        Some("no"),
    ),
    ("crm_source", "the STATUS_ID of the source of what is created, such as CALL", None),
    ("add_to_chat", "whether Bitrix24 writes calls to the user's chat: yes or no", Some("yes")),
    ("line", "the number of the line; without it the number that was dialled", None),
    (
        "withheld_number",
        "stands in for a number that is withheld; without it such calls are not logged",
        None,
    ),
];

/// The settings in force.
#[expect(clippy::struct_excessive_bools, reason = "each is a yes or no of the .ini")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the directory has the id of the user.
    pub user_column: String,
    /// An extension without an id is told by its number.
    pub by_extension: bool,
    /// Who stands for calls that reached nobody Bitrix24 knows.
    pub default_user: Option<u64>,
    /// Cards are shown.
    pub show: bool,
    /// Bitrix24 creates what it does not find.
    pub crm_create: bool,
    /// The source of what it creates.
    pub crm_source: Option<String>,
    /// Calls are written to the user's chat.
    pub add_to_chat: bool,
    /// The line, whatever was dialled.
    pub line: Option<String>,
    /// In place of a number that is withheld.
    pub withheld_number: Option<String>,
}

/// A setting that is wrong, and how.
pub type Problem = (&'static str, String);

impl Settings {
    /// Reads them through `get`, which knows the defaults. Problems come with settings that do as
    /// if the faulty ones were not there.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let text =
            |name: &str| get(name).map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
        let mut either = |name: &'static str, usual: &str, yes: &str, no: &str| {
            let value = text(name).unwrap_or_else(|| usual.to_owned());
            if value != yes && value != no {
                problems.push((name, format!("expected {yes} or {no}, not {value:?}")));
            }
            value == yes
        };
        let by_extension = either("without_user", "extension", "extension", "skip");
        let show = either("show", "yes", "yes", "no");
        let crm_create = either("crm_create", "no", "yes", "no");
        let add_to_chat = either("add_to_chat", "yes", "yes", "no");
        let default_user = text("default_user").and_then(|value| {
            let id = user_id(&value);
            if id.is_none() {
                let message =
                    format!("expected the id of a Bitrix24 user, such as 7, not {value:?}");
                problems.push(("default_user", message));
            }
            id
        });
        let withheld_number = text("withheld_number");
        if withheld_number.as_deref().is_some_and(|it| !it.bytes().any(|b| b.is_ascii_digit())) {
            let message = "Bitrix24 takes no number without a digit, such as 000".to_owned();
            problems.push(("withheld_number", message));
        }
        let settings = Self {
            user_column: text("user_column").unwrap_or_else(|| "bitrix24_user".to_owned()),
            by_extension,
            default_user,
            show,
            crm_create,
            crm_source: text("crm_source"),
            add_to_chat,
            line: text("line"),
            withheld_number,
        };
        (settings, problems)
    }
}

/// The id of a user, which is a number above 0.
pub fn user_id(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|id| *id > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Settings, Vec<Problem>) {
        Settings::read(|name| {
            let usual = KEYS.iter().find(|key| key.0 == name).expect("a key that is listed").2;
            let set = pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1);
            set.or(usual).map(str::to_owned)
        })
    }

    #[test]
    fn without_a_section_the_defaults_hold() {
        let (settings, problems) = read(&[]);
        assert_eq!(problems, []);
        assert_eq!(settings.user_column, "bitrix24_user");
        assert!(settings.by_extension && settings.show && settings.add_to_chat);
        assert!(!settings.crm_create);
        assert_eq!((settings.default_user, settings.line), (None, None));
    }

    #[test]
    fn every_wrong_setting_is_told_with_what_was_expected() {
        let (_, problems) = read(&[
            ("show", "maybe"),
            ("without_user", "guess"),
            ("default_user", "Alice"),
            ("withheld_number", "anonymous"),
        ]);
        let told: Vec<_> = problems.iter().map(|(name, it)| format!("{name}: {it}")).collect();
        assert_eq!(
            told,
            [
                "without_user: expected extension or skip, not \"guess\"",
                "show: expected yes or no, not \"maybe\"",
                "default_user: expected the id of a Bitrix24 user, such as 7, not \"Alice\"",
                "withheld_number: Bitrix24 takes no number without a digit, such as 000",
            ]
        );
    }

    #[test]
    fn a_user_is_a_number_above_zero() {
        assert_eq!(
            [user_id(" 12 "), user_id("0"), user_id("-"), user_id("")],
            [Some(12), None, None, None]
        );
    }
}
