//! Keys that come from files and go into them: `keys import` and `keys export`, with keys that
//! OpenSSL made and against what OpenSSL says about them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dbctl::keys::{Algorithm, SigningKey};
use serde_json::{Value, json};

use crate::support::cli::{Seen, dbctl, run, seen};
use crate::support::postgres::{Server, TestDb};

struct Keys {
    dir: tempfile::TempDir,
    db: TestDb,
}

impl Keys {
    /// A migrated database, and a key-encryption key in `kek`.
    fn new() -> Self {
        let db = Server::get().fresh_database();
        db.migrate_by_hand();
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(run(dir.path(), &["keys", "new-kek", "kek"]).code, 0);
        Self { dir, db }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = dbctl(self.path(), &["keys"]);
        command.args(args).args(["--database-url", &self.db.url]);
        command
    }

    fn run(&self, args: &[&str]) -> Seen {
        seen(self.command(args))
    }

    fn import(&self, file: &str, more: &[&str]) -> Seen {
        let args = ["import", file, "--kek-file", "kek", "--format", "json"];
        self.run(&[&args[..], more].concat())
    }

    /// Imports and returns the only key of the report.
    fn imported(&self, file: &str, more: &[&str]) -> Value {
        let seen = self.import(file, more);
        assert_eq!(seen.code, 0, "{file}: {}", seen.stderr);
        let report: Value = serde_json::from_str(&seen.stdout).expect("JSON");
        let keys = report["imported"].as_array().expect("a list");
        assert_eq!(keys.len(), 1, "{report}");
        keys[0].clone()
    }

    fn refuses(&self, file: &str, why: &str) -> Seen {
        let seen = self.import(file, &[]);
        assert_eq!(seen.code, 3, "{file}: {}", seen.stderr);
        assert!(seen.stderr.contains(why), "{file}: {}", seen.stderr);
        assert_eq!(seen.stdout, "", "{file}");
        seen
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path().join(file);
        std::fs::write(&path, text).expect("written");
        close(&path);
    }

    fn versions(&self) -> String {
        self.db
            .psql("SELECT count(*) FROM security.signing_key_versions")
    }
}

fn close(path: &Path) {
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mode).expect("chmod");
}

/// What OpenSSL writes to its standard output.
fn openssl(dir: &Path, args: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .expect("openssl is there");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {args:?}: {stderr}");
    output.stdout
}

/// A private key by OpenSSL in `file`, closed to others.
fn generated(keys: &Keys, file: &str, args: &[&str]) {
    openssl(keys.path(), &[args, &["-out", file]].concat());
    close(&keys.path().join(file));
}

const RSA: [&str; 5] = [
    "genpkey",
    "-algorithm",
    "RSA",
    "-pkeyopt",
    "rsa_keygen_bits:2048",
];

#[test]
fn every_form_of_a_private_key_arrives_as_a_standby_whose_halves_fit() {
    let keys = Keys::new();
    let p256 = [
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
    ];
    let sec1 = ["ecparam", "-name", "prime256v1", "-genkey"];
    generated(
        &keys,
        "pkcs8-ed25519.pem",
        &["genpkey", "-algorithm", "ed25519"],
    );
    generated(&keys, "pkcs8-p256.pem", &p256);
    generated(&keys, "pkcs8-rsa.pem", &RSA);
    // With the parameters of the curve in a block before the key.
    generated(&keys, "sec1.pem", &sec1);
    generated(&keys, "pkcs1.pem", &["genrsa", "-traditional"]);
    let text = std::fs::read_to_string(keys.path().join("pkcs1.pem")).expect("the file");
    assert!(text.contains("BEGIN RSA PRIVATE KEY"), "it is PKCS#1");
    for (file, algorithm) in [
        ("pkcs8-ed25519.pem", "EdDSA"),
        ("pkcs8-p256.pem", "ES256"),
        ("pkcs8-rsa.pem", "RS256"),
        ("sec1.pem", "ES256"),
        ("pkcs1.pem", "RS256"),
    ] {
        let key = keys.imported(file, &["--key-id", algorithm]);
        assert_eq!(key["state"], "standby", "{file}");
        assert_eq!(key["algorithm"], algorithm, "{file}");
        assert!(key["kek_id"].as_str().expect("a name").starts_with("kek-"));
        // What is published is what OpenSSL says the public half is.
        let kid = key["kid"].as_str().expect("a kid");
        let pem = keys.run(&["export", "--pem", "--kid", kid]);
        let theirs = openssl(keys.path(), &["pkey", "-in", file, "-pubout"]);
        assert_eq!(pem.stdout.as_bytes(), theirs, "{file}");
        // Once more is refused, and said where it is.
        let place = format!("version {} of {algorithm}, standby", key["version"]);
        keys.refuses(file, &place);
    }
    let whole = keys.run(&["verify", "--kek-file", "kek"]);
    assert_eq!(whole.code, 0, "{}{}", whole.stdout, whole.stderr);
    let plain = "SELECT count(*) FROM security.signing_key_versions \
                 WHERE position('\\x3001'::bytea IN sealed_private_key) = 1 OR state <> 'standby'";
    assert_eq!(keys.db.psql(plain), "0");
}

#[test]
fn a_private_jwk_and_a_set_of_them_are_taken_from_standard_input_too() {
    let keys = Keys::new();
    let jwks: Vec<Value> = Algorithm::ALL
        .into_iter()
        .map(|algorithm| {
            let file = format!("{algorithm}.pem");
            let key = SigningKey::generate(algorithm).expect("a key");
            keys.write(&file, &key.to_pem());
            private_jwk(&keys, &file, &key)
        })
        .collect();
    keys.write("one.json", &jwks[0].to_string());
    assert_eq!(keys.imported("one.json", &[])["kid"], jwks[0]["kid"]);
    let rest = json!({"keys": jwks[1..]}).to_string();
    let mut command = keys.command(&["import", "-", "--kek-file", "kek", "--format", "json"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut stdin, rest.as_bytes()).expect("taken");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["imported"].as_array().expect("a list").len(), 2);
    assert_eq!(keys.run(&["verify", "--kek-file", "kek"]).code, 0);
    // The second of two is there already: the first is not recorded either.
    let fresh = SigningKey::generate(Algorithm::EdDsa).expect("a key");
    let set = json!({"keys": [fresh.public().jwk(), jwks[1]]});
    keys.write("both.json", &set.to_string());
    let before = keys.versions();
    keys.refuses("both.json", "and the public half");
    let set = json!({"keys": [fresh.public().jwk(), public_of(&jwks[1])]});
    keys.write("both.json", &set.to_string());
    keys.refuses("both.json", "is there already");
    assert_eq!(keys.versions(), before);
}

/// The key of `file` as a private JWK: its numbers as OpenSSL shows them.
fn private_jwk(keys: &Keys, file: &str, key: &SigningKey) -> Value {
    let mut jwk = key.public().jwk().clone();
    let text = openssl(keys.path(), &["pkey", "-in", file, "-noout", "-text"]);
    let text = String::from_utf8(text).expect("text");
    let names: &[(&str, &str)] = match key.public().algorithm() {
        Algorithm::EdDsa | Algorithm::Es256 => &[("priv:", "d")],
        Algorithm::Rs256 => &[
            ("privateExponent:", "d"),
            ("prime1:", "p"),
            ("prime2:", "q"),
            ("exponent1:", "dp"),
            ("exponent2:", "dq"),
            ("coefficient:", "qi"),
        ],
    };
    for (theirs, ours) in names {
        let lines = text.lines().skip_while(|l| l != theirs).skip(1);
        let hex: String = lines
            .take_while(|l| l.starts_with(' '))
            .flat_map(str::chars)
            .filter(char::is_ascii_hexdigit)
            .collect();
        let pairs = hex.as_bytes().chunks(2);
        let mut number: Vec<u8> = pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        // OpenSSL writes a zero byte before a number whose first bit is set, and P-256 may be short.
        if number.len() % 2 == 1 && number[0] == 0 {
            number.remove(0);
        }
        if key.public().algorithm() == Algorithm::Es256 {
            number = [vec![0; 32 - number.len()], number].concat();
        }
        jwk[*ours] = json!(URL_SAFE_NO_PAD.encode(number));
    }
    jwk
}

fn public_of(jwk: &Value) -> Value {
    let mut jwk = jwk.clone();
    let members = jwk.as_object_mut().expect("an object");
    for name in ["d", "p", "q", "dp", "dq", "qi"] {
        members.remove(name);
    }
    jwk
}

#[test]
fn public_keys_only_verify_whatever_form_they_have() {
    let keys = Keys::new();
    generated(&keys, "rsa.pem", &RSA);
    generated(&keys, "ed.pem", &["genpkey", "-algorithm", "ed25519"]);
    let spki = openssl(keys.path(), &["pkey", "-in", "ed.pem", "-pubout"]);
    let pkcs1 = openssl(keys.path(), &["rsa", "-in", "rsa.pem", "-RSAPublicKey_out"]);
    std::fs::write(keys.path().join("spki.pem"), &spki).expect("written");
    std::fs::write(keys.path().join("pkcs1.pem"), &pkcs1).expect("written");
    // Everybody may read a public key.
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(keys.path().join("spki.pem"), open).expect("chmod");
    for file in ["spki.pem", "pkcs1.pem"] {
        let key = keys.imported(file, &[]);
        assert_eq!(key["state"], "retiring", "{file}");
        assert_eq!(key["kek_id"], Value::Null, "{file}");
    }
    // Of a private one, the public half only; no key-encryption key is asked for.
    generated(
        &keys,
        "other.pem",
        &["ecparam", "-name", "prime256v1", "-genkey"],
    );
    let seen = keys.run(&["import", "other.pem", "--verify-only", "--format", "json"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    let sealed = "SELECT count(sealed_private_key), count(*) FROM security.signing_key_versions";
    assert_eq!(keys.db.psql(sealed), "0|3");
    let set = keys.run(&["export", "--jwks"]).stdout;
    let set: Value = serde_json::from_str(&set).expect("JSON");
    assert_eq!(set["keys"].as_array().expect("a list").len(), 3);
    // All of them as PEM, which can be read again.
    let all = keys.run(&["export", "--pem", "--out", "all.pem"]);
    assert_eq!(all.code, 0, "{}", all.stderr);
    keys.refuses("all.pem", "is there already");
}

#[test]
fn what_is_no_usable_key_is_refused_with_a_way_out_and_never_quoted() {
    let keys = Keys::new();
    let p384 = [
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-384",
    ];
    let k256 = ["ecparam", "-name", "secp256k1", "-genkey"];
    let small = [
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:1024",
    ];
    generated(&keys, "good.pem", &["genpkey", "-algorithm", "ed25519"]);
    generated(&keys, "p384.pem", &p384);
    generated(&keys, "k256.pem", &k256);
    generated(&keys, "small.pem", &small);
    generated(&keys, "x25519.pem", &["genpkey", "-algorithm", "x25519"]);
    generated(
        &keys,
        "encrypted.pem",
        &["pkcs8", "-topk8", "-in", "good.pem", "-passout", "pass:x"],
    );
    generated(
        &keys,
        "old-encrypted.pem",
        &[
            "rsa",
            "-traditional",
            "-aes128",
            "-passout",
            "pass:x",
            "-in",
            "small.pem",
        ],
    );
    generated(
        &keys,
        "der",
        &["pkey", "-in", "good.pem", "-outform", "DER"],
    );
    let certificate = [
        "req", "-x509", "-key", "good.pem", "-subj", "/CN=x", "-days", "1",
    ];
    generated(&keys, "cert.pem", &certificate);
    keys.write("empty", "");
    keys.write("text", "not a key at all, and secret\n");
    keys.write("broken.json", "{\"kty\": \"OKP\", \"d\": \"c2VjcmV0\"");
    keys.write("no-keys.json", "{\"keys\": []}");
    for (file, why, next) in [
        ("p384.pem", "not an Ed25519, P-256 or RSA key", ""),
        ("k256.pem", "not a P-256 key", ""),
        ("x25519.pem", "not an Ed25519, P-256 or RSA key", ""),
        ("small.pem", "fewer than 2048 bits", ""),
        (
            "encrypted.pem",
            "encrypted with a passphrase",
            "openssl pkey -in",
        ),
        (
            "old-encrypted.pem",
            "encrypted with a passphrase",
            "openssl pkey -in",
        ),
        ("der", "looks like DER", "-inform DER"),
        ("cert.pem", "it is a certificate", "openssl x509"),
        ("empty", "the file is empty", ""),
        ("text", "neither PEM nor JSON", "PKCS#8"),
        ("broken.json", "it is not JSON: line 1", ""),
        ("no-keys.json", "not a list with keys", ""),
        ("not-there", "not-there", "standard input"),
    ] {
        let seen = keys.refuses(file, why);
        assert!(seen.stderr.contains(next), "{file}: {}", seen.stderr);
        for secret in ["secret", "c2VjcmV0", "MC4CAQ"] {
            assert!(!seen.stderr.contains(secret), "{file}: {}", seen.stderr);
        }
    }
    // Exposed already.
    let open = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(keys.path().join("good.pem"), open).expect("chmod");
    let seen = keys.refuses("good.pem", "others can read the file");
    assert!(seen.stderr.contains("chmod 600"), "{}", seen.stderr);
    assert_eq!(keys.versions(), "0");
    // Nothing was made in the place of what could not be read.
    assert_eq!(
        keys.db.psql("SELECT count(*) FROM security.signing_keys"),
        "0"
    );
}

#[test]
fn a_jwk_under_another_name_is_refused_until_somebody_lets_go_of_the_name() {
    let keys = Keys::new();
    let key = SigningKey::generate(Algorithm::EdDsa).expect("a key");
    let mut jwk = key.public().jwk().clone();
    jwk["kid"] = json!("2011-04-29");
    keys.write("jwk.json", &jwk.to_string());
    let seen = keys.refuses("jwk.json", "not its RFC 7638 thumbprint");
    assert!(seen.stderr.contains("--forget-kid"), "{}", seen.stderr);
    let taken = keys.imported("jwk.json", &["--forget-kid"]);
    assert_eq!(taken["kid"], key.public().kid());
}

#[test]
fn a_sealed_export_goes_only_where_its_key_encryption_key_is_and_unchanged() {
    let keys = Keys::new();
    let seeded = keys.run(&["seed", "--kek-file", "kek"]);
    assert_eq!(seeded.code, 0, "{}", seeded.stderr);
    generated(&keys, "next.pem", &RSA);
    keys.imported("next.pem", &[]);
    let export = keys.run(&["export", "--sealed", "--out", "sealed.json"]);
    assert_eq!((export.code, &*export.stdout), (0, ""), "{}", export.stderr);
    let path = keys.path().join("sealed.json");
    let mode = std::fs::metadata(&path)
        .expect("the file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).expect("the file");
    let file: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(file["schema"], "dbctl.keys.sealed/1");
    assert_eq!(file["keys"].as_array().expect("a list").len(), 2);

    let elsewhere = Keys::new();
    std::fs::copy(&path, elsewhere.path().join("sealed.json")).expect("copied");
    // Another key-encryption key: both are named.
    let seen = elsewhere.refuses("sealed.json", "is sealed with kek-");
    assert!(seen.stderr.contains("was given"), "{}", seen.stderr);
    let kek = std::fs::read_to_string(keys.path().join("kek")).expect("the key");
    elsewhere.write("kek", &kek);
    // Each thing that is bound to the sealed half.
    for (member, value) in [
        ("key_id", json!("another-key")),
        ("version", json!(7)),
        (
            "sealed_private_key",
            file["keys"][1]["sealed_private_key"].clone(),
        ),
        ("sealing_nonce", json!("AAAAAAAAAAAAAAAA")),
    ] {
        let mut changed = file.clone();
        changed["keys"][0][member] = value;
        elsewhere.write("changed.json", &changed.to_string());
        elsewhere.refuses("changed.json", "were changed or belong to another row");
    }
    for (member, value) in [
        ("kid", file["keys"][1]["kid"].clone()),
        ("public_key", file["keys"][1]["public_key"].clone()),
        ("algorithm", json!("ES256")),
    ] {
        let mut changed = file.clone();
        changed["keys"][0][member] = value;
        elsewhere.write("changed.json", &changed.to_string());
        elsewhere.refuses("changed.json", "is not that of its public key");
    }
    let mut newer = file.clone();
    newer["schema"] = json!("dbctl.keys.sealed/2");
    elsewhere.write("newer.json", &newer.to_string());
    elsewhere.refuses("newer.json", "the only version that is known");
    assert_eq!(elsewhere.versions(), "0");

    let taken = elsewhere.import("sealed.json", &["--key-id", "moved"]);
    assert_eq!(taken.code, 0, "{}", taken.stderr);
    let whole = elsewhere.run(&["verify", "--kek-file", "kek"]);
    assert_eq!(whole.code, 0, "{}{}", whole.stdout, whole.stderr);
    let kids = "SELECT kid, algorithm FROM security.signing_key_versions ORDER BY kid";
    assert_eq!(elsewhere.db.psql(kids), keys.db.psql(kids));
    let states = "SELECT DISTINCT key_id, state FROM security.signing_key_versions";
    assert_eq!(elsewhere.db.psql(states), "moved|standby");
}

#[test]
fn what_must_not_be_trusted_is_not_exported() {
    let keys = Keys::new();
    assert_eq!(keys.run(&["seed", "--kek-file", "kek"]).code, 0);
    generated(&keys, "next.pem", &["genpkey", "-algorithm", "ed25519"]);
    let next = keys.imported("next.pem", &[]);
    let kid = next["kid"].as_str().expect("a kid");
    keys.db.psql(&format!(
        "UPDATE security.signing_key_versions SET state = 'revoked' WHERE kid = '{kid}'"
    ));
    for form in ["--jwks", "--pem", "--sealed"] {
        let all = keys.run(&["export", form]);
        assert_eq!(all.code, 0, "{}", all.stderr);
        assert!(!all.stdout.contains(kid));
        let one = keys.run(&["export", form, "--kid", kid]);
        assert_eq!(one.code, 3, "{}", one.stdout);
        assert!(one.stderr.contains("is revoked"), "{}", one.stderr);
        let unknown = keys.run(&["export", form, "--kid", "no-such-kid"]);
        assert_eq!(unknown.code, 3);
        assert!(
            unknown.stderr.contains("there is no such key"),
            "{}",
            unknown.stderr
        );
    }
    let none = keys.run(&["export"]);
    assert_eq!(none.code, 2, "{}", none.stderr);
    let two = keys.run(&["export", "--jwks", "--sealed"]);
    assert_eq!(two.code, 2, "{}", two.stderr);
}
