"""What Python's standard library lacks, borrowed from programs that are there anyway: Postgres from psql, and
Ed25519 and AES-GCM from the libcrypto that Python's own ssl module uses. With packages, take psycopg and
cryptography instead, and this file goes."""

import ctypes, ctypes.util, json, os, select, subprocess, threading, time
from ctypes import POINTER, byref, c_char_p as S, c_int as I, c_size_t as N, c_void_p as P
from urllib.parse import parse_qs, unquote, urlsplit

ANSWER_WITHIN = 2.0  # seconds


class Unavailable(Exception):
    """A store cannot say. Whoever asked denies."""

    code = "store_unavailable"


class Postgres:
    """One psql that stays open. A statement is a transaction of its own and answers with one row, which is
    JSON. Whatever else comes (an error, a warning that a commit was not replicated, nothing in time) is no
    clean acknowledgement: psql is ended, and nothing is believed."""

    def __init__(self, url):
        at = urlsplit(url)
        asked = {name: values[0] for name, values in parse_qs(at.query).items()}
        named = {"PGHOST": at.hostname, "PGPORT": at.port, "PGUSER": at.username, "PGPASSWORD": at.password,
                 "PGDATABASE": at.path[1:], "PGSSLMODE": asked.get("sslmode"), "PGSSLROOTCERT": asked.get("sslrootcert")}
        self.env = os.environ | {"PGCONNECT_TIMEOUT": "2"} | {n: unquote(str(v)) for n, v in named.items() if v}
        self.lock, self.psql, self.failed_at = threading.Lock(), None, float("-inf")

    def ask(self, sql, *given):
        """The answer to `sql`, in which $1, $2 … stand for `given` as JSON."""
        for number, value in enumerate(given, 1):
            text = json.dumps(value).replace("\\u0000", "\\ufffd").replace("'", "''")
            sql = sql.replace(f"${number}", f"'{text}'::jsonb")
        with self.lock:
            # Whoever waits in line need not wait for a server that is down as long as the first one did.
            if time.monotonic() - self.failed_at < 0.25:
                raise Unavailable("Postgres did not answer a moment ago")
            try:
                return json.loads(self.exchange(f"{sql};\n\\echo .\n".encode()))
            except (OSError, ValueError) as e:
                self.failed_at = time.monotonic()
                if self.psql:
                    self.psql.kill()
                    self.psql = self.psql.wait() and None
                raise Unavailable("the answer is not one row of JSON" if isinstance(e, ValueError) else str(e))

    def answers(self):
        try:
            return self.ask("SELECT to_json(1)") == 1
        except Unavailable:
            return False

    def exchange(self, statement):
        if self.psql is None:
            self.psql = subprocess.Popen(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1"], bufsize=0, env=self.env,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.psql.stdin.write(statement)
        said, until = b"", time.monotonic() + ANSWER_WITHIN
        while not said.endswith(b"\n.\n"):
            if not select.select([self.psql.stdout], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError(f"no answer in {ANSWER_WITHIN:.0f} s")
            more = self.psql.stdout.read(65536)
            if not more:
                raise OSError(said.decode(errors="replace").strip() or "psql ended")
            said += more
        return said[:-3]


def library(name, **functions):
    """Loads a shared library; each function is given as (result, *arguments)."""
    loaded = ctypes.CDLL(ctypes.util.find_library(name))
    for function, (result, *arguments) in functions.items():
        getattr(loaded, function).restype, getattr(loaded, function).argtypes = result, arguments
    return loaded


crypto = library("crypto", EVP_PKEY_new_raw_private_key=(P, I, P, S, N), EVP_PKEY_new_raw_public_key=(P, I, P, S, N),
                 EVP_PKEY_get_raw_public_key=(I, P, S, POINTER(N)), EVP_PKEY_free=(None, P), EVP_MD_CTX_new=(P,),
                 EVP_MD_CTX_free=(None, P), EVP_DigestSignInit=(I, P, P, P, P, P), EVP_DigestVerifyInit=(I, P, P, P, P, P),
                 EVP_DigestSign=(I, P, S, POINTER(N), S, N), EVP_DigestVerify=(I, P, S, N, S, N),
                 EVP_CIPHER_CTX_new=(P,), EVP_CIPHER_CTX_free=(None, P), EVP_aes_256_gcm=(P,),
                 EVP_CIPHER_CTX_ctrl=(I, P, I, I, S), EVP_DecryptInit_ex=(I, P, P, P, S, S),
                 EVP_DecryptUpdate=(I, P, S, POINTER(I), S, I), EVP_DecryptFinal_ex=(I, P, S, POINTER(I)))
ED25519, SET_TAG = 1087, 0x11
PKCS8 = bytes.fromhex("302e020100300506032b657004220420")  # RFC 8410: what stands before the 32 bytes


class PrivateKey:
    """An Ed25519 key out of PKCS#8 (DER)."""

    def __init__(self, der):
        if len(der) != 48 or not der.startswith(PKCS8):
            raise ValueError("it is not an Ed25519 key in PKCS#8 form")
        self.key = crypto.EVP_PKEY_new_raw_private_key(ED25519, None, der[16:], 32)
        public = ctypes.create_string_buffer(32)
        crypto.EVP_PKEY_get_raw_public_key(self.key, public, byref(N(32)))
        self.public = public.raw

    def sign(self, message):
        context, signature = crypto.EVP_MD_CTX_new(), ctypes.create_string_buffer(64)
        crypto.EVP_DigestSignInit(context, None, None, None, self.key)
        signed = crypto.EVP_DigestSign(context, signature, byref(N(64)), message, len(message))
        crypto.EVP_MD_CTX_free(context)
        if signed != 1:
            raise Unavailable("libcrypto does not sign")
        return signature.raw


def signed_by(public, signature, message):
    """Whether the Ed25519 key with these 32 bytes signed this message."""
    context, key = crypto.EVP_MD_CTX_new(), crypto.EVP_PKEY_new_raw_public_key(ED25519, None, public, len(public))
    good = key and crypto.EVP_DigestVerifyInit(context, None, None, None, key) == 1 \
        and crypto.EVP_DigestVerify(context, signature, len(signature), message, len(message)) == 1
    crypto.EVP_MD_CTX_free(context)
    crypto.EVP_PKEY_free(key)
    return bool(good)


def open_sealed(key, nonce, sealed, associated):
    """Opens AES-256-GCM with the tag in the last 16 bytes; ValueError where it is not right."""
    context, length, text = crypto.EVP_CIPHER_CTX_new(), I(), sealed[:-16]
    plain = ctypes.create_string_buffer(len(text) + 16)
    opened = len(key) == 32 and len(nonce) == 12 and len(sealed) > 16 \
        and crypto.EVP_DecryptInit_ex(context, crypto.EVP_aes_256_gcm(), None, key, nonce) == 1 \
        and crypto.EVP_DecryptUpdate(context, None, byref(length), associated, len(associated)) == 1 \
        and crypto.EVP_DecryptUpdate(context, plain, byref(length), text, len(text)) == 1 \
        and crypto.EVP_CIPHER_CTX_ctrl(context, SET_TAG, 16, sealed[-16:]) == 1 \
        and crypto.EVP_DecryptFinal_ex(context, plain, byref(length)) == 1
    crypto.EVP_CIPHER_CTX_free(context)
    if not opened:
        raise ValueError("the sealed bytes were changed, or belong to another row or key")
    return plain.raw[:len(text)]
