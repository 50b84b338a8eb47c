//! The vendor's own descriptions of the methods, where they are found: what parameters there are,
//! of what type, which are required, and which values they take.
//!
//! They lie beside the repository and are no part of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Where they lie, seen from the repository.
const PLACE: &str = "../shared/crm-specs/bitrix24";

/// Of `register` and `finish` both are marked as required, while the text asks for one of them.
const EITHER: [&str; 2] = ["USER_ID", "USER_PHONE_INNER"];

/// What comes before the values that a parameter takes, and what after them.
const VALUES: (&str, &str) = ("Возможные значения:", "По умолчанию");

/// The methods by name, with their parameters.
pub(super) struct Descriptions(BTreeMap<String, Vec<Parameter>>);

struct Parameter {
    name: String,
    kind: String,
    required: bool,
    /// Those that the text lists; none if it lists none.
    values: Vec<String>,
}

impl Descriptions {
    /// Those beside the repository. Says so where there are none.
    pub(super) fn find() -> Option<Self> {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PLACE);
        let Ok(files) = fs::read_dir(&place) else {
            eprintln!("SKIPPED: {PLACE} is not there, so nothing is judged by it");
            return None;
        };
        let mut methods = BTreeMap::new();
        for file in files.flatten() {
            let text = fs::read_to_string(file.path()).expect("it can be read");
            let method: Value = serde_json::from_str(&text).expect("it is JSON");
            let name = method["method"].as_str().expect("it has a name").to_owned();
            let parameters = method["params"].as_array().expect("it has parameters");
            methods.insert(name, parameters.iter().map(Parameter::read).collect());
        }
        assert!(methods.contains_key("telephony.externalCall.register"), "{PLACE} is not whole");
        Some(Self(methods))
    }

    /// What is wrong with a request.
    pub(super) fn judge(&self, method: &str, given: &Value) -> Vec<String> {
        let Some(parameters) = self.0.get(method) else {
            return vec![format!("{method} is not described")];
        };
        let Some(given) = given.as_object() else {
            return vec!["the body is no JSON object".to_owned()];
        };
        let mut faults = Vec::new();
        for (name, value) in given {
            match parameters.iter().find(|parameter| parameter.name == *name) {
                None => faults.push(format!("{name} is not described")),
                Some(parameter) => faults.extend(parameter.judge(value)),
            }
        }
        let one = EITHER.iter().any(|name| given.contains_key(*name));
        for parameter in parameters.iter().filter(|parameter| parameter.required) {
            let name = parameter.name.as_str();
            let there = given.contains_key(name) || EITHER.contains(&name) && one;
            if !there {
                faults.push(format!("{name} is required"));
            }
        }
        faults
    }
}

impl Parameter {
    fn read(parameter: &Value) -> Self {
        let text = |name: &str| parameter[name].as_str().unwrap_or_default().to_owned();
        Self {
            name: text("name"),
            kind: text("type"),
            required: parameter["required"].as_bool().unwrap_or(false),
            values: values(&text("description")),
        }
    }

    fn judge(&self, value: &Value) -> Option<String> {
        let whole = |value: &Value| value.as_u64().is_some();
        let fits = match self.kind.as_str() {
            "integer" => whole(value),
            "integer/array" => {
                whole(value) || value.as_array().is_some_and(|all| all.iter().all(whole))
            }
            "string" => value.is_string(),
            other => return Some(format!("{}: {other} is not known to this judge", self.name)),
        };
        if !fits {
            return Some(format!("{} is a {}, not {value}", self.name, self.kind));
        }
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let listed = self.values.is_empty() || self.values.contains(&text);
        (!listed).then(|| format!("{} is one of {:?}, not {value}", self.name, self.values))
    }
}

/// The values that a text lists, each between `- ` and ` — `.
fn values(text: &str) -> Vec<String> {
    let (before, after) = VALUES;
    let Some((_, list)) = text.split_once(before) else { return Vec::new() };
    let list = list.split(after).next().unwrap_or_default();
    let items = list.split("- ").filter_map(|item| item.split_once(" — "));
    items.map(|(value, _)| value.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_vendors_descriptions_find_what_is_wrong() {
        let Some(descriptions) = Descriptions::find() else { return };
        let judge = |given: Value| descriptions.judge("telephony.externalCall.finish", &given);
        let right = json!({
            "CALL_ID": "externalCall.1", "USER_ID": 7, "STATUS_CODE": "603-S", "DURATION": 3
        });
        assert_eq!(judge(right), [] as [String; 0]);
        let wrong = json!({ "DURATION": "3", "STATUS_CODE": "201", "USER": 7 });
        let faults = judge(wrong);
        for name in [
            "DURATION is a integer",
            "STATUS_CODE is one of",
            "USER is not described",
            "CALL_ID is required",
            "USER_ID is required",
            "USER_PHONE_INNER is required",
        ] {
            assert!(faults.iter().any(|fault| fault.starts_with(name)), "{name}: {faults:?}");
        }
        assert_eq!(faults.len(), 6, "{faults:?}");
        assert_eq!(descriptions.judge("telephony.externalCall.ring", &json!({})).len(), 1);
    }
}
