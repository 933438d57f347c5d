# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How the hub shows a receiver who it is: headers that go with every request.

Sources: RFC 7617 (Basic), RFC 6750 (bearer), RFC 6749 section 4.4 (OAuth 2 client
credentials), RFC 9110 section 5 (fields).

Every scheme is an :class:`Authenticator`. Only OAuth 2 ever asks anybody; it keeps its
token, and however many requests wait for one, a single request fetches it.
"""

import asyncio
import base64
import json
import re
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote_plus, urlencode

from . import constants as const
from .addresses import AddressRefused, check_url
from .outcome import Outcome
from .proxy import Proxy

AUTHORIZATION = "Authorization"

#: How a client tells a token endpoint who it is (RFC 6749, section 2.3.1).
CLIENT_SECRET_BASIC = "client_secret_basic"  # noqa: S105
CLIENT_SECRET_POST = "client_secret_post"  # noqa: S105

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_FIELD_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PARAMETER = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
# What the token request says itself.
_OWN_PARAMETERS = frozenset(
    {"grant_type", "client_id", "client_secret", "scope", "audience"}
)


class AuthenticationError(ValueError):
    """No access: a setting is unusable, or a token could not be had.

    :ivar code: ``bad_header``, ``bad_user``, ``bad_secret``, ``bad_parameter``,
        ``address_refused``, ``unreachable``, ``refused`` or ``bad_answer``.
    :ivar message: a sentence for a person, which says what to do. It never contains
        a secret.
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


class Authenticator:
    """Sends nothing along; what the others inherit.

    :ivar secret_headers: names of the headers whose values belong in no log.
    """

    secret_headers: frozenset[str] = frozenset()

    async def headers(self, session: Any) -> dict[str, str]:
        """Return the headers to send with a request.

        :param session: the ``aiohttp.ClientSession`` of the endpoint: its resolver
            guards the addresses of whatever is asked for a token.
        :raises AuthenticationError: when there is no access.
        """
        return {}

    def invalidate(self, used: Mapping[str, str] | None = None) -> bool:
        """Tell that the receiver answered 401.

        :param used: the headers it refused; what was renewed since is kept.
        :return: whether it makes sense to ask for :meth:`headers` and send once more
        """
        return False


class _Fixed(Authenticator):
    """The same headers with every request."""

    __slots__ = ("_headers", "secret_headers")

    def __init__(self, headers: Mapping[str, str]):
        self._headers = dict(headers)
        self.secret_headers = frozenset(name.lower() for name in headers)

    def __repr__(self):
        return f"<{type(self).__name__} {', '.join(self._headers)}>"

    async def headers(self, session: Any) -> dict[str, str]:
        return dict(self._headers)


async def authenticated(
    authenticator: Authenticator,
    session: Any,
    send: Callable[[dict[str, str]], Awaitable[Outcome]],
) -> Outcome:
    """Send one message with access, and once more when a token had just ended.

    :param send: sends with the headers it is given, and may be called twice.
    :return: the outcome of the last sending, or one with the error ``auth``
    """
    try:
        headers = await authenticator.headers(session)
        outcome = await send(headers)
        if outcome.status == 401 and authenticator.invalidate(headers):
            outcome = await send(await authenticator.headers(session))
    except AuthenticationError as error:
        return Outcome(error="auth", detail=error.message)
    return outcome


# === STATIC HEADERS === #


def parse_headers(text: str) -> dict[str, str]:
    """Return the headers of lines such as ``X-Api-Key: 4711``.

    Refused are names that are the hub's own or the connection's, names that come
    twice, and every character that could end a header and begin another.

    :raises AuthenticationError: ``bad_header``.
    """
    headers: dict[str, str] = {}
    seen = set()
    # Split at line feeds only: what else some programs take for the end of a line is
    # part of the value, and refused there.
    for number, line in enumerate((text or "").replace("\r\n", "\n").split("\n"), 1):
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        name, value = name.strip(" \t"), value.strip(" \t")
        if not colon or not _TOKEN.fullmatch(name):
            raise _bad_header(number, "is not a header. Write it like X-Api-Key: 4711")
        key = name.lower()
        if key in const.RESERVED_HEADERS or key.startswith(
            const.RESERVED_HEADER_PREFIXES
        ):
            raise _bad_header(number, f"sets {name}, which the hub sets itself")
        if key in seen:
            raise _bad_header(number, f"sets {name} a second time")
        if len(value) > const.HEADER_VALUE_MAX_LENGTH or not _FIELD_VALUE.fullmatch(
            value
        ):
            raise _bad_header(
                number,
                f"gives {name} a value that is empty, too long or not plain ASCII",
            )
        seen.add(key)
        headers[name] = value
    if not headers:
        raise AuthenticationError(
            "bad_header",
            "There is no header. Write one a line, like X-Api-Key: 4711.",
        )
    if len(headers) > const.HEADERS_MAX_COUNT:
        raise AuthenticationError(
            "bad_header", f"There are more than {const.HEADERS_MAX_COUNT} headers."
        )
    return headers


def _bad_header(number: int, what: str) -> AuthenticationError:
    return AuthenticationError("bad_header", f"Line {number} {what}.")


class StaticHeaders(_Fixed):
    """Headers as configured, such as an API key.

    :param text: one ``name: value`` a line; see :func:`parse_headers`.
    :raises AuthenticationError: ``bad_header``.
    """

    def __init__(self, text: str):
        super().__init__(parse_headers(text))


# === BASIC, BEARER === #


def _check_text(value: object, what: str, code: str) -> str:
    if not isinstance(value, str) or not value:
        raise AuthenticationError(code, f"The {what} is empty. Enter it.")
    if _CONTROL.search(value):
        raise AuthenticationError(
            code,
            f"The {what} holds a line break or another control character. Copy it "
            "again.",
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise AuthenticationError(
            code, f"The {what} holds characters which are no text. Copy it again."
        ) from None
    return value


def _basic(username: str, password: str) -> str:
    raw = f"{username}:{password}".encode()
    return f"Basic {base64.b64encode(raw).decode('ascii')}"


class Basic(_Fixed):
    """User name and password (RFC 7617), encoded as UTF-8.

    :raises AuthenticationError: ``bad_user`` or ``bad_secret``.
    """

    def __init__(self, username: str, password: str):
        _check_text(username, "user name", "bad_user")
        if ":" in username:
            raise AuthenticationError(
                "bad_user",
                "The user name holds a colon, which separates it from the password. "
                "Ask the receiver for another one.",
            )
        _check_text(password, "password", "bad_secret")
        super().__init__({AUTHORIZATION: _basic(username, password)})


def _check_token(token: object) -> str:
    if (
        not isinstance(token, str)
        or len(token) > const.TOKEN_MAX_LENGTH
        or not _VISIBLE.fullmatch(token)
    ):
        raise AuthenticationError(
            "bad_secret",
            "The token is empty, too long, or holds blanks or characters outside of "
            "ASCII. Copy it again, without the word Bearer.",
        )
    return token


class Bearer(_Fixed):
    """A token that does not change (RFC 6750).

    :raises AuthenticationError: ``bad_secret``.
    """

    def __init__(self, token: str):
        super().__init__({AUTHORIZATION: f"Bearer {_check_token(token)}"})


# === OAUTH 2 CLIENT CREDENTIALS === #


def parse_parameters(text: str | None) -> tuple[tuple[str, str], ...]:
    """Return further parameters of a token request from ``name=value`` lines.

    :raises AuthenticationError: ``bad_parameter``.
    """
    found = {}
    for number, line in enumerate((text or "").splitlines(), 1):
        if not line.strip():
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if (
            not equals
            or not _PARAMETER.fullmatch(name)
            or name in _OWN_PARAMETERS
            or name in found
            or len(value) > const.TOKEN_PARAMETER_MAX_LENGTH
            or _CONTROL.search(value)
        ):
            raise AuthenticationError(
                "bad_parameter",
                f"Line {number} is not a further parameter. Write it like "
                "resource=https://api.example.com; the grant, client, scope and "
                "audience have fields of their own.",
            )
        found[name] = value
    if len(found) > const.TOKEN_PARAMETERS_MAX_COUNT:
        raise AuthenticationError(
            "bad_parameter",
            f"There are more than {const.TOKEN_PARAMETERS_MAX_COUNT} parameters.",
        )
    return tuple(found.items())


class ClientCredentials(Authenticator):
    """OAuth 2 client credentials (RFC 6749, section 4.4).

    The token is kept until shortly before it ends. Requests of one event loop that
    find none wait for the one that fetches it; after a failure all of them fail for a
    moment instead of asking one after the other. One object may serve several event
    loops, one after the other or in several threads.

    :param token_url: where tokens are given out. It passes the same address guard as
        an endpoint, and a redirect is not followed.
    :param client_id: who the hub is to the token endpoint.
    :param client_secret: its password there.
    :param scope: what is asked for, separated by blanks; may be empty.
    :param audience: for whom the token is to be; not in the RFC, asked by some.
    :param parameters: further pairs of name and value, see :func:`parse_parameters`.
    :param method: :data:`CLIENT_SECRET_BASIC` or :data:`CLIENT_SECRET_POST`.
    :param networks: private networks that may be reached.
    :param proxy: the proxy the token is fetched through.
    :param ssl_context: for the token endpoint; the system's authorities by default.
    :param clock: seconds that only ever go on.
    :raises AuthenticationError: for a setting that can't work.
    """

    secret_headers = frozenset({AUTHORIZATION.lower()})

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        *,
        scope: str = "",
        audience: str = "",
        parameters: Sequence[tuple[str, str]] = (),
        method: str = CLIENT_SECRET_BASIC,
        networks: Sequence = (),
        proxy: Proxy | None = None,
        ssl_context: Any = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        try:
            self._target = check_url(token_url, networks)
        except AddressRefused as error:
            raise AuthenticationError(
                "address_refused", f"The token address can't be used: {error}"
            ) from error
        _check_text(client_id, "client id", "bad_user")
        _check_text(client_secret, "client secret", "bad_secret")
        if method not in (CLIENT_SECRET_BASIC, CLIENT_SECRET_POST):
            raise AuthenticationError(
                "bad_parameter",
                f"Choose {CLIENT_SECRET_BASIC} or {CLIENT_SECRET_POST} as the way to "
                "send the client secret.",
            )
        self._secret = client_secret
        self._networks = tuple(networks)
        self._proxy = proxy
        self._ssl_context = ssl_context
        self._clock = clock
        self._form = [("grant_type", "client_credentials")]
        self._form += [
            (name, value)
            for name, value in (("scope", scope), ("audience", audience), *parameters)
            if value
        ]
        self._request_headers = {"Accept": "application/json"}
        if method == CLIENT_SECRET_BASIC:
            # Both halves are form-encoded first (RFC 6749, section 2.3.1).
            self._request_headers[AUTHORIZATION] = _basic(
                quote_plus(client_id), quote_plus(client_secret)
            )
        else:
            self._form += [("client_id", client_id), ("client_secret", client_secret)]
        self._token: str | None = None
        self._renew_at = 0.0
        self._failure: AuthenticationError | None = None
        self._ask_again_at = 0.0
        self._rejected_at: float | None = None
        # A lock belongs to one event loop; a loop's end takes its lock along.
        self._locks: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()

    def __repr__(self):
        return f"<ClientCredentials of {self._target.host}>"

    async def headers(self, session: Any) -> dict[str, str]:
        token = self._valid()
        if token is None:
            loop = asyncio.get_running_loop()
            async with self._locks.setdefault(loop, asyncio.Lock()):
                # Who waited here finds what the first one brought.
                token = self._valid()
                if token is None:
                    token = await self._renew(session)
        return {AUTHORIZATION: f"Bearer {token}"}

    def invalidate(self, used: Mapping[str, str] | None = None) -> bool:
        token = self._token
        if used is not None and used.get(AUTHORIZATION) != f"Bearer {token}":
            # Somebody else was told before; there is another token by now, or there
            # will be one for the asking.
            return True
        now = self._clock()
        if (
            self._rejected_at is not None
            and now - self._rejected_at < const.TOKEN_REJECT_PAUSE
        ):
            # The one before was refused as well: it is not the token's age.
            return False
        self._rejected_at = now
        self._token = None
        return True

    def _valid(self) -> str | None:
        now = self._clock()
        if self._token is not None and now < self._renew_at:
            return self._token
        if self._failure is not None and now < self._ask_again_at:
            raise AuthenticationError(self._failure.code, self._failure.message)
        return None

    async def _renew(self, session: Any) -> str:
        try:
            token, lifetime = await self._fetch(session)
        except AuthenticationError as error:
            self._failure = error
            self._ask_again_at = self._clock() + const.TOKEN_ERROR_PAUSE
            raise
        self._failure = None
        self._renew_at = self._clock() + max(
            lifetime - const.TOKEN_MARGIN, lifetime / 2
        )
        self._token = token
        return token

    async def _fetch(self, session: Any) -> tuple[str, float]:
        import aiohttp
        import yarl

        options: dict[str, Any] = {}
        if self._ssl_context is not None:
            options["ssl"] = self._ssl_context
        try:
            if self._proxy is not None:
                options.update(await self._proxy.options(self._target, self._networks))
            async with session.post(
                yarl.URL(self._target.url, encoded=True),
                data=urlencode(self._form).encode("ascii"),
                headers={
                    **self._request_headers,
                    "Content-Type": "application/x-www-form-urlencoded",
                },
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=const.TOKEN_TIMEOUT),
                **options,
            ) as response:
                status = response.status
                body = bytearray()
                async for chunk in response.content.iter_chunked(
                    const.TOKEN_BODY_MAX_BYTES
                ):
                    body += chunk
                    if len(body) > const.TOKEN_BODY_MAX_BYTES:
                        response.close()
                        break
        except (
            aiohttp.ClientError,
            asyncio.TimeoutError,
            OSError,
            ValueError,
        ) as error:
            raise self._unreachable(error) from error
        if len(body) > const.TOKEN_BODY_MAX_BYTES:
            raise self._bad_answer("far too much")
        return self._read(status, bytes(body))

    def _unreachable(self, error: Exception) -> AuthenticationError:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, AddressRefused):
                return AuthenticationError(
                    "address_refused", f"The token address can't be used: {cause}"
                )
            cause = cause.__cause__ or cause.__context__
        what = (
            f"no answer within {const.TOKEN_TIMEOUT:.0f} seconds"
            if isinstance(error, (asyncio.TimeoutError, TimeoutError))
            else self._harmless(f"{type(error).__name__}: {error}")
        )
        return AuthenticationError(
            "unreachable",
            f"The token server {self._target.host} could not be reached: {what}. Check "
            "the token address, and whether the server is up.",
        )

    def _read(self, status: int, body: bytes) -> tuple[str, float]:
        """Return the token of an answer and how long it lives, in seconds."""
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            answer = None
        if status != 200:
            raise AuthenticationError("refused", self._refusal(status, answer or {}))
        if answer is None:
            raise self._bad_answer("no JSON object")
        kind = answer.get("token_type", "Bearer")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise self._bad_answer("a token of another type than Bearer")
        try:
            token = _check_token(answer.get("access_token"))
        except AuthenticationError:
            raise self._bad_answer("no usable access_token") from None
        return token, _lifetime(answer.get("expires_in"))

    def _refusal(self, status: int, answer: Mapping) -> str:
        said = [
            self._harmless(answer[name])
            for name in ("error", "error_description")
            if isinstance(answer.get(name), str) and answer[name].strip()
        ]
        words = f": {', '.join(said)}" if said else ""
        advice = (
            "Compare client id, secret and scope with what the other side gave you."
            if status in (400, 401, 403)
            else "Check the token address."
            if 300 <= status < 500
            else "The hub tries again by itself."
        )
        return (
            f"The token server {self._target.host} gave no token (answer "
            f"{status}{words}). {advice}"
        )

    def _bad_answer(self, what: str) -> AuthenticationError:
        return AuthenticationError(
            "bad_answer",
            f"The token server {self._target.host} answered with {what}. Check that "
            "the token address is the one of the token endpoint (RFC 6749).",
        )

    def _harmless(self, text: str) -> str:
        """Return foreign words fit for a log: one line, short, without the secret."""
        for form in {self._secret, quote_plus(self._secret)}:
            text = text.replace(form, "****")
        text = re.sub(r"[^\x20-\x7e]+", " ", text).strip()
        return text[: const.TOKEN_ERROR_MAX_LENGTH]


def _lifetime(value: object) -> float:
    """Return ``expires_in`` in seconds; some servers send it as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:10])
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        return const.TOKEN_DEFAULT_LIFETIME
    return float(min(value, const.TOKEN_MAX_LIFETIME))
