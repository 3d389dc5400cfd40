//! Verifying a token on one core, beside the signature alone.

use std::hint::black_box;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dbctl::keys::{Algorithm, Claims, Rules, SigningKey, Token};
use jiff::Timestamp;

use super::row;

const FOR: Duration = Duration::from_secs(2);

/// How often a second `work` is done.
fn per_second(mut work: impl FnMut()) -> f64 {
    let began = Instant::now();
    let mut done = 0_u32;
    while began.elapsed() < FOR {
        for _ in 0..100 {
            work();
        }
        done += 100;
    }
    f64::from(done) / began.elapsed().as_secs_f64()
}

pub fn measure() {
    let now = Timestamp::now();
    let claims = Claims {
        iss: "https://auth.example".into(),
        aud: "api".into(),
        sub: "alice".into(),
        iat: now.as_second(),
        exp: now.as_second() + 3600,
        jti: uuid::Uuid::now_v7().to_string(),
        sid: uuid::Uuid::now_v7().to_string(),
        nbf: None,
    };
    let rules = Rules {
        issuer: "https://auth.example",
        audience: "api",
        clock_skew: Duration::from_secs(60),
    };
    for algorithm in Algorithm::ALL {
        let key = SigningKey::generate(algorithm).expect("a key");
        let text = key.sign(&claims).expect("a token");
        let (message, signature) = text.rsplit_once('.').expect("a signature");
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        let ours = per_second(|| {
            let token = Token::parse(black_box(&text)).expect("a token");
            let verified = token.verify(key.public(), &rules, now);
            black_box(verified.expect("it is good"));
        });
        let bare = per_second(|| {
            assert!(
                key.public()
                    .verifies(black_box(message.as_bytes()), &signature)
            );
        });
        let work = format!("token verification, {algorithm}, one core");
        row(
            &work,
            ours,
            "aws-lc, the signature alone",
            bare,
            "/s",
            "0.8 ×",
        );
    }
}
