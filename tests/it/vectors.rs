//! Published vectors, by value and through our own code: RFC 7515, RFC 7517 and, attacks included,
//! Project Wycheproof. (RFC 7638 and RFC 8037 are in `keys`.) No key is wrapped with AES-KW or
//! AES-KWP here, private keys are sealed with AES-256-GCM: there is nothing to try their vectors on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dbctl::keys::{Algorithm, Kek, Material, OtherKid, SigningKey, VerifyingKey, read_keys};
use serde_json::{Value, json};
use wycheproof::TestResult;

/// The claims of RFC 7515, appendix A.
const CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                      cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

fn bytes(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

fn private(jwk: &Value) -> SigningKey {
    let keys = read_keys(jwk.to_string().as_bytes(), OtherKid::Forgotten).expect("a key");
    match keys.into_iter().next() {
        Some(Material::Private(key)) => key,
        other => panic!("not a private key: {other:?}"),
    }
}

/// RFC 7515, appendix A.2.1.
fn rsa_of_rfc_7515() -> Value {
    json!({
        "kty": "RSA",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        "e": "AQAB",
        "d": "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ",
        "p": "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc",
        "q": "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc",
        "dp": "BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0",
        "dq": "h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU",
        "qi": "IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U"
    })
}

/// RFC 7515, appendix A.3.1.
fn p256_of_rfc_7515() -> Value {
    json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"
    })
}

#[test]
fn an_rs256_signature_is_the_one_of_rfc_7515() {
    let key = private(&rsa_of_rfc_7515());
    assert_eq!(key.public().algorithm(), Algorithm::Rs256);
    let message = format!("eyJhbGciOiJSUzI1NiJ9.{CLAIMS}");
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7\
                     AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4\
                     BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K\
                     0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv\
                     hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB\
                     p0igcN_IoypGlUPQGe77Rw";
    assert_eq!(
        key.sign_bytes(message.as_bytes()).expect("signed"),
        signature
    );
    assert!(key.public().verifies(message.as_bytes(), &bytes(signature)));
}

#[test]
fn the_es256_signature_of_rfc_7515_verifies() {
    let key = private(&p256_of_rfc_7515());
    assert_eq!(key.public().algorithm(), Algorithm::Es256);
    let message = format!("eyJhbGciOiJFUzI1NiJ9.{CLAIMS}");
    let signature = bytes(
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    );
    assert!(key.public().verifies(message.as_bytes(), &signature));
    let mut changed = signature.clone();
    changed[10] ^= 1;
    assert!(!key.public().verifies(message.as_bytes(), &changed));
    let own = key.sign_bytes(message.as_bytes()).expect("signed");
    assert!(key.public().verifies(message.as_bytes(), &bytes(&own)));
}

#[test]
fn the_keys_of_rfc_7517_are_read_as_what_they_are() {
    // Appendix A.1 and A.2; its first key is for encryption.
    let mut p256 = json!({
        "kty": "EC", "crv": "P-256", "use": "enc", "kid": "1",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"
    });
    let refused = |jwk: &Value, why: &str| {
        let problem = read_keys(jwk.to_string().as_bytes(), OtherKid::Refused).expect_err(why);
        assert!(problem.to_string().contains(why), "{problem}");
        assert!(!problem.to_string().contains("870MB6"), "{problem}");
    };
    refused(&p256, "`use` is not `sig`");
    p256["use"] = json!("sig");
    refused(&p256, "not its RFC 7638 thumbprint");
    let key = private(&p256);
    assert_eq!(
        key.public().kid(),
        "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"
    );
    // The private half of another key.
    p256["d"] = p256_of_rfc_7515()["d"].clone();
    refused(&p256, "does not fit its public half");
    // Appendix A.3: a symmetric key is none of ours.
    refused(
        &json!({"kty": "oct", "alg": "A128KW", "k": "GawgguFyGrWKav7AX4VKUg"}),
        "neither Ed25519",
    );
}

#[test]
fn halves_of_different_keys_are_not_taken_for_one() {
    let (rsa, other) = (rsa_of_rfc_7515(), SigningKey::generate(Algorithm::Rs256));
    let other = other.expect("a key").public().jwk().clone();
    for member in ["n", "d", "p", "q", "dp", "dq", "qi"] {
        let mut jwk = rsa.clone();
        jwk[member] = match member {
            "n" => other["n"].clone(),
            "p" => rsa["q"].clone(),
            _ => rsa["p"].clone(),
        };
        let read = read_keys(jwk.to_string().as_bytes(), OtherKid::Forgotten);
        assert!(read.is_err(), "{member}");
        jwk.as_object_mut().expect("an object").remove(member);
        let read = read_keys(jwk.to_string().as_bytes(), OtherKid::Forgotten);
        assert!(read.is_err(), "without {member}");
    }
}

/// What a set of vectors came to, so that an empty one cannot pass.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    valid: usize,
    invalid: usize,
}

impl Tally {
    fn count(&mut self, result: TestResult, ours: bool, what: &str) {
        match result {
            TestResult::Valid => {
                assert!(ours, "{what} is valid");
                self.valid += 1;
            }
            TestResult::Invalid => {
                assert!(!ours, "{what} is invalid");
                self.invalid += 1;
            }
            // BER and its like: taken by some, and wrong by the letter. Ours is strict.
            TestResult::Acceptable => assert!(!ours, "{what} is only acceptable"),
        }
    }
}

/// The key out of its DER, which its PEM must agree with.
fn public(algorithm: Algorithm, der: &[u8], pem: &str) -> VerifyingKey {
    let key = VerifyingKey::from_spki(der).expect("a key");
    assert_eq!(key.algorithm(), algorithm);
    let read = read_keys(pem.as_bytes(), OtherKid::Refused).expect("a key");
    assert!(matches!(&read[..], [Material::Public(same)] if *same == key));
    assert_eq!(key.spki().expect("DER"), der);
    assert_eq!(VerifyingKey::from_jwk(key.jwk()).expect("a key"), key);
    key
}

#[test]
fn wycheproof_ed25519() {
    use wycheproof::eddsa::{TestName, TestSet};
    let mut tally = Tally::default();
    for group in TestSet::load(TestName::Ed25519)
        .expect("vectors")
        .test_groups
    {
        let key = public(Algorithm::EdDsa, &group.der, &group.pem);
        for test in group.tests {
            let what = format!("{} {}", test.tc_id, test.comment);
            tally.count(test.result, key.verifies(&test.msg, &test.sig), &what);
        }
    }
    assert!(tally.valid > 80 && tally.invalid > 60, "{tally:?}");
}

#[test]
fn wycheproof_ecdsa_p256_in_the_form_of_jws() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let mut tally = Tally::default();
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).expect("vectors");
    for group in set.test_groups {
        let key = public(Algorithm::Es256, &group.der, &group.pem);
        for test in group.tests {
            let what = format!("{} {}", test.tc_id, test.comment);
            tally.count(test.result, key.verifies(&test.msg, &test.sig), &what);
        }
    }
    assert!(tally.valid > 150 && tally.invalid > 80, "{tally:?}");
}

#[test]
fn wycheproof_rsa_pkcs1_with_sha256() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let mut tally = Tally::default();
    for name in [
        TestName::Rsa2048Sha256,
        TestName::Rsa3072Sha256,
        TestName::Rsa4096Sha256,
        TestName::Rsa8192Sha256,
    ] {
        for group in TestSet::load(name).expect("vectors").test_groups {
            let key = public(Algorithm::Rs256, &group.der, &group.pem);
            let pkcs1 = VerifyingKey::from_spki(&group.asn_key).expect("a key");
            assert_eq!(pkcs1, key);
            for test in group.tests {
                let what = format!("{name:?} {} {}", test.tc_id, test.comment);
                tally.count(test.result, key.verifies(&test.msg, &test.sig), &what);
            }
        }
    }
    assert!(tally.valid > 20 && tally.invalid > 700, "{tally:?}");
}

#[test]
fn wycheproof_aes_256_gcm_through_the_key_encryption_key() {
    use wycheproof::aead::{TestName, TestSet};
    let mut tally = Tally::default();
    for group in TestSet::load(TestName::AesGcm)
        .expect("vectors")
        .test_groups
    {
        // Sealed with 256 bits, 96 bits of nonce and 128 bits of tag; nothing else is opened.
        let ours = group.nonce_size == 96 && group.tag_size == 128;
        if group.key_size != 256 {
            let key = &group.tests[0].key;
            assert!(Kek::from_bytes(key, "a vector").is_err());
            continue;
        }
        for test in group.tests {
            let kek = Kek::from_bytes(&test.key, "a vector").expect("a key");
            let sealed = [&test.ct[..], &test.tag[..]].concat();
            let opened = kek.open_bytes(&test.aad, &test.nonce, &sealed);
            let what = format!("{} {}", test.tc_id, test.comment);
            match ours {
                true => tally.count(test.result, opened.is_some(), &what),
                false => assert!(opened.is_none(), "{what}"),
            }
            if let Some(plain) = opened {
                assert_eq!(plain.as_slice(), &test.pt[..], "{what}");
            }
        }
    }
    assert!(tally.valid > 30 && tally.invalid > 20, "{tally:?}");
}
