//! `${env:NAME}`, `${file:PATH}` and `${cred:NAME}` in a value become what they stand for.
//!
//! What comes out is not looked at again, so a secret may contain anything. `$${` is a literal
//! `${`.

use std::path::Path;

use super::error::Fault;
use super::secret::Secret;
use super::surroundings::Surroundings;

/// Where systemd puts the credentials of a service.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// A value with everything filled in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expanded {
    pub(super) text: String,
    /// The parts of it that did not stand in the .ini.
    pub(super) secrets: Vec<Secret>,
}

/// Fills `raw` in. `folder` is where the .ini is.
pub(super) fn expand(
    raw: &str,
    folder: &Path,
    around: &dyn Surroundings,
) -> Result<Expanded, Fault> {
    let mut done = Expanded::default();
    let mut rest = raw;
    while let Some((before, behind)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            done.text.push_str(before);
            done.text.push_str("${");
            rest = behind;
            continue;
        }
        let Some((inside, behind)) = behind.split_once('}') else {
            let reason = "the closing } is missing; write $${ for a literal ${".to_owned();
            return Err(Fault::Reference { reference: "${".to_owned(), reason });
        };
        let found = look_up(inside, folder, around)
            .map_err(|reason| Fault::Reference { reference: format!("${{{inside}}}"), reason })?;
        done.text.push_str(before);
        done.text.push_str(&found);
        done.secrets.push(Secret::new(found));
        rest = behind;
    }
    done.text.push_str(rest);
    Ok(done)
}

/// What stands for one reference, or why nothing does.
fn look_up(inside: &str, folder: &Path, around: &dyn Surroundings) -> Result<String, String> {
    match inside.split_once(':') {
        Some(("env", name)) => around
            .var(name)
            .ok_or_else(|| "this environment variable is not set, or not UTF-8".to_owned()),
        Some(("file", path)) => content(&folder.join(path), around),
        Some(("cred", name)) => {
            if name.is_empty() || name.contains(['/', '\\']) {
                return Err("a credential has a name, not a path".to_owned());
            }
            let folder = around.var(CREDENTIALS).ok_or_else(|| {
                format!(
                    "{CREDENTIALS} is not set; let systemd load the credential, for a command \
                     with systemd-run --pipe --wait -p LoadCredential={name}:FILE, or use ${{file:...}}"
                )
            })?;
            content(&Path::new(&folder).join(name), around)
        }
        _ => {
            Err("expected env:NAME, file:PATH or cred:NAME; write $${ for a literal ${".to_owned())
        }
    }
}

/// The text of a file, without the newline that editors put at its end.
fn content(path: &Path, around: &dyn Surroundings) -> Result<String, String> {
    let text = around
        .read(path)
        .map_err(|error| format!("\"{}\" cannot be read: {error}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
