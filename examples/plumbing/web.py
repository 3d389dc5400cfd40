"""HTTP on Python's standard library: settings, endpoints, errors, request ids, metrics and the log."""

import argparse, hmac, json, os, re, signal, sys, threading, time, traceback, urllib.parse, uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import stores
from .borrowed import Unavailable
from .stores import Refused

TOGGLES = {"SECURITY_RUNTIME_MODE": "memory", "SECURITY_KEY_RESOLVER_MODE": "memory",
           "SECURITY_REVOCATION_MODE": "memory", "SECURITY_NONCE_STORE_MODE": "file"}
SETTINGS = {"SERVICE_NAME": None, "SERVICE_STATE_DIR": None, "SERVICE_LISTEN": "127.0.0.1:8080",
            "SERVICE_ADMIN_TOKEN_FILE": "", "SERVICE_SIGNING_KEY_FILE": "", "SERVICE_KEK_FILE": "",
            "SERVICE_KEY_ID": "access-tokens", "SERVICE_ISSUER": "https://auth.example", "SERVICE_AUDIENCE": "api",
            "SERVICE_TOKEN_LIFETIME": "1h", "SERVICE_NONCE_WINDOW": "1000",
            "SERVICE_NONCE_MAX_JUMP": str(1 << 40), "SERVICE_CLOCK_SKEW": "5m", "DATABASE_URL": ""}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
REASONS = ["malformed", "unknown_key", "key_lookup_failed", "bad_signature", "expired", "revoked_token",
           "revoked_session", "issued_too_early", "revocation_unavailable"]
BOUNDS = 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5
ENDPOINTS = {}


def endpoint(method, path, op=None, admin=False):
    """Makes a method of the service answer requests. `op` is what the metrics call them."""
    def register(act):
        ENDPOINTS[method, path] = act, op, admin
        return act
    return register


def settings(env_file):
    """What the environment says, and the file, which wins; and the mode of each toggle."""
    said = dict(os.environ)
    for line in open(env_file).read().splitlines() if env_file else ():
        name, _, value = line.strip().removeprefix("export ").partition("=")
        said[name.strip()] = re.sub(r"""^(["'])(.*)\1$""", r"\2", value.strip())
    unknown = [name for name in said if name.startswith("SERVICE_") and name not in SETTINGS]
    missing = [name for name, default in SETTINGS.items() if default is None and not said.get(name)]
    modes = {toggle: said.get(toggle) or ("postgres" if said.get("SECURITY_RUNTIME_MODE") == "postgres" else local)
             for toggle, local in TOGGLES.items()}
    wrong = [toggle for toggle, mode in modes.items() if mode not in (TOGGLES[toggle], "postgres")]
    if unknown or missing or wrong:
        raise SystemExit(f"not settings of this service: {unknown}, not set: {missing}, unknown value: {wrong}")
    config = {name: said.get(name) or default for name, default in SETTINGS.items()}
    config |= {name: int(config[name]) for name in ("SERVICE_NONCE_WINDOW", "SERVICE_NONCE_MAX_JUMP")}
    for name in "SERVICE_TOKEN_LIFETIME", "SERVICE_CLOCK_SKEW":
        parts = re.findall(r"(\d+) *([smhd])", config[name])
        config[name] = sum(int(number) * SECONDS[unit] for number, unit in parts)
    return config, modes


class Metrics:
    """Every series exists from the start."""

    def __init__(self, modes):
        labels = [f'op="{op}"' for op in ("issue", "verify", "revoke", "nonce")]
        self.lock, self.counts = threading.Lock(), dict.fromkeys([
            *(f'auth_requests_total{{{op},outcome="{o}"}}' for op in labels for o in ("allow", "deny", "error", "fenced")),
            *(f'auth_request_duration_seconds_bucket{{le="{b}",{op}}}' for op in labels for b in (*BOUNDS, "+Inf")),
            *(f'auth_request_duration_seconds_{part}{{{op}}}' for op in labels for part in ("sum", "count")),
            *(f'auth_verification_failures_total{{reason="{reason}"}}' for reason in REASONS),
            "auth_key_lookup_failures_total", "nonce_reservation_errors_total", "decision_records_lost_total"], 0)
        self.counts |= {f'security_runtime_mode{{toggle="{t}",mode="{m}"}}': 1 for t, m in modes.items()}
        self.counts["process_start_time_seconds"] = time.time()

    def count(self, *names, by=1):
        with self.lock:
            for name in names:
                self.counts[name] += by

    def request(self, op, outcome, took_s):
        duration = "auth_request_duration_seconds"
        self.count(f'auth_requests_total{{op="{op}",outcome="{outcome}"}}', f'{duration}_count{{op="{op}"}}',
                   *(f'{duration}_bucket{{le="{bound}",op="{op}"}}' for bound in BOUNDS if took_s <= bound),
                   f'{duration}_bucket{{le="+Inf",op="{op}"}}')
        self.count(f'{duration}_sum{{op="{op}"}}', by=took_s)

    def text(self):
        with self.lock:
            return "".join(f"{name} {value}\n" for name, value in self.counts.items())


class Request(BaseHTTPRequestHandler):
    protocol_version, wbufsize, timeout = "HTTP/1.1", -1, 60
    service = metrics = admin_token = None  # of the process

    def text(self, name, most=256, needed=False):
        value = self.body.get(name)
        return value if value is None and not needed else stores.plain(name, value, most)

    def time(self, name):
        try:
            return stores.moment(self.body[name]) if self.body.get(name) else None
        except (TypeError, ValueError):
            raise Refused(400, "bad_request", f"{name} is not a time of RFC 3339")

    def decided(self, action, subject, reason, kid=None, claims=None):
        self.records.append(("authz.policy_decisions", {
            "request_id": self.id, "subject": subject, "action": action, "allow": reason == "ok", "reason_code": reason,
            "resource": self.service.config["SERVICE_AUDIENCE"], "kid": kid,
            "token_id": claims and claims["jti"], "session_id": claims and claims["sid"]}))
        if reason != "ok" and action == "token.verify":
            self.metrics.count(f'auth_verification_failures_total{{reason="{reason}"}}')

    def happened(self, kind, subject_id, kid=None, **detail):
        self.records.append(("security.events", {
            "request_id": self.id, "kind": kind, "subject_id": subject_id, "kid": kid, "detail": detail}))

    def cannot_say(self, code, error):
        """Tells the log and the metrics that a store did not answer."""
        self.log(code, "ERROR" if code == "nonce_reservation_error" else "WARN", error=str(error))
        counted = {"key_lookup_failed": "auth_key_lookup_failures_total",
                   "nonce_reservation_error": "nonce_reservation_errors_total"}
        if code in counted:
            self.metrics.count(counted[code])
        return code

    def log(self, event, level="INFO", **more):
        log(self.service, event, level, request_id=self.id, **more)

    def no_endpoint(self):
        other = any(path == urllib.parse.urlsplit(self.path).path for _, path in ENDPOINTS)
        return Refused(405, "method_not_allowed", "not with this method") if other else Refused(404, "not_found", "no such endpoint")

    def admit(self, admin):
        if admin and not self.admin_token:
            raise Refused(403, "carry_disabled", "this instance has no SERVICE_ADMIN_TOKEN_FILE")
        bearer, _, token = self.headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(token.strip().encode(), (self.admin_token or "").encode())
        if admin and not (bearer.lower() == "bearer" and same):
            raise Refused(401, "unauthorized", "the bearer token is missing or wrong")

    def read(self, most):
        length = self.headers.get("content-length", "0")
        if "transfer-encoding" in self.headers or not length.isdecimal() or int(length) > most:
            raise Refused(413, "bad_request", "the body is too large, or its length is not said")
        raw, self.unread = self.rfile.read(int(length)), False
        try:
            body = json.loads(raw or b"{}")
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise Refused(400, "bad_request", "the body is not a JSON object")
        return body

    def answer(self, act, admin):
        try:
            if not act:
                raise self.no_endpoint()
            self.admit(admin)  # of others nothing more is read
            self.body = self.read(256 << 20 if admin else 64 << 10)
            return act(self.service, self)
        except Refused as e:
            status, code, message = e.args
        except (Unavailable, OSError) as e:
            status, message = 503, str(e)
            code = getattr(e, "code", "store_unavailable")
            self.cannot_say(code, e)
        except Exception:
            status, code, message = 500, "internal", "see the log"
            self.log("internal", "ERROR", error=traceback.format_exc(limit=-3))
        return status, {"error": code, "message": message}

    def handle_request(self):
        begun, self.records, self.unread = time.monotonic(), [], True
        sent = self.headers.get("x-request-id", "")
        self.id = sent if re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", sent) else str(uuid.uuid4())
        path = urllib.parse.urlsplit(self.path).path
        prefix, _, self.rest = path.rpartition("/")
        self.rest = urllib.parse.unquote(self.rest)
        default = ENDPOINTS.get((self.command, f"{prefix}/"), (None, None, False))
        act, op, admin = ENDPOINTS.get((self.command, path), default)
        status, body = self.answer(act, admin)
        fenced = isinstance(body, dict) and body.get("error") == "fenced"
        if op:
            outcome = "fenced" if fenced else "allow" if status < 400 else "deny" if status < 500 else "error"
            self.metrics.request(op, outcome, time.monotonic() - begun)
        if status >= 500 and not fenced:
            self.log("request_failed", "ERROR", path=path, status=status)
        self.send(status, body)
        # After the answer: recording is never in the way of a request.
        for table, row in self.records:
            try:
                self.service.records.add(table, row)
            except Unavailable as e:
                self.metrics.count("decision_records_lost_total")
                self.log("decision_log_lost", "ERROR", error=str(e))

    do_GET = do_POST = do_DELETE = handle_request

    def send(self, status, body):
        raw = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.close_connection = self.close_connection or self.unread
        self.send_response(status)
        self.send_header("content-type", "text/plain; version=0.0.4" if isinstance(body, str) else "application/json")
        self.send_header("content-length", str(len(raw)))
        self.send_header("x-request-id", self.id)
        if status == 503:
            self.send_header("retry-after", "1")
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(raw)
        self.wfile.flush()

    def log_message(self, *_):
        pass


@endpoint("GET", "/metrics")
def metrics(_, request):
    return 200, request.metrics.text()


def log(service, event, level="INFO", **more):
    line = {"timestamp": stores.stamp(stores.now()), "level": level, "event": event, "instance": service.name, **more}
    sys.stderr.write(json.dumps(line) + "\n")


class Server(ThreadingHTTPServer):
    request_queue_size, daemon_threads = 128, True


def serve(service_of):
    """Serves until SIGTERM or Ctrl-C."""
    arguments = argparse.ArgumentParser(description="A service that keeps docs/service-contract.md.")
    arguments.add_argument("--env-file", help="file of NAME=value lines; what it says wins over the environment")
    arguments.add_argument("--listen", help="HOST:PORT instead of SERVICE_LISTEN; port 0 takes a free one")
    given = arguments.parse_args()
    config, modes = settings(given.env_file)
    os.umask(0o077)
    try:
        token_file = config["SERVICE_ADMIN_TOKEN_FILE"]
        Request.admin_token = token_file and stores.secret(token_file).strip()
        Request.metrics, Request.service = Metrics(modes), service_of(config, modes)
        host, _, port = (given.listen or config["SERVICE_LISTEN"]).rpartition(":")
        server = Server((host, int(port)), Request)
    except (Refused, Unavailable, OSError, ValueError) as e:
        raise SystemExit(f"starting {config['SERVICE_NAME']}: {e}")
    for name in signal.SIGTERM, signal.SIGINT:
        signal.signal(name, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"{config['SERVICE_NAME']} serves on http://{host}:{server.server_port} · {', '.join(modes.values())}", flush=True)
    log(Request.service, "service.started", modes=modes)
    server.serve_forever(poll_interval=0.05)
    Request.service.changing.acquire(timeout=3)  # what is under way ends; nothing new begins
