//! What the service does for a carry-over: fence, export, import, and the file at its start.

use serde_json::json;

use crate::support::service::{Http, Instance, eventually, id, on_postgres, started, token};

#[test]
fn the_carry_over_is_closed_without_the_token() {
    let (_dir, mut instance) = started("auth-1");
    let url = |path: &str| instance.at(path);
    let http = Http::new();
    let client = reqwest::Client::new();
    let export = || client.get(url("/v1/carry/export"));
    for (request, status) in [
        (export(), 401),
        (export().bearer_auth("guess"), 401),
        (export().header("authorization", "Bearer "), 401),
        (
            export().basic_auth("admin", Some(instance.admin_token())),
            401,
        ),
        (client.post(url("/v1/carry/import")).json(&json!({})), 401),
        (client.post(url("/v1/carry/fence")), 401),
        (client.delete(url("/v1/carry/fence")), 401),
        (export().bearer_auth(instance.admin_token()), 200),
    ] {
        let answer = http.send(request);
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    instance.kill();
    instance.set("SERVICE_ADMIN_TOKEN_FILE", "");
    instance.start();
    let answer = instance.admin("GET", "/v1/carry/export", None);
    assert_eq!(
        (answer.status, &answer.body["error"]),
        (403, &json!("carry_disabled"))
    );
    assert_eq!(instance.post("/v1/faults", json!({})).status, 404);
}

#[test]
fn after_a_fence_nothing_is_accepted_that_the_export_does_not_hold() {
    let (_dir, mut instance) = started("auth-1");
    let url = instance.at("/v1/tokens/revoke");
    let revokers: Vec<_> = (0..4)
        .map(|worker| {
            let url = url.clone();
            std::thread::spawn(move || {
                let (http, client) = (Http::new(), reqwest::Client::new());
                let mut accepted = Vec::new();
                for n in 0.. {
                    let id = format!("t-{worker}-{n}");
                    let answer = http.send(client.post(&url).json(&json!({"token_id": id})));
                    match answer.status {
                        200 => accepted.push(id),
                        503 => break,
                        other => panic!("{other}: {}", answer.text),
                    }
                }
                accepted
            })
        })
        .collect();
    eventually("some are revoked", || {
        instance.metric("auth_requests_total{op=\"revoke\",outcome=\"allow\"}") > 20.0
    });
    let fence = instance.admin("POST", "/v1/carry/fence", None);
    assert_eq!(fence.body, json!({"fenced": true}));
    let export = instance.admin("GET", "/v1/carry/export", None).body;
    let accepted: Vec<String> = revokers
        .into_iter()
        .flat_map(|r| r.join().expect("no panic"))
        .collect();
    let exported: Vec<&str> = export["revoked_tokens"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|t| id(t, "token_id"))
        .collect();
    for id in &accepted {
        assert!(
            exported.contains(&&**id),
            "{id} was accepted and not exported"
        );
    }
    assert_eq!(instance.get("/healthz").body["fenced"], true);
    assert_eq!(
        instance.post("/v1/nonces", json!({"scope": "s"})).body["error"],
        "fenced"
    );
    let issued = instance.issue("alice");
    assert_eq!(
        instance.verify(token(&issued)),
        (200, "ok".into()),
        "verification goes on"
    );

    assert_eq!(
        instance.admin("DELETE", "/v1/carry/fence", None).body,
        json!({"fenced": false})
    );
    instance.revoke_token("after");
    instance.admin("POST", "/v1/carry/fence", None);
    instance.kill();
    instance.start();
    instance.revoke_token("after the restart");
}

#[test]
fn state_goes_to_postgres_and_back_and_importing_twice_changes_nothing() {
    let (dir, _backed, postgres) = on_postgres();
    let mut local = Instance::new(dir.path(), "local");
    local.start();
    let revoked = local.issue("alice");
    local.revoke_token(id(&revoked, "token_id"));
    let alive = local.issue("bob");
    let snapshot = local.admin("GET", "/v1/carry/export", None).body;
    // Keys are recorded by dbctl; the service's own role may not.
    let mut without_keys = snapshot.clone();
    without_keys["keys"] = json!([]);
    let first = postgres.admin("POST", "/v1/carry/import", Some(without_keys.clone()));
    assert_eq!(first.body["tokens_added"], 1, "{}", first.text);
    let again = postgres.admin("POST", "/v1/carry/import", Some(without_keys));
    let nothing =
        json!({"tokens_added": 0, "sessions_added": 0, "keys_added": 0, "watermarks_raised": 0});
    assert_eq!(again.body, nothing);
    let refused = postgres.admin("POST", "/v1/carry/import", Some(snapshot.clone()));
    assert_eq!(refused.status, 503, "{}", refused.text);

    // And back, by way of the file that is read at the start.
    let on_postgres = postgres.issue("carol");
    postgres.revoke_token("revoked on postgres");
    let back = postgres.admin("GET", "/v1/carry/export", None).text;
    local.kill();
    std::fs::write(local.state_dir().join("carry.json"), &back).expect("written");
    local.start();
    assert_eq!(local.verify(token(&on_postgres)), (200, "ok".into()));
    assert_eq!(local.verify(token(&alive)), (200, "ok".into()));
    assert_eq!(local.verify(token(&revoked)), (401, "revoked_token".into()));
    let kept = local.admin("GET", "/v1/carry/export", None).text;
    assert!(kept.contains("revoked on postgres"));
    // What was taken over stays without the file.
    local.kill();
    std::fs::remove_file(local.state_dir().join("carry.json")).expect("removed");
    local.start();
    assert_eq!(local.verify(token(&on_postgres)), (200, "ok".into()));
    let again = local.admin("POST", "/v1/carry/import", serde_json::from_str(&back).ok());
    assert_eq!(again.body, nothing);

    local.kill();
    std::fs::write(
        local.state_dir().join("carry.json"),
        &back[..back.len() / 2],
    )
    .expect("written");
    let seen = local.try_start_with(&[]).expect_err("it must not start");
    assert_eq!(seen.code, 3);
    assert!(
        seen.stderr.contains("carry.json: it is damaged"),
        "{}",
        seen.stderr
    );
}
