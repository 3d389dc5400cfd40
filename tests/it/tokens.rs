//! Tokens that must not be believed, each built by hand against a running service.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dbctl::keys::{Algorithm, SigningKey};
use serde_json::{Value, json};

use crate::support::service::Instance;

struct Forge {
    instance: Instance,
    key: SigningKey,
    _dir: tempfile::TempDir,
}

impl Forge {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut instance = Instance::new(dir.path(), "auth-1");
        instance.start();
        let key = SigningKey::from_pem_file(&instance.signing_key_file()).expect("its key");
        Self {
            instance,
            key,
            _dir: dir,
        }
    }

    fn claims(&self) -> Value {
        let now = jiff::Timestamp::now().as_second();
        json!({
            "iss": "https://auth.example", "aud": "api", "sub": "mallory",
            "iat": now, "exp": now + 60, "jti": "a-token", "sid": "a-session"
        })
    }

    fn header(&self) -> Value {
        json!({"typ": "JWT", "alg": "EdDSA", "kid": self.key.public().kid()})
    }

    /// Header and claims, signed by the service's own key whatever the header says.
    fn signed(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let signature = self
            .key
            .sign_bytes(message.as_bytes())
            .expect("a signature");
        format!("{message}.{signature}")
    }

    fn verdict(&self, token: &str) -> (u16, String) {
        self.instance.verify(token)
    }

    fn refuses(&self, token: &str, reason: &str, what: &str) {
        let seen = self.verdict(token);
        assert_eq!(seen, (401, reason.to_owned()), "{what}");
    }
}

fn message(header: &Value, claims: &Value) -> String {
    let part = |v: &Value| URL_SAFE_NO_PAD.encode(v.to_string());
    format!("{}.{}", part(header), part(claims))
}

#[test]
fn the_forge_works_so_that_the_refusals_mean_something() {
    let forge = Forge::new();
    let token = forge.signed(&forge.header(), &forge.claims());
    assert_eq!(forge.verdict(&token), (200, "ok".to_owned()));
}

#[test]
fn a_token_cannot_choose_its_algorithm_or_its_key() {
    let forge = Forge::new();
    let claims = forge.claims();
    let with = |name: &str, value: Value| {
        let mut header = forge.header();
        header[name] = value;
        header
    };
    for none in ["none", "None", "NONE"] {
        let unsigned = format!("{}.", message(&with("alg", json!(none)), &claims));
        forge.refuses(&unsigned, "malformed", "alg none without a signature");
        let signed = forge.signed(&with("alg", json!(none)), &claims);
        forge.refuses(&signed, "malformed", "alg none with a good signature");
    }
    // The public key, in each form that it is known in, as the secret of an HMAC.
    let jwk = forge.key.public().jwk();
    let raw = URL_SAFE_NO_PAD
        .decode(jwk["x"].as_str().expect("x"))
        .expect("base64url");
    for secret in [
        raw,
        jwk.to_string().into_bytes(),
        jwk["x"].to_string().into_bytes(),
    ] {
        let message = message(&with("alg", json!("HS256")), &claims);
        let key = jsonwebtoken::EncodingKey::from_secret(&secret);
        let tag =
            jsonwebtoken::crypto::sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS256);
        let token = format!("{message}.{}", tag.expect("a tag"));
        forge.refuses(&token, "malformed", "HMAC under the public key");
    }
    forge.refuses(
        &forge.signed(&with("alg", json!("ES256")), &claims),
        "malformed",
        "another algorithm than the key's",
    );
    forge.refuses(
        &forge.signed(&with("kid", json!("unheard-of")), &claims),
        "unknown_key",
        "an unknown kid",
    );
    forge.refuses(
        &forge.signed(&with("kid", Value::Null), &claims),
        "malformed",
        "no kid",
    );
    // RFC 7515, section 4.1.11.
    forge.refuses(
        &forge.signed(&with("crit", json!(["exp"])), &claims),
        "malformed",
        "a critical extension that nobody understands",
    );
    // A key that the token brings along, and that signed it.
    let own = SigningKey::generate(Algorithm::EdDsa).expect("a key");
    let message = message(&with("jwk", own.public().jwk().clone()), &claims);
    let signature = own.sign_bytes(message.as_bytes()).expect("a signature");
    forge.refuses(
        &format!("{message}.{signature}"),
        "bad_signature",
        "a key of its own",
    );
}

#[test]
fn every_claim_is_needed_and_has_its_type() {
    let forge = Forge::new();
    let verdict = |claims: &Value| forge.verdict(&forge.signed(&forge.header(), claims));
    for name in ["iss", "aud", "sub", "iat", "exp", "jti", "sid"] {
        let mut claims = forge.claims();
        claims.as_object_mut().expect("an object").remove(name);
        assert_eq!(
            verdict(&claims),
            (401, "malformed".into()),
            "without {name}"
        );
        for wrong in [
            json!(null),
            json!(["x"]),
            json!({}),
            json!(true),
            json!("9999999999"),
            json!(1.5),
        ] {
            let is_text = forge.claims()[name].is_string();
            if is_text && wrong.is_string() {
                continue;
            }
            let mut claims = forge.claims();
            claims[name] = wrong.clone();
            assert_eq!(
                verdict(&claims),
                (401, "malformed".into()),
                "{name} = {wrong}"
            );
        }
    }
    let with = |name: &str, value: Value| {
        let mut claims = forge.claims();
        claims[name] = value;
        claims
    };
    let now = jiff::Timestamp::now().as_second();
    for (claims, reason) in [
        (with("iss", json!("https://evil.example")), "malformed"),
        (with("aud", json!("another-api")), "malformed"),
        (with("jti", json!("")), "malformed"),
        (with("sid", json!("")), "malformed"),
        (with("iat", json!(now + 3600)), "malformed"),
        (with("nbf", json!(now + 3600)), "malformed"),
        (with("exp", json!(now - 2)), "expired"),
        (with("exp", json!(-1)), "malformed"),
    ] {
        assert_eq!(verdict(&claims), (401, reason.into()), "{claims}");
    }
}

#[test]
fn a_changed_token_is_not_believed() {
    let forge = Forge::new();
    let token = forge.signed(&forge.header(), &forge.claims());
    let parts: Vec<&str> = token.split('.').collect();
    let mut claims = forge.claims();
    claims["sub"] = json!("admin");
    let swapped = message(&forge.header(), &claims);
    forge.refuses(
        &format!("{swapped}.{}", parts[2]),
        "bad_signature",
        "other claims",
    );
    let mut signature = URL_SAFE_NO_PAD.decode(parts[2]).expect("base64url");
    for bit in [0, 255, 511] {
        signature[bit / 8] ^= 1 << (bit % 8);
        let changed = URL_SAFE_NO_PAD.encode(&signature);
        let token = format!("{}.{}.{changed}", parts[0], parts[1]);
        forge.refuses(&token, "bad_signature", "a flipped bit");
        signature[bit / 8] ^= 1 << (bit % 8);
    }
    for (cut, reason) in [
        (0, "bad_signature"),
        (32, "bad_signature"),
        (63, "bad_signature"),
    ] {
        let short = URL_SAFE_NO_PAD.encode(&signature[..cut]);
        forge.refuses(
            &format!("{}.{}.{short}", parts[0], parts[1]),
            reason,
            "a short signature",
        );
    }
    let long = format!("{}.{}", parts[..2].join("."), "A".repeat(9_000));
    for nonsense in ["", ".", "..", "a.b.c", "Bearer x", parts[0], &long] {
        forge.refuses(nonsense, "malformed", nonsense);
    }
}

#[test]
fn both_algorithms_sign_tokens_that_verify() {
    let dir = tempfile::tempdir().expect("a folder");
    for algorithm in Algorithm::ALL {
        let mut instance = Instance::new(dir.path(), &algorithm.to_string());
        let key = SigningKey::generate(algorithm).expect("a key");
        std::fs::write(instance.signing_key_file(), key.to_pem().as_bytes()).expect("written");
        instance.start();
        let issued = instance.issue("alice");
        assert_eq!(issued["kid"], key.public().kid());
        let token = issued["token"].as_str().expect("a token");
        assert_eq!(instance.verify(token), (200, "ok".to_owned()));
        let set = instance.get("/.well-known/jwks.json").body;
        assert_eq!(set, json!({"keys": [key.public().jwk()]}));
    }
}

#[test]
fn an_answer_names_only_what_the_service_knows_for_itself() {
    let forge = Forge::new();
    let own = SigningKey::generate(Algorithm::EdDsa).expect("a key");
    let message = message(&forge.header(), &forge.claims());
    let signature = own.sign_bytes(message.as_bytes()).expect("a signature");
    let token = json!({"token": format!("{message}.{signature}")});
    let answer = forge.instance.post("/v1/tokens/verify", token);
    assert_eq!(answer.body["reason_code"], "bad_signature");
    assert!(answer.body.get("subject").is_none(), "{}", answer.text);
    assert!(answer.body.get("token_id").is_none(), "{}", answer.text);
}
