//! What works but is doubtful is said at every start.

use super::{ENDING_IN_PBX, ENDING_IN_WEBHOOK, Fake};

fn warnings(around: &Fake, text: &str) -> Vec<String> {
    around.parse(text).unwrap().warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn sound_settings_have_no_warnings() {
    assert_eq!(warnings(&Fake::new(), ENDING_IN_PBX), [""; 0]);
}

#[test]
fn plain_http_to_another_machine_is_warned_of() {
    let text = ENDING_IN_PBX.replace("https://", "http://");
    assert_eq!(
        warnings(&Fake::new(), &text),
        [
            "callhook.ini:2: [webhook] url: http: who calls whom can be read on its way; use https",
            "callhook.ini:4: [pbx] url: http: the API key can be read on its way; use https",
        ]
    );
    for here in ["127.0.0.1:80", "127.1.2.3", "localhost:8080", "[::1]:80", "pbx.localhost"] {
        let text = ENDING_IN_PBX
            .replace("https://pbx.example.com", &format!("http://{here}"))
            .replace("https://crm.example.com", &format!("http://{here}"));
        assert_eq!(warnings(&Fake::new(), &text), [""; 0], "{here}");
    }
}

#[test]
fn accepting_any_certificate_is_warned_of() {
    let text = format!("{ENDING_IN_PBX}insecure = yes\n[webhook.b]\nurl = https://b\ninsecure = 1");
    assert_eq!(
        warnings(&Fake::new(), &text),
        [
            "callhook.ini:7: [pbx] insecure: any certificate is accepted, so anybody can pose as the PBX",
            "callhook.ini:10: [webhook.b] insecure: any certificate is accepted, so anybody can pose as the receiver",
        ]
    );
}

#[test]
fn a_literal_secret_in_a_public_file_is_warned_of() {
    let around = Fake {
        public: ["callhook.ini".into()].into(),
        ..Fake::new().file("crm.wasm", "").file("key.txt", "k\n")
    };
    let text = format!(
        "{ENDING_IN_WEBHOOK}plugins = crm\n[plugin.crm]\nfile = crm.wasm\napi_token = 1\n\
         other_token = ${{file:key.txt}}\nlist = 7\n"
    );
    assert_eq!(
        warnings(&around, &text),
        ["callhook.ini:10: [plugin.crm] api_token: everybody on this machine can read it here; \
         chmod 600 the file, or keep the secret elsewhere: ${file:...}, ${cred:...}",]
    );
    let text = ENDING_IN_WEBHOOK.replace("${env:SECRET}", "s3cret");
    assert_eq!(
        warnings(&around, &text),
        ["callhook.ini:4: [pbx] client_secret: everybody on this machine can read it here; \
         chmod 600 the file, or keep the secret elsewhere: ${file:...}, ${cred:...}",]
    );
    assert_eq!(warnings(&Fake::new(), &text), [""; 0], "the file is private");
}

#[test]
fn every_literal_secret_of_a_webhook_is_known_as_one() {
    let around = Fake { public: ["callhook.ini".into()].into(), ..Fake::new() };
    let key = "c2VzYW1lc2VzYW1lc2VzYW1lc2VzYW1l";
    let oauth = "auth_token_url = https://id.example.com\nauth_client_id = app\n";
    let table = [
        (format!("secret = {key}"), vec!["secret"]),
        ("auth = basic\nauth_user = me\nauth_password = $${x}".to_owned(), vec!["auth_password"]),
        ("auth = basic\nauth_user = me\nauth_password =".to_owned(), vec![]),
        ("auth = bearer\nauth_token = x".to_owned(), vec!["auth_token"]),
        ("auth = bearer\nauth_token = ${env:SECRET}".to_owned(), vec![]),
        ("auth = header\nauth_name = a\nauth_value = x".to_owned(), vec!["auth_value"]),
        ("proxy = http://me:x@proxy.example:3128".to_owned(), vec!["proxy"]),
        ("proxy = http://${env:SECRET}@proxy.example:3128".to_owned(), vec![]),
        ("proxy = http://proxy.example:3128".to_owned(), vec![]),
        ("auth = query\nauth_name = a\nauth_value = x".to_owned(), vec!["auth_value"]),
        (
            format!("auth = refresh-token\n{oauth}auth_client_secret = x\nauth_refresh_token = x"),
            vec!["auth_client_secret", "auth_refresh_token"],
        ),
    ];
    for (lines, keys) in table {
        let loaded = around.parse(&format!("{ENDING_IN_WEBHOOK}{lines}\n")).unwrap();
        let exposed = loaded.warnings.iter().filter(|warning| warning.exposure);
        let exposed: Vec<_> = exposed.filter_map(|warning| warning.place.key.as_deref()).collect();
        assert_eq!(exposed, keys, "{lines}");
    }
}

#[test]
fn a_literal_secret_in_an_address_of_a_public_file_is_warned_of() {
    let public = || Fake { public: ["callhook.ini".into()].into(), ..Fake::new() };
    let around = public().var("KEY", "abcdef0123456789");
    let text = |key: &str| {
        format!(
            "{}auth = client-credentials\nauth_token_url = https://id.example.com/?code={key}\n\
             auth_client_id = app\nauth_client_secret = ${{env:SECRET}}\nplugins = template\n\
             [plugin.template]\nurl = https://crm.example.com/{key}/{{{{ id }}}}\n",
            ENDING_IN_WEBHOOK.replace(".com/\n", &format!(".com/rest/1/{key}/\n"))
        )
    };
    let seems = "there seems to be a secret in it, and everybody on this machine can read it here; \
                 chmod 600 the file, or keep the secret elsewhere: ${file:...}, ${cred:...}";
    assert_eq!(
        warnings(&around, &text("abcdef0123456789")),
        ["6: [webhook] url", "8: [webhook] auth_token_url", "13: [plugin.template] url"]
            .map(|place| format!("callhook.ini:{place}: {seems}"))
    );
    let loaded = around.parse(&text("abcdef0123456789")).unwrap();
    assert!(loaded.warnings.iter().all(|warning| warning.exposure));
    assert_eq!(warnings(&around, &text("${env:KEY}")), [""; 0]);
    let private = Fake::new().var("KEY", "");
    assert_eq!(warnings(&private, &text("abcdef0123456789")), [""; 0]);
}

#[test]
fn credentials_in_the_open_are_warned_of() {
    let text = format!(
        "{}auth = client-credentials\nauth_token_url = http://id.example.com\n\
         auth_client_id = app\nauth_client_secret = x\n",
        ENDING_IN_WEBHOOK.replace("https://crm", "http://crm")
    );
    assert_eq!(
        warnings(&Fake::new(), &text),
        [
            "callhook.ini:6: [webhook] url: http: who calls whom can be read on its way; use https",
            "callhook.ini:7: [webhook] auth: http: the credentials can be read on their way; use https",
            "callhook.ini:8: [webhook] auth_token_url: http: the credentials can be read on their way; use https",
        ]
    );
}

#[test]
fn quotes_that_become_part_of_a_value_are_warned_of() {
    let text = ENDING_IN_PBX.replace("= app", "= \"app\"");
    assert_eq!(
        warnings(&Fake::new(), &text),
        [
            "callhook.ini:5: [pbx] client_id: values are taken as written, so the quotes are part of it",
        ]
    );
}

#[test]
fn settings_without_effect_are_warned_of() {
    let around = Fake { zone: None, ..Fake::new().file("a.wasm", "") };
    let text = format!(
        "{ENDING_IN_WEBHOOK}direction = internal\n[plugin.a]\nfile = a.wasm\n\
         [console]\nlisten = 0.0.0.0:8480\n"
    );
    assert_eq!(
        warnings(&around, &text),
        [
            "callhook.ini:1: [pbx] timezone: this machine's time zone is not known; call ids are in UTC",
            "callhook.ini:7: [webhook] direction: internal calls are sent only with internal = yes",
            "callhook.ini:8: [plugin.a]: no webhook names this plugin",
            "callhook.ini:11: [console] listen: others can reach the console, which asks for no password",
        ]
    );
}
