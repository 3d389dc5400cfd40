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
        Self::signing_with(Algorithm::EdDsa)
    }

    fn signing_with(algorithm: Algorithm) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut instance = Instance::new(dir.path(), "auth-1");
        let key = SigningKey::generate(algorithm).expect("a key");
        std::fs::write(instance.signing_key_file(), key.to_pem().as_bytes()).expect("written");
        instance.start();
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
        let key = self.key.public();
        json!({"typ": "JWT", "alg": key.algorithm().as_str(), "kid": key.kid()})
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
fn a_token_cannot_choose_its_algorithm() {
    for algorithm in Algorithm::ALL {
        let forge = Forge::signing_with(algorithm);
        let claims = forge.claims();
        let with = |alg: &str| {
            let mut header = forge.header();
            header["alg"] = json!(alg);
            header
        };
        for none in ["none", "None", "NONE", "nOnE", ""] {
            let unsigned = format!("{}.", message(&with(none), &claims));
            forge.refuses(&unsigned, "malformed", "alg none without a signature");
            let signed = forge.signed(&with(none), &claims);
            forge.refuses(&signed, "malformed", "alg none with a good signature");
        }
        let others = Algorithm::ALL.iter().filter(|other| **other != algorithm);
        for other in others
            .map(|a| a.as_str())
            .chain(["RS512", "PS256", "HS256", "Ed25519"])
        {
            let token = forge.signed(&with(other), &claims);
            forge.refuses(&token, "malformed", "another algorithm than the key's");
        }
        // The public key, in each form that it is known in, as the secret of an HMAC
        // (RFC 8725, section 2.1).
        let public = forge.key.public();
        let jwk = public.jwk();
        let pem = public.to_pem().expect("PEM");
        let member = |name: &str| jwk[name].as_str().map(str::as_bytes).map(<[u8]>::to_vec);
        let raw = |name: &str| member(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let secrets = [
            Some(jwk.to_string().into_bytes()),
            Some(pem.trim_end().as_bytes().to_vec()),
            Some(pem.clone().into_bytes()),
            Some(public.spki().expect("DER")),
            member("n"),
            raw("n"),
            member("x"),
            raw("x"),
            Some(Vec::new()),
        ];
        for secret in secrets.into_iter().flatten() {
            for alg in ["HS256", algorithm.as_str()] {
                let message = message(&with(alg), &claims);
                let key = jsonwebtoken::EncodingKey::from_secret(&secret);
                let hmac = jsonwebtoken::Algorithm::HS256;
                let tag = jsonwebtoken::crypto::sign(message.as_bytes(), &key, hmac);
                let token = format!("{message}.{}", tag.expect("a tag"));
                let reason = if alg == "HS256" {
                    "malformed"
                } else {
                    "bad_signature"
                };
                forge.refuses(&token, reason, "HMAC under the public key");
            }
        }
    }
}

#[test]
fn a_token_cannot_bring_its_key() {
    let forge = Forge::new();
    let claims = forge.claims();
    let with = |name: &str, value: Value| {
        let mut header = forge.header();
        header[name] = value;
        header
    };
    for kid in [json!(null), json!(1), json!(["x"]), json!({}), json!(true)] {
        let token = forge.signed(&with("kid", kid), &claims);
        forge.refuses(&token, "malformed", "a kid that is no text");
    }
    for kid in ["unheard-of", "", "../../etc/passwd", "' OR 1=1 --"] {
        let token = forge.signed(&with("kid", json!(kid)), &claims);
        forge.refuses(&token, "unknown_key", "an unknown kid");
    }
    // RFC 7515, section 4.1.11, whatever its value.
    for crit in [json!(["exp"]), json!([]), json!(null), json!("b64")] {
        let token = forge.signed(&with("crit", crit), &claims);
        forge.refuses(&token, "malformed", "a critical extension");
    }
    // A key that the token brings along or points at, and that signed it.
    let own = SigningKey::generate(Algorithm::EdDsa).expect("a key");
    let certificate = json!([base64::engine::general_purpose::STANDARD.encode("a certificate")]);
    for (name, value) in [
        ("jwk", own.public().jwk().clone()),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", certificate),
    ] {
        let header = with(name, value);
        let message = message(&header, &claims);
        let signature = own.sign_bytes(message.as_bytes()).expect("a signature");
        let token = format!("{message}.{signature}");
        forge.refuses(&token, "bad_signature", "a key of its own");
        // Beside our own signature it means nothing.
        let token = forge.signed(&header, &claims);
        assert_eq!(forge.verdict(&token), (200, "ok".to_owned()), "{name}");
    }
}

#[test]
fn a_header_or_claims_that_say_a_thing_twice_are_refused() {
    let forge = Forge::new();
    let signed = |header: &str, claims: &str| {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let message = format!("{}.{}", part(header), part(claims));
        let signature = forge.key.sign_bytes(message.as_bytes()).expect("signed");
        format!("{message}.{signature}")
    };
    let (header, claims) = (forge.header().to_string(), forge.claims().to_string());
    assert_eq!(forge.verdict(&signed(&header, &claims)).0, 200);
    let twice = |text: &str, member: &str| text.replacen('{', &format!("{{{member},"), 1);
    for (header, claims) in [
        (twice(&header, r#""alg":"none""#), claims.clone()),
        (twice(&header, r#""kid":"other""#), claims.clone()),
        (header.clone(), twice(&claims, r#""exp":9999999999"#)),
        (header.clone(), twice(&claims, r#""sub":"admin""#)),
        // Arrays of the right length are not objects.
        (
            format!(r#"["EdDSA","{}"]"#, forge.key.public().kid()),
            claims.clone(),
        ),
        (
            header.clone(),
            r#"["https://auth.example","api","s",1,9999999999,"j","s"]"#.into(),
        ),
        (header.clone(), "null".into()),
        (header.clone(), String::new()),
    ] {
        forge.refuses(&signed(&header, &claims), "malformed", &claims);
    }
}

#[test]
fn a_clock_that_is_ahead_is_forgiven_as_far_as_is_configured() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut instance = Instance::new(dir.path(), "auth-1");
    instance.set("SERVICE_CLOCK_SKEW", "1m");
    instance.start();
    let key = SigningKey::from_pem_file(&instance.signing_key_file()).expect("its key");
    let forge = Forge {
        instance,
        key,
        _dir: dir,
    };
    let now = jiff::Timestamp::now().as_second();
    for (name, ahead, verdict) in [
        ("iat", 30, (200, "ok")),
        ("iat", 90, (401, "malformed")),
        ("nbf", 30, (200, "ok")),
        ("nbf", 90, (401, "malformed")),
        // No leeway for what has expired, however large the skew is.
        ("exp", -1, (401, "expired")),
    ] {
        let mut claims = forge.claims();
        claims[name] = json!(now + ahead);
        let token = forge.signed(&forge.header(), &claims);
        let (status, reason) = forge.verdict(&token);
        assert_eq!((status, &*reason), verdict, "{name} {ahead} s ahead");
    }
}

#[test]
fn another_library_and_ours_believe_each_other() {
    for algorithm in Algorithm::ALL {
        let forge = Forge::signing_with(algorithm);
        let public = forge.key.public();
        let jwk = serde_json::from_value(public.jwk().clone()).expect("a JWK");
        let theirs = jsonwebtoken::DecodingKey::from_jwk(&jwk).expect("a key");
        let name: jsonwebtoken::Algorithm = algorithm.as_str().parse().expect("its name");
        let mut rules = jsonwebtoken::Validation::new(name);
        rules.set_audience(&["api"]);
        rules.set_issuer(&["https://auth.example"]);
        let issued = forge.instance.issue("alice");
        let token = issued["token"].as_str().expect("a token");
        let seen = jsonwebtoken::decode::<Value>(token, &theirs, &rules).expect("believed");
        assert_eq!(seen.claims["sub"], "alice");
        assert_eq!(seen.header.kid.as_deref(), Some(public.kid()));

        let pem = forge.key.to_pem();
        let own = match algorithm {
            Algorithm::EdDsa => jsonwebtoken::EncodingKey::from_ed_pem(pem.as_bytes()),
            Algorithm::Es256 => jsonwebtoken::EncodingKey::from_ec_pem(pem.as_bytes()),
            Algorithm::Rs256 => jsonwebtoken::EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        let mut header = jsonwebtoken::Header::new(name);
        header.kid = Some(public.kid().to_owned());
        let token = jsonwebtoken::encode(&header, &forge.claims(), &own.expect("a key"));
        assert_eq!(
            forge.verdict(&token.expect("a token")),
            (200, "ok".to_owned())
        );
    }
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
fn every_algorithm_signs_tokens_that_verify() {
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
