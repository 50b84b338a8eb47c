//! `callhook convert`: the settings of the original as a callhook.ini.
//!
//! The original's file says only where webhooks go. What it cannot say (the PBX, whom a second
//! address is for) is left to be filled in, and what callhook cannot do is left out; both are said
//! in comments of the new file, and again on stderr.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use super::Failure;
use crate::config::{is_value, read_text};

/// What is to be filled in by hand.
const PBX: &str = "\
[pbx]
; To be filled in: where the 3CX web client is, and the API client of callhook. The key that 3CX
; shows once belongs into the file pbx_secret beside this one.
url = https://pbx.example.com:5001
client_id = callhook
client_secret = ${file:pbx_secret}
";

/// Converting.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The original's settings.
    #[arg(value_name = "TCXWebAPI.ini")]
    file: PathBuf,
}

/// A callhook.ini in the making.
#[derive(Debug, Default)]
struct Converted {
    ini: String,
    /// What somebody must do or know.
    notes: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = &arguments.file;
    let bytes = match read_text(path) {
        Ok(bytes) => bytes,
        Err(error) => return Err(super::tell(path, &[format!("it cannot be read: {error}")])),
    };
    let Some(converted) = convert(&String::from_utf8_lossy(&bytes)) else {
        return Err(super::tell(path, &["there is no address of a webhook in it".to_owned()]));
    };
    super::say_if_read(&converted.ini)?;
    for note in converted.notes {
        super::complain(format_args!("note: {note}"));
    }
    Ok(())
}

/// The new settings; none if the old ones have no address.
fn convert(text: &str) -> Option<Converted> {
    let mut old = settings(text);
    let post = old.remove("POST").is_some_and(|value| value == "1");
    let mut url = |key| old.remove(key).filter(|value| !value.is_empty());
    let (get_url, post_url) = (url("WEBHOOK_URL"), url("WEBHOOK_POST_URL"));
    let (second, monitor) = (url("WEBHOOK_URL_2"), url("WEBHOOK_URL_MONITOR"));
    let first = if post { post_url.or(get_url) } else { get_url.or(post_url) }?;

    let mut new = Converted::default();
    new.ini.push_str(
        "; Made by \"callhook convert\". Every setting: callhook's own callhook.ini.\n\n",
    );
    new.ini.push_str(PBX);
    new.notes.push("fill in [pbx]: url, client_id, and the key in the file pbx_secret".to_owned());
    new.section("webhook");
    new.address(&first, "");
    if post {
        new.note(
            "POST = 1: the plugin plain-post sends the same as JSON; plugins/plain-post says how",
        );
        new.line("", "plugins", "plain-post");
    }
    if let Some(monitor) = monitor {
        new.section("webhook.monitor");
        new.address(&monitor, "");
    }
    if let Some(second) = second {
        new.ini.push('\n');
        new.note(
            "WEBHOOK_URL_2: say in `user` which extensions it is for, and take the semicolons away",
        );
        new.ini.push_str(";[webhook.second]\n");
        new.address(&second, ";");
        new.ini.push_str(";user = 100-199\n");
    }
    if !old.is_empty() {
        let keys = old.into_keys().collect::<Vec<_>>().join(", ");
        new.ini.push('\n');
        new.note(&format!("not converted, since callhook has nothing like it: {keys}"));
    }
    Some(new)
}

/// All keys, in capitals, with their values. Sections mean nothing.
fn settings(text: &str) -> BTreeMap<String, String> {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let lines = lines.filter(|line| !line.starts_with([';', '#', '[']));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| {
            let value = value.trim().trim_matches('"').trim();
            (key.trim().to_uppercase(), value.to_owned())
        })
        .collect()
}

impl Converted {
    fn section(&mut self, name: &str) {
        let written = write!(self.ini, "\n[{name}]\n");
        debug_assert!(written.is_ok(), "a text takes everything");
    }

    fn line(&mut self, before: &str, key: &str, value: &str) {
        let value = value.replace("${", "$${");
        let written = writeln!(self.ini, "{before}{key} = {value}");
        debug_assert!(written.is_ok(), "a text takes everything");
    }

    /// Says it in the file and beside it.
    fn note(&mut self, text: &str) {
        let written = writeln!(self.ini, "; {text}.");
        debug_assert!(written.is_ok(), "a text takes everything");
        self.notes.push(text.to_owned());
    }

    /// An address; a user and a password in it become settings of their own.
    fn address(&mut self, address: &str, before: &str) {
        let parsed = Url::parse(address).ok();
        let Some(mut url) = parsed.filter(|url| matches!(url.scheme(), "http" | "https")) else {
            self.note("the address below is none that starts with https:// or http://; correct it");
            self.line(before, "url", address);
            return;
        };
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = decoded(url.username());
        let password = decoded(url.password().unwrap_or_default());
        url.set_fragment(None);
        // Whatever has a host can have a user, and be without one.
        if user.is_empty() && password.is_empty()
            || url.set_username("").is_err()
            || url.set_password(None).is_err()
        {
            self.line(before, "url", url.as_str());
            return;
        }
        self.line(before, "url", url.as_str());
        self.line(before, "auth", "basic");
        let host = url.host_str().unwrap_or_default();
        self.credential(before, "auth_user", &user, host);
        self.credential(before, "auth_password", &password, host);
        if user.contains(':') {
            self.note(
                "the user of the address above has a colon in it, which no server can tell from \
                 the one before the password; correct auth_user",
            );
        }
        self.notes.push(
            "the password of an address is auth_password now; let nobody else read the new file"
                .to_owned(),
        );
    }

    /// A value that a line of an .ini cannot hold is to come from a file.
    fn credential(&mut self, before: &str, key: &str, value: &str, host: &str) {
        if is_value(value) {
            self.line(before, key, value);
            return;
        }
        self.note(&format!(
            "the {key} of the address above would be read otherwise than it is meant; write it \
             into the file {host}.{key} beside this one"
        ));
        let written = writeln!(self.ini, "{before}{key} = ${{file:{host}.{key}}}");
        debug_assert!(written.is_ok(), "a text takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_usual_file_becomes_an_endpoint_and_a_mirror() {
        let old = "\u{feff}[Config]\r\nWEBHOOK_URL = \"https://crm.example/?a=1#x\"\r\nPOST=0\r\n\
                   WEBHOOK_POST_URL=\r\nWEBHOOK_URL_MONITOR=http://me:p%20w@mirror.example/\r\n";
        let new = convert(old).unwrap();
        let (_, hooks) = new.ini.split_once("\n[webhook]").unwrap();
        assert_eq!(
            hooks,
            "\nurl = https://crm.example/?a=1\n\n[webhook.monitor]\nurl = http://mirror.example/\n\
             auth = basic\nauth_user = me\nauth_password = p w\n"
        );
        assert_eq!(new.notes.len(), 2, "{:?}", new.notes);
    }

    #[test]
    fn what_cannot_be_converted_is_said() {
        let old = "WEBHOOK_POST_URL=https://crm.example/post\nWEBHOOK_URL=https://crm.example/get\n\
                   POST=1\nWEBHOOK_URL_2=https://second.example/\nLOGLEVEL=5\n";
        let new = convert(old).unwrap();
        for part in [
            "\nurl = https://crm.example/post\n; POST = 1: the plugin plain-post",
            "\nplugins = plain-post\n",
            "\n;[webhook.second]\n;url = https://second.example/\n;user = 100-199\n",
            "; not converted, since callhook has nothing like it: LOGLEVEL.",
        ] {
            assert!(new.ini.contains(part), "{part:?} is not in {}", new.ini);
        }
        assert_eq!(new.notes.len(), 4, "{:?}", new.notes);
    }

    #[test]
    fn what_comes_of_post_loads_and_posts() {
        let old = "POST=1\nWEBHOOK_POST_URL=https://me:pass@crm.example/post\n\
                   WEBHOOK_URL_MONITOR=https://mirror.example/\n";
        let new = convert(old).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("callhook.ini");
        std::fs::write(folder.path().join("pbx_secret"), "key\n").unwrap();
        std::fs::write(&path, &new.ini).unwrap();
        let config = Config::load(&path).unwrap().config;
        let [first, mirror] = config.endpoints.as_slice() else { panic!("{}", new.ini) };
        assert_eq!(
            (first.url.as_str(), first.plugins.join(" ")),
            ("https://crm.example/post", "plain-post".to_owned())
        );
        assert_eq!(mirror.plugins, ["plain-get"]);
    }

    #[test]
    fn a_password_that_a_line_would_change_is_to_come_from_a_file() {
        let credentials = |user_and_password: &str| {
            let old = format!("WEBHOOK_URL=https://{user_and_password}@crm.example/\n");
            let new = convert(&old).unwrap();
            let (_, hook) = new.ini.split_once("auth = basic\n").unwrap();
            (hook.to_owned(), new.notes.len())
        };
        let from_file = "auth_password = ${file:crm.example.auth_password}\n";
        for password in ["a%20%3Bb", "%3Bb", "%23b", "%20b", "b%20", "a%0Ab", "a%20%23b"] {
            let (lines, notes) = credentials(&format!("me:{password}"));
            assert!(lines.ends_with(from_file), "{password}: {lines}");
            assert!(lines.starts_with("auth_user = me\n; the auth_password"), "{lines}");
            assert_eq!(notes, 3, "{password}");
        }
        for (password, kept) in [("a%3Bb", "a;b"), ("a%20b", "a b"), ("%24%7Bx", "$${x")] {
            let (lines, _) = credentials(&format!("me:{password}"));
            assert_eq!(lines, format!("auth_user = me\nauth_password = {kept}\n"));
        }
        let (lines, _) = credentials("m%3Ae:secret");
        assert!(lines.contains("; the user of the address above has a colon"), "{lines}");
    }

    #[test]
    fn a_file_without_addresses_is_refused() {
        assert!(convert("[pbx]\nurl = https://pbx.example.com\n").is_none());
    }
}
