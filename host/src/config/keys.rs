//! The names of all sections and keys that this version honours. Everything else is an error.

/// A section, as it may stand in the file.
#[derive(Clone, Copy, Debug)]
pub struct SectionKeys {
    /// The name, or the part of it before the dot.
    pub name: &'static str,
    /// Whether `[name]` may stand alone.
    pub plain: bool,
    /// Whether `[name.NAME]` may stand.
    pub named: bool,
    /// Its keys.
    pub keys: &'static [&'static str],
    /// Whether other keys may stand too: numbers, or the settings of a plugin.
    pub free: bool,
}

impl SectionKeys {
    /// The user's name for a section of this kind: `crm` for `[webhook.crm]`, `webhook` for
    /// `[webhook]`. None if `section` is of another kind.
    pub(super) fn own_name<'s>(&self, section: &'s str) -> Option<&'s str> {
        let allowed = |ch: char| ch.is_alphanumeric() || matches!(ch, '-' | '_');
        if section == self.name {
            return self.plain.then_some(section);
        }
        section
            .strip_prefix(self.name)
            .and_then(|rest| rest.strip_prefix('.'))
            .filter(|name| self.named && !name.is_empty() && name.chars().all(allowed))
    }
}

/// All sections, in the order of the annotated `callhook.ini`.
pub const SECTIONS: &[SectionKeys] =
    &[PBX, DID, DN, DIRECTORY, WEBHOOK, PLUGIN, TITLES, STORAGE, CONSOLE, LOG];

const NONE: SectionKeys =
    SectionKeys { name: "", plain: true, named: false, keys: &[], free: false };

pub(super) const PBX: SectionKeys = SectionKeys {
    name: "pbx",
    named: true,
    keys: &[
        "url",
        "client_id",
        "client_secret",
        "timezone",
        "snapshot_every",
        "settle",
        "callback_wait",
        "ca_file",
        "insecure",
        "source",
    ],
    ..NONE
};

pub(super) const DID: SectionKeys = SectionKeys { name: "did", free: true, ..NONE };

pub(super) const DN: SectionKeys = SectionKeys { name: "dn", free: true, ..NONE };

pub(super) const DIRECTORY: SectionKeys =
    SectionKeys { name: "directory", keys: &["file"], ..NONE };

pub(super) const WEBHOOK: SectionKeys = SectionKeys {
    name: "webhook",
    named: true,
    keys: &[
        "url",
        "plugins",
        "events",
        "internal",
        "dialect",
        "did",
        "user",
        "queue",
        "direction",
        "order",
        "step_aside",
        "schedule",
        "popup_expiry",
        "success",
        "refusals",
        "timeout",
        "connect_timeout",
        "connection_age",
        "breaker_attempts",
        "breaker_window",
        "breaker_connects",
        "probe_first",
        "probe_last",
        "concurrency",
        "secret",
        "auth",
        "auth_user",
        "auth_password",
        "auth_token",
        "auth_name",
        "auth_value",
        "auth_token_url",
        "auth_client_id",
        "auth_client_secret",
        "auth_scope",
        "auth_refresh_token",
        "allow_hosts",
        "allow_networks",
        "ca_file",
        "insecure",
        "client_certificate",
        "client_key",
        "proxy",
    ],
    ..NONE
};

pub(super) const PLUGIN: SectionKeys = SectionKeys {
    name: "plugin",
    plain: false,
    named: true,
    keys: &["file", "use", "deadline", "memory"],
    free: true,
};

pub(super) const TITLES: SectionKeys = SectionKeys {
    name: "titles",
    keys: &[
        "incoming",
        "incoming-missed",
        "incoming-missed-queue",
        "outgoing",
        "outgoing-missed",
        "internal",
        "internal-missed",
    ],
    ..NONE
};

pub(super) const STORAGE: SectionKeys =
    SectionKeys { name: "storage", keys: &["path", "retention"], ..NONE };

pub(super) const CONSOLE: SectionKeys = SectionKeys { name: "console", keys: &["listen"], ..NONE };

pub(super) const LOG: SectionKeys = SectionKeys { name: "log", keys: &["level", "format"], ..NONE };

/// How the sections are called, `NAME` standing for a name of the user's choice.
pub(super) fn section_names() -> impl Iterator<Item = String> {
    SECTIONS.iter().map(|section| {
        if section.plain { section.name.to_owned() } else { format!("{}.NAME", section.name) }
    })
}
