#!/usr/bin/env python3
"""A service in Python's standard library that dbctl moves onto Postgres and back.

It keeps docs/service-contract.md; README.md beside this file says what it leaves out. `plumbing` is what a
team has already: a web framework, a Postgres driver, cryptography, and its stores. To try it:

    dbctl service init auth-1 --name auth-1 --listen 127.0.0.1:8101
    python3 examples/service.py --env-file auth-1/service.env
"""

import json, re, threading, time, uuid
from datetime import datetime, timedelta, timezone

from plumbing import stores
from plumbing.borrowed import Postgres, Unavailable, signed_by
from plumbing.stores import b64, now, read_once, stamp, unb64, uuid7
from plumbing.web import Refused, endpoint, serve

CLAIMS = {"iss": str, "aud": str, "sub": str, "jti": str, "sid": str, "iat": int, "exp": int}


class Service:
    def __init__(self, config, modes):
        self.config, self.modes, self.name = config, modes, config["SERVICE_NAME"]
        self.boot_id, self.started, self.fenced, self.changing = str(uuid.uuid4()), now(), False, threading.Lock()
        self.pg = Postgres(config["DATABASE_URL"]) if "postgres" in modes.values() else None
        if self.pg and self.pg.ask("SELECT to_json(pg_is_in_recovery())"):
            raise ValueError("this server is a standby")
        runtime, keys, revocations, nonces = (self.pg if mode == "postgres" else None for mode in modes.values())
        local = stores.LocalState(config["SERVICE_STATE_DIR"], self.name)  # first of all: it locks the folder
        carried = local.carried()
        self.nonces = stores.Nonces(local, nonces, self.name, config["SERVICE_NONCE_WINDOW"],
                                    config["SERVICE_NONCE_MAX_JUMP"], carried["watermarks"])
        self.revocations = stores.Revocations(local, revocations)
        self.keys = (stores.PostgresKeys(keys, config["SERVICE_KEY_ID"], config["SERVICE_KEK_FILE"]) if keys
                     else stores.LocalKeys(local, config["SERVICE_SIGNING_KEY_FILE"]))
        self.records = stores.Records(runtime, self.name)
        # What lives in Postgres passes over what was carried; the watermarks were taken above.
        here = {"revoked_tokens": not revocations, "revoked_sessions": not revocations, "keys": not keys}
        self.merge(carried | {part: [] for part in carried if not here.get(part)}, self.boot_id)

    def change(self, act):
        """One change at a time, to its end, and none while fenced: so the fence waits for those under way."""
        with self.changing:
            if self.fenced:
                raise Refused(503, "fenced", "state is being carried over; try again shortly")
            return act()

    def authentic(self, token):
        """The kid and the claims of a token as far as they are certain, and why it is not good, or None."""
        try:
            head, payload, signature = token.split(".")
            header = read_once(unb64(head))
            kid, alg = header["kid"], header["alg"]
            if len(token) > 8192 or "crit" in header or not isinstance(kid, str):
                raise ValueError
        except (AttributeError, KeyError, TypeError, ValueError):
            return None, None, "malformed"
        key, now_s, skew_s = self.keys.trusted(kid), time.time(), self.config["SERVICE_CLOCK_SKEW"]
        if not key:
            return None, None, "unknown_key"
        try:
            if alg != key["alg"]:
                return kid, None, "malformed"
            if not signed_by(stores.public_of(key), unb64(signature), f"{head}.{payload}".encode()):
                return kid, None, "bad_signature"
            claims = read_once(unb64(payload))
        except ValueError:
            return kid, None, "malformed"
        if any(type(claims.get(name)) is not kind for name, kind in CLAIMS.items()) or type(claims.get("nbf", 0)) is not int:
            return kid, None, "malformed"
        if claims["exp"] <= now_s:
            return kid, None, "expired"
        ours = claims["iss"] == self.config["SERVICE_ISSUER"] and claims["aud"] == self.config["SERVICE_AUDIENCE"]
        in_time = max(claims["iat"], claims.get("nbf", 0)) <= now_s + skew_s
        return (kid, claims, None) if ours and in_time and claims["jti"] and claims["sid"] else (kid, None, "malformed")

    @endpoint("POST", "/v1/tokens", "issue")
    def issue(self, request):
        subject, session = request.text("subject", needed=True), request.text("session_id")
        refused = session and self.revocations.check("", session)
        if session and not refused and self.revocations.may_be_lost(session, self.config["SERVICE_TOKEN_LIFETIME"]):
            refused = "issued_too_early"
        if refused:
            request.decided("token.issue", subject, refused)
            raise Refused(403, refused, "the session is revoked, or nobody knows whether it is")
        (kid, private), iat = self.keys.signing(), int(time.time())
        claims = {"iss": self.config["SERVICE_ISSUER"], "aud": self.config["SERVICE_AUDIENCE"], "sub": subject,
                  "iat": iat, "exp": iat + self.config["SERVICE_TOKEN_LIFETIME"], "jti": str(uuid.uuid4()),
                  "sid": session or str(uuid7())}
        signed = ".".join(b64(json.dumps(part).encode()) for part in ({"alg": "EdDSA", "kid": kid}, claims))
        expires_at = stamp(datetime.fromtimestamp(claims["exp"], timezone.utc))
        request.decided("token.issue", subject, "ok", kid, claims)
        request.happened("token.issued", claims["jti"], kid, session_id=claims["sid"], expires_at=expires_at)
        return 201, {"token": f"{signed}.{b64(private.sign(signed.encode()))}", "token_id": claims["jti"],
                     "session_id": claims["sid"], "expires_at": expires_at, "kid": kid}

    @endpoint("POST", "/v1/tokens/verify", "verify")
    def verify(self, request):
        kid = claims = None
        try:
            kid, claims, reason = self.authentic(request.body.get("token"))
            reason = reason or self.revocations.check(claims["jti"], claims["sid"])
            limit = self.revocations.limit()
            reason = reason or ("issued_too_early" if limit and claims["iat"] <= limit else "ok")
        except Unavailable as e:
            reason = request.cannot_say("revocation_unavailable" if claims else "key_lookup_failed", e)
        request.decided("token.verify", claims["sub"] if claims else "", reason, kid, claims)
        found = {"subject": claims["sub"], "token_id": claims["jti"], "session_id": claims["sid"]} if claims else {}
        status = 200 if reason == "ok" else 503 if reason in ("key_lookup_failed", "revocation_unavailable") else 401
        return status, {"allow": reason == "ok", "reason_code": reason} | found | ({"kid": kid} if kid else {})

    @endpoint("POST", "/v1/tokens/revoke", "revoke")
    def revoke_token(self, request):
        token_id = request.text("token_id")
        if token_id is None:
            _, claims, reason = self.authentic(request.text("token", 8192, needed=True))
            if reason:  # nobody accepts it anyway
                return 200, {"revoked": False}
            token_id = claims["jti"]
        return self.revoke(request, "token", token_id, request.time("expires_at"))

    @endpoint("POST", "/v1/sessions/revoke", "revoke")
    def revoke_session(self, request):
        return self.revoke(request, "session", request.text("session_id", needed=True), None)

    def revoke(self, request, kind, name, said):
        # Never forgotten before everything that is valid now has expired: it would come back to life.
        least = now() + timedelta(seconds=self.config["SERVICE_TOKEN_LIFETIME"])
        entry = {f"{kind}_id": name, "revoked_at": stamp(now()), "expires_at": stamp(max(least, said or least))}
        why = {"reason": request.text("reason", 1000)} if request.body.get("reason") else {}
        new = self.change(lambda: self.revocations.add(kind, [entry | why], self.name, request.id))
        request.happened(f"{kind}.revoked", name, new=bool(new))
        return 200, {"revoked": True, f"{kind}_id": name}

    @endpoint("POST", "/v1/nonces", "nonce")
    def reserve(self, request):
        scope, count = request.text("scope", 100, needed=True), request.body.get("count", 1)
        if not stores.SCOPE.fullmatch(scope) or type(count) is not int or not 1 <= count <= 10_000:
            raise Refused(400, "bad_request", "count is 1 to 10,000; a scope has letters, digits, `.`, `_`, `-`, `:`")
        first = self.change(lambda: self.nonces.take(scope, count))
        given = {"nonce_scope": scope, "first": first, "last": first + count - 1}
        request.happened("nonce.reserved", self.name, **given)
        return 201, {"node_name": self.name, **given}

    @endpoint("GET", "/v1/nonces/")
    def watermark(self, request):
        own = {w["nonce_scope"]: w for w in self.nonces.own()}
        return (200, own[request.rest]) if request.rest in own else (404, {"error": "not_found", "message": "none yet"})

    @endpoint("GET", "/v1/carry/export", admin=True)
    def export(self, request):
        with self.changing:
            source = "postgres" if set(self.modes.values()) == {"postgres"} else self.name
            return 200, self.revocations.limit_in_words() | {
                         "schema": "dbctl.carry/1", "taken_at": stamp(now()), "source": source,
                         "revoked_tokens": self.revocations.export("token"), "watermarks": self.nonces.export(),
                         "revoked_sessions": self.revocations.export("session"), "keys": self.keys.export()}

    @endpoint("POST", "/v1/carry/import", admin=True)
    def take_over(self, request):
        with self.changing:
            added = self.merge(stores.sound(request.body), request.id)
        request.happened("carry.imported", request.body.get("source"), **added)
        return 200, added

    def merge(self, snapshot, request_id):
        by = f"carry from {snapshot.get('source')}"
        self.revocations.raise_limit(snapshot.get("deny_issued_before"))
        return self.revocations.limit_in_words() | {"tokens_added": self.revocations.add("token", snapshot["revoked_tokens"], by, request_id),
                "sessions_added": self.revocations.add("session", snapshot["revoked_sessions"], by, request_id),
                "keys_added": self.keys.add(snapshot["keys"]), "watermarks_raised": self.nonces.add(snapshot["watermarks"])}

    @endpoint("POST", "/v1/carry/fence", admin=True)
    @endpoint("DELETE", "/v1/carry/fence", admin=True)
    def fence(self, request):
        with self.changing:
            self.fenced = request.command == "POST"
        request.happened("carry.fenced" if self.fenced else "carry.unfenced", self.name)
        return 200, {"fenced": self.fenced}

    @endpoint("GET", "/healthz")
    def health(self, request):
        status = "ok" if not self.pg or self.pg.answers() else "degraded"
        return 200, {"status": status, "instance": self.name, "boot_id": self.boot_id, "fenced": self.fenced,
                     "started_at": stamp(self.started), "modes": self.modes}

    @endpoint("GET", "/.well-known/jwks.json")
    def jwks(self, request):
        return 200, {"keys": [key["jwk"] for key in self.keys.export() if not key["revoked"]]}


if __name__ == "__main__":
    serve(Service)
