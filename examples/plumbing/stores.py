"""The security state: in one local file, or in Postgres. Without a database (`pg` is None) a store is local."""

import base64, fcntl, hashlib, json, os, re, tempfile, threading, time, uuid
from datetime import datetime, timedelta, timezone

from .borrowed import PrivateKey, Unavailable, open_sealed

LIMIT = 1 << 62  # no nonce reaches it
SKEW_S = 300  # how far two clocks may differ: nothing is forgotten earlier
PLAIN, SCOPE = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+"), re.compile(r"[A-Za-z0-9._:-]{1,100}")

# What is acknowledged survives a crash of the server, whatever the role's defaults say.
DURABLE = """durable AS (SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')
    WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true))"""


class Refused(Exception):
    """An answer that says no: a status, a code and the reason in words."""


class KeysUnavailable(Unavailable):
    code = "key_lookup_failed"


class NoncesUnavailable(Unavailable):
    code = "nonce_reservation_error"


def now():
    return datetime.now(timezone.utc)


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def uuid7():
    """A UUID that begins with the time (RFC 9562, section 5.7)."""
    number = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10))
    return uuid.UUID(int=number & ~(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0x2 << 62)


def moment(text):
    """RFC 3339. What is finer than a microsecond is cut off."""
    return datetime.fromisoformat(text)


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text):
    """Base64url without padding in its one right form: Python alone passes over strange characters and bits."""
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64(raw) != text:
        raise ValueError("it is not base64url")
    return raw


def read_once(raw):
    """A JSON object. One that says a name twice is refused: two readers would see two different ones."""
    def once(pairs):
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a name stands there twice")
        return dict(pairs)
    try:
        read = json.loads(raw, object_pairs_hook=once)
    except RecursionError:
        raise ValueError("it is nested too deeply")
    if not isinstance(read, dict):
        raise ValueError("it is not a JSON object")
    return read


def secret(path):
    """The text of a file that others cannot read."""
    if os.stat(path).st_mode & 0o077:
        raise SystemExit(f"others can read {path}")
    return open(path).read()


def plain(name, value, most=256):
    """A text that may end in logs and tables: not empty, not too long, without control characters."""
    if not (isinstance(value, str) and PLAIN.fullmatch(value) and len(value.encode()) <= most):
        raise Refused(400, "bad_request", f"{name} must have 1 to {most} bytes and no control characters")
    return value


def sound(snapshot):
    """Refuses a snapshot that cannot be taken over whole."""
    try:
        for kind in "token", "session":
            for entry in snapshot[f"revoked_{kind}s"]:
                plain(f"{kind}_id", entry[f"{kind}_id"])
                moment(entry["revoked_at"]), moment(entry["expires_at"])
        for w in snapshot["watermarks"]:
            plain("node_name", w["node_name"])
            if not (SCOPE.fullmatch(w["nonce_scope"]) and 0 <= w["reserved_high"] <= LIMIT and w["window_size"] > 0):
                raise ValueError("a watermark makes no sense")
        for key in snapshot["keys"]:
            public_of(key), key["revoked"]
        if snapshot.get("deny_issued_before"):
            moment(snapshot["deny_issued_before"])
        if snapshot["schema"] != "dbctl.carry/1":
            raise ValueError("it is of another schema")
    except (KeyError, TypeError, ValueError) as e:
        raise Refused(400, "bad_request", f"the snapshot cannot be used: {e!r}")
    return snapshot


class LocalState:
    """Everything local in one file, which is replaced wholly and durably at each change. One process at a time."""

    def __init__(self, folder, node):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.folder, self.path, self.held = folder, f"{folder}/state.json", open(f"{folder}/lock", "a")
        try:
            fcntl.flock(self.held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SystemExit(f"another process serves from {folder}")
        if os.path.exists(self.path):
            self.all = json.load(open(self.path))
        elif os.path.getsize(self.held.name):
            raise SystemExit(f"{self.path} is missing, and {folder} was used before: take a new name and a new folder")
        else:
            self.all = {"node": node, "mode": None, "cluster": None, "tops": {}, "token": {}, "session": {}, "keys": {}}
        if self.all["node"] != node:
            raise SystemExit(f"{self.path} belongs to {self.all['node']}, not to {node}")
        self.save()
        self.held.truncate(0)
        self.held.write("used")
        self.held.flush()

    def carried(self):
        """What dbctl left for this start in carry.json."""
        path = f"{self.folder}/carry.json"
        nothing = {"revoked_tokens": [], "revoked_sessions": [], "watermarks": [], "keys": []}
        return sound(json.load(open(path))) if os.path.exists(path) else nothing

    def save(self):
        handle, temporary = tempfile.mkstemp(dir=self.folder)  # 0600
        with os.fdopen(handle, "w") as file:
            json.dump(self.all, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path)
        folder = os.open(self.folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


class Revocations:
    def __init__(self, local, pg):
        self.local, self.pg = local, pg

    def check(self, token_id, session_id):
        """Why a token is denied, or None."""
        if not self.pg:
            token, session = token_id in self.local.all["token"], session_id in self.local.all["session"]
        else:
            standby, token, session = self.pg.ask("""
                SELECT json_build_array(pg_is_in_recovery(),
                    EXISTS (SELECT FROM security.revoked_tokens WHERE token_id = $1 #>> '{}'),
                    EXISTS (SELECT FROM security.revoked_sessions WHERE session_id = $2 #>> '{}'))""", token_id, session_id)
            if standby:
                raise Unavailable("the server is a standby: it may not know the newest revocations")
        return "revoked_token" if token else "revoked_session" if session else None

    def limit(self):
        """Revocations from before it may be lost, and nobody knows which: seconds since 1970, or None. Postgres
        knows each by its id."""
        text = None if self.pg else self.local.all.get("deny_issued_before")
        return text and moment(text).timestamp()

    def limit_in_words(self):
        return {} if self.limit() is None else {"deny_issued_before": self.local.all["deny_issued_before"]}

    def raise_limit(self, text):
        known = self.local.all.get("deny_issued_before")
        if text and (known is None or moment(known) < moment(text)):
            self.local.all["deny_issued_before"] = text
            self.local.save()

    def may_be_lost(self, session_id, lifetime_s):
        """Whether the session may be from before the limit, for as long as one of its tokens could be valid."""
        limit = self.limit()
        if limit is None or time.time() > limit + lifetime_s + SKEW_S:
            return False
        try:
            known = uuid.UUID(session_id)
        except ValueError:
            return True
        return known.version != 7 or (known.int >> 80) / 1000 <= limit

    def add(self, kind, entries, by, request_id):
        """The union, in which the later expiry stays. Returns how many were new, once they are durable."""
        given = {e[f"{kind}_id"]: e for e in sorted(entries, key=lambda e: moment(e["expires_at"]))}
        if not self.pg:
            known, before = self.local.all[kind], len(self.local.all[kind])
            for name, entry in given.items():
                if name not in known or moment(known[name]["expires_at"]) < moment(entry["expires_at"]):
                    known[name] = entry  # denying early harms nobody
            self.local.save()
            return len(known) - before
        given, added = list(given.values()), 0
        for start in range(0, len(given), 1000):
            added += self.pg.ask(f"""
                WITH {DURABLE}, added AS (
                    INSERT INTO security.revoked_{kind}s AS r
                        ({kind}_id, revoked_at, expires_at, reason, revoked_by, request_id)
                    SELECT g.*, $2 #>> '{{}}', $3 #>> '{{}}' FROM durable, jsonb_to_recordset($1)
                        AS g ({kind}_id text, revoked_at timestamptz, expires_at timestamptz, reason text)
                    ON CONFLICT ({kind}_id) DO UPDATE SET expires_at = EXCLUDED.expires_at
                        WHERE r.expires_at < EXCLUDED.expires_at
                    RETURNING xmax = 0 AS is_new)
                SELECT count(*) FILTER (WHERE is_new) FROM added""", given[start:start + 1000], by, request_id)
        return added

    def export(self, kind):
        if not self.pg:
            return [e for e in self.local.all[kind].values() if moment(e["expires_at"]) > now() - timedelta(seconds=SKEW_S)]
        return self.pg.ask(f"""
            SELECT coalesce(json_agg(json_strip_nulls(to_json(r))), '[]') FROM (
                SELECT {kind}_id, revoked_at, least(expires_at, '9999-01-01Z') AS expires_at, reason
                FROM security.revoked_{kind}s WHERE expires_at > now() - interval '5 minutes') r""")


class Nonces:
    """Reserve durably, hand out afterwards. What was not cleanly acknowledged is burnt."""

    def __init__(self, local, pg, node, window, max_jump, carried):
        self.local, self.pg, self.node, self.window, self.left = local, pg, node, window, {}
        self.tops, last, cluster, mode = local.all["tops"], local.all["mode"], local.all["cluster"], "postgres" if pg else "file"
        self.max_jump = max_jump if last else LIMIT  # whoever remembers nothing yet believes what is said
        self.raise_own(carried)
        skip = last not in (None, mode)
        if pg:
            there = pg.ask("""SELECT coalesce(json_agg(w), '[]') FROM security.nonce_watermarks w
                              WHERE node_name = $1 #>> '{}'""", node)
            seen = pg.ask("""SELECT to_json(s.system_identifier || '/' || c.timeline_id)
                             FROM pg_control_system() s, pg_control_checkpoint() c""")
            self.raise_own(there)
            skip = skip or cluster not in (None, seen) or (last is None and bool(there))
            cluster = seen
        for scope in self.tops if skip else ():
            self.tops[scope] += window
        self.max_jump = max_jump
        local.all.update(mode=mode, cluster=cluster)
        local.save()

    def raise_own(self, watermarks):
        raised = 0
        for w in watermarks:
            scope, high = w["nonce_scope"], w["reserved_high"]
            if w["node_name"] == self.node and high - self.tops.get(scope, 0) > self.max_jump:
                raise Refused(503, "nonce_jump", f"{high} in {scope} is further than SERVICE_NONCE_MAX_JUMP: whose mistake is it?")
            if w["node_name"] == self.node and self.tops.get(scope, -1) < high:
                self.tops[scope], raised = high, raised + 1
                self.left.pop(scope, None)  # what was left of its window is burnt
        return raised

    def take(self, scope, count):
        """The first of `count` nonces that nobody else is ever given."""
        if scope not in self.tops and len(self.tops) >= 1000:
            raise Refused(400, "bad_request", "this node has 1,000 scopes already")
        first, end = self.left.pop(scope, (0, 0))
        if end - first < count:
            try:
                top = self.reserve(scope, max(self.window, count))
            except (Unavailable, OSError) as e:
                raise NoncesUnavailable(str(e))
            first, end = first if top - max(self.window, count) == end else top - max(self.window, count), top
        self.left[scope] = first + count, end
        return first

    def reserve(self, scope, size):
        known = self.tops.get(scope, 0)
        top = known + size if not self.pg else self.pg.ask(f"""
            WITH {DURABLE}, reserved AS (
                INSERT INTO security.nonce_watermarks AS w (node_name, nonce_scope, reserved_high, window_size)
                SELECT $1 #>> '{{}}', $2 #>> '{{}}', $3::bigint + $4::bigint, $4::bigint FROM durable
                ON CONFLICT (node_name, nonce_scope) DO UPDATE
                    SET reserved_high = greatest(w.reserved_high, $3::bigint) + $4::bigint, window_size = $4::bigint
                    WHERE w.reserved_high - $3::bigint <= {self.max_jump}
                        AND greatest(w.reserved_high, $3::bigint) <= {LIMIT} - $4::bigint
                RETURNING reserved_high)
            SELECT coalesce(max(reserved_high), 0) FROM reserved""", self.node, scope, known, size)
        if not known + size <= top <= LIMIT:
            raise Unavailable("the nonces of this scope are used up, or its row is beyond SERVICE_NONCE_MAX_JUMP")
        self.tops[scope] = top
        self.local.save()
        return top

    def own(self):
        return [{"node_name": self.node, "nonce_scope": scope, "reserved_high": high, "window_size": self.window}
                for scope, high in list(self.tops.items())]

    def export(self):
        every = {(w["node_name"], w["nonce_scope"]): w for w in self.own()}
        for w in self.pg.ask("""SELECT coalesce(json_agg(w), '[]') FROM (
                SELECT node_name, nonce_scope, reserved_high, window_size FROM security.nonce_watermarks) w""") if self.pg else ():
            name = w["node_name"], w["nonce_scope"]
            every[name] = max(w, every.get(name, w), key=lambda w: w["reserved_high"])
        return list(every.values())

    def add(self, watermarks):
        """Raises what is behind; of other nodes only in Postgres. Returns how many were, once that is durable."""
        raised = self.raise_own(watermarks)
        self.local.save()
        return raised if not self.pg else self.pg.ask(f"""
            WITH {DURABLE}, raised AS (
                INSERT INTO security.nonce_watermarks AS w (node_name, nonce_scope, reserved_high, window_size)
                SELECT node_name, nonce_scope, max(reserved_high), max(window_size)
                FROM durable, jsonb_populate_recordset(NULL::security.nonce_watermarks, $1) GROUP BY 1, 2
                ON CONFLICT (node_name, nonce_scope) DO UPDATE SET reserved_high = EXCLUDED.reserved_high
                    WHERE w.reserved_high < EXCLUDED.reserved_high
                RETURNING 1)
            SELECT count(*) FROM raised""", watermarks)


def jwk_of(public):
    """The JWK of an Ed25519 key (RFC 8037); its kid is the RFC 7638 thumbprint."""
    core = {"crv": "Ed25519", "kty": "OKP", "x": b64(public)}
    kid = b64(hashlib.sha256(json.dumps(core, separators=(",", ":")).encode()).digest())
    return {**core, "kid": kid, "alg": "EdDSA", "use": "sig"}


def public_of(key):
    """The 32 bytes of a key in the contract's form; ValueError where it is not a sound Ed25519 key."""
    public = unb64(key["jwk"].get("x", ""))
    if key["alg"] != "EdDSA" or len(public) != 32 or key["kid"] != jwk_of(public)["kid"] or "d" in key["jwk"]:
        raise ValueError("a key cannot be used")
    return public


def trusted(key):
    """The key, unless it is unknown, revoked or not for Ed25519."""
    return key if key and not key["revoked"] and key["alg"] == "EdDSA" else None


class LocalKeys:
    """The private key from a file; trusted are its public half and what was carried over."""

    def __init__(self, local, key_file):
        _, label, text, *_ = secret(key_file).split("-----")
        self.private = PrivateKey(base64.b64decode(text) if label == "BEGIN PRIVATE KEY" else b"")
        self.local, jwk = local, jwk_of(self.private.public)
        self.own = {"kid": jwk["kid"], "alg": "EdDSA", "jwk": jwk, "revoked": False}

    def all(self):
        return {self.own["kid"]: self.own, **self.local.all["keys"]}

    def trusted(self, kid):
        return trusted(self.all().get(kid))

    def export(self):
        return list(self.all().values())

    def signing(self):
        if self.all()[self.own["kid"]]["revoked"]:
            raise KeysUnavailable("the signing key is revoked")
        return self.own["kid"], self.private

    def add(self, keys):
        """The union, in which revocation wins."""
        known = self.local.all["keys"]
        news = [k for k in keys if k["kid"] not in known or k["revoked"] > known[k["kid"]]["revoked"]]
        self.local.all["keys"] = known | {k["kid"]: k for k in news}
        self.local.save()
        return len(news)


class PostgresKeys:
    """A copy that is read again every 2 s. One that is older than 30 s is not believed: a key may be revoked."""

    def __init__(self, pg, key_id, kek_file):
        self.pg, self.key_id, self.kek, self.lock = pg, key_id, base64.b64decode(secret(kek_file)), threading.Lock()
        self.kek_id = "kek-" + hashlib.sha256(b"dbctl/kek-id/v1\0" + self.kek).hexdigest()[:16]
        self.opened, self.loaded_at = {}, float("-inf")
        self.signing()

    def all(self, seconds=2, must=False):
        """The keys, not older than that. Without `must`, older ones will do while Postgres does not answer."""
        with self.lock:
            began = time.monotonic()
            if began - self.loaded_at > seconds:
                try:
                    rows = self.pg.ask("""
                        SELECT coalesce(json_agg(r), '[]') FROM (
                            SELECT v.kid, v.algorithm AS alg, v.public_key AS jwk, v.state, v.version, m.kek_id,
                                   encode(m.sealing_nonce, 'hex') AS nonce, encode(m.sealed_private_key, 'hex') AS sealed
                            FROM security.signing_key_versions v
                            LEFT JOIN security.signing_material m USING (key_id, version)
                            WHERE v.key_id = $1 #>> '{}' AND v.state <> 'retired') r""", self.key_id)
                    current = next((r for r in rows if r["state"] == "current"), None)
                    self.current = current and (current["kid"], self.open(current))
                    self.keys = {r["kid"]: {"kid": r["kid"], "alg": r["alg"], "jwk": r["jwk"],
                                            "revoked": r["state"] == "revoked"} for r in rows}
                    self.loaded_at = began
                except (Unavailable, ValueError) as e:
                    if must or began - self.loaded_at > 30:
                        raise KeysUnavailable(str(e))
            return self.keys

    def open(self, row):
        if row["kid"] not in self.opened:
            if row["kek_id"] != self.kek_id:
                raise Unavailable(f"the key is sealed with {row['kek_id']}, and {self.kek_id} was given")
            associated = b"dbctl/signing-key/v1"
            for field in self.key_id.encode(), row["version"].to_bytes(4, "big"), row["alg"].encode(), row["kid"].encode():
                associated += len(field).to_bytes(8, "big") + field
            private = PrivateKey(open_sealed(self.kek, bytes.fromhex(row["nonce"]), bytes.fromhex(row["sealed"]), associated))
            if private.public != public_of(row):
                raise Unavailable("the private half does not belong to the public half")
            self.opened = {row["kid"]: private}
        return self.opened[row["kid"]]

    def trusted(self, kid):
        # It may be so new that the copy lacks it; a flood of invented ones asks once a second.
        return trusted(self.all().get(kid) or self.all(1, must=True).get(kid))

    def export(self):
        return list(self.all(0, must=True).values())

    def signing(self):
        self.all()
        if not self.current:
            raise KeysUnavailable("no version is current")
        return self.current

    def add(self, keys):
        known = self.all()
        if any(k["kid"] not in known or k["revoked"] > known[k["kid"]]["revoked"] for k in keys):
            raise Unavailable("keys are recorded in Postgres by dbctl; the service's role may not")
        return 0


class Records:
    """Why requests were allowed or denied, and what happened."""

    TABLES = {"authz.policy_decisions": "decision_id, created_at, request_id, subject, action, resource, allow,"
                                        " reason_code, kid, token_id, session_id, instance",
              "security.events": "event_id, created_at, request_id, kind, subject_id, kid, detail, instance"}

    def __init__(self, pg, instance):
        self.pg, self.instance = pg, instance

    def add(self, table, row):
        columns = self.TABLES[table]
        row |= {columns.split(",")[0]: str(uuid.uuid4()), "created_at": stamp(now()), "instance": self.instance}
        if self.pg:
            self.pg.ask(f"""WITH added AS (INSERT INTO {table} ({columns}) SELECT {columns}
                FROM jsonb_populate_record(NULL::{table}, $1))
                SELECT to_json(1)""", row)
