//! From what is to be told to requests, and back.

use crate::chain::User;
use crate::due::{Call, Method};
use callhook_plugin::{Field, Header, HttpRequest};

/// How the names of all methods begin.
const PREFIX: &str = "telephony.externalCall.";

/// A request to the REST API below the URL of `draft`, which is `https://portal/rest/USER/SECRET/`
/// of an inbound webhook or `https://portal/rest/` with OAuth.
pub fn request(call: &Call, draft: &HttpRequest) -> HttpRequest {
    let header =
        |name: &str| Header { name: name.to_owned(), value: "application/json".to_owned() };
    let lasting = if call.method.is_fleeting() { "no" } else { "yes" };
    HttpRequest {
        method: "POST".to_owned(),
        url: url(&draft.url, call.method),
        headers: vec![header("content-type"), header("accept")],
        body: call.parameters.to_string().into_bytes(),
        tag: Some(call.method.name().to_owned()),
        state: subject(call),
        delay_ms: 0,
        extra: vec![Field { name: "lasting".to_owned(), value: lasting.to_owned() }],
    }
}

/// What comes back with the reply: the link and the user.
fn subject(call: &Call) -> Vec<u8> {
    serde_json::to_vec(&(&call.external_id, &call.user)).unwrap_or_default()
}

/// What a request was about, if it is one of ours.
pub fn about(request: &HttpRequest) -> Option<(Method, String, Option<User>)> {
    let tag = request.tag.as_deref()?;
    let method = Method::ALL.into_iter().find(|method| method.name() == tag)?;
    let (external_id, user) = serde_json::from_slice(&request.state).ok()?;
    Some((method, external_id, user))
}

/// The draft that a request with a reply was made of: to the endpoint's URL, which the host tells
/// with both.
pub fn draft_of(request: &HttpRequest) -> HttpRequest {
    let mut draft = request.clone();
    if let Some(url) = request.extra.iter().find(|field| field.name == "url") {
        draft.url.clone_from(&url.value);
    }
    draft
}

/// `base` with the method at the end of its path.
fn url(base: &str, method: Method) -> String {
    let base = base.split('#').next().unwrap_or_default();
    let (path, query) = base.split_once('?').map_or((base, None), |(path, it)| (path, Some(it)));
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{PREFIX}{}.json{query}", path.trim_end_matches('/'), method.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::due::Call;
    use serde_json::json;

    fn draft(url: &str) -> HttpRequest {
        HttpRequest {
            method: "GET".to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            tag: None,
            state: Vec::new(),
            delay_ms: 0,
            extra: Vec::new(),
        }
    }

    fn finish() -> Call {
        Call {
            method: Method::Finish,
            external_id: "211230100614_665-1@pbx".to_owned(),
            user: Some(User::Id(7)),
            parameters: json!({ "CALL_ID": "externalCall.1" }),
        }
    }

    #[test]
    fn the_method_goes_to_the_end_of_the_path() {
        for (base, url) in [
            (
                "https://portal.example/rest/1/secret/",
                "https://portal.example/rest/1/secret/telephony.externalCall.finish.json",
            ),
            (
                "https://portal.example/rest/1/secret",
                "https://portal.example/rest/1/secret/telephony.externalCall.finish.json",
            ),
            (
                "https://portal.example/rest/?lang=de#top",
                "https://portal.example/rest/telephony.externalCall.finish.json?lang=de",
            ),
        ] {
            let mut made = request(&finish(), &draft(base));
            assert_eq!(made.url, url);
            // So it comes back with its reply.
            made.extra = vec![Field { name: "url".to_owned(), value: base.to_owned() }];
            assert_eq!(request(&finish(), &draft_of(&made)).url, url);
        }
    }

    #[test]
    fn what_a_request_is_about_comes_back_with_its_reply() {
        let made = request(&finish(), &draft("https://portal.example/rest/1/secret/"));
        let about = about(&made).expect("it is one of ours");
        assert_eq!(about, (Method::Finish, "211230100614_665-1@pbx".to_owned(), Some(User::Id(7))));
        assert_eq!(made.body, br#"{"CALL_ID":"externalCall.1"}"#);
        assert_eq!(super::about(&draft("https://portal.example/")), None);
    }

    #[test]
    fn only_cards_are_not_worth_sending_late() {
        let lasting = |method| {
            let call = Call { method, ..finish() };
            request(&call, &draft("https://portal.example/")).extra[0].value == "yes"
        };
        assert_eq!(Method::ALL.map(lasting), [true, false, false, true, true]);
    }
}
