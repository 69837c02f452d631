"""What a cloud answers instead of what was asked for, as errors of ours. No secret gets into one."""

import re
from http import HTTPStatus
from typing import Any

from keystoneauth1 import exceptions as ks
from requests import JSONDecodeError, RequestException, Response

from os_migrate.errors import CloudError, CloudUnavailable, NotFound

PASSING = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""500 is what Nova and Cinder answer when a message or a database of theirs timed out: that passes as 503 does."""

POOL = re.compile(r": HTTPS?ConnectionPool\(.*\): Max retries exceeded with url: \S+ \(Caused by (.*)\)$")
"""What urllib3 wraps a reason in; it is said already, or isn't so: nothing was retried there."""

RIGHT = re.compile(r"\b(?:identity|os_compute_api):[\w:-]*\w")
"""What Keystone and Nova call the rule of their policy that said no."""

LONGEST_MESSAGE = 600
LONGEST_RETRY_AFTER_S = 60.0


class Refused(CloudError):
    """The cloud answered, and said no: `status` is HTTP's."""

    def __init__(self, what: str, status: int, *, remedy: str = "") -> None:
        super().__init__(what, remedy=remedy)
        self.status = status


class Unanswered(CloudUnavailable):
    """The cloud did not answer, or asked to come again, perhaps after `retry_after_s`."""

    def __init__(self, what: str, retry_after_s: float | None = None) -> None:
        super().__init__(what, remedy="try again later; if it never answers, check auth_url and the way to the cloud")
        self.retry_after_s = retry_after_s


def refusal(response: Response, doing: str, secret: str | None = None) -> CloudError | None:
    """Return the error that an answer is; None if it isn't one."""
    status = response.status_code
    if status < HTTPStatus.BAD_REQUEST:
        return None
    said = _message(response)
    if secret:
        said = said.replace(secret, "***")  # Nova quotes user data that it finds too long
    what = f"{doing}: {said[:LONGEST_MESSAGE]} (HTTP {status}{_request_id(response)})"
    if status == HTTPStatus.NOT_FOUND:
        return NotFound(what)
    if status in PASSING:
        return Unanswered(what, _retry_after_s(response))
    return Refused(what, status, remedy=_remedy(status, said))


def unanswered(error: Exception, doing: str) -> CloudError:
    """Return the error for a call that got no answer from the service itself."""
    said = POOL.sub(r": \1", str(error)) or type(error).__name__
    what = f"{doing}: {_brief(said)}"
    # Keystone's versions are asked for first, and that failure hides why there was no answer.
    hidden = error.__cause__ or error.__context__ if isinstance(error, ks.DiscoveryFailure) else None
    match hidden if isinstance(hidden, ks.SSLError) else error:
        case ks.SSLError():
            remedy = "set ca_cert to the certificate of the cloud's authority (cacert in clouds.yaml)"
        case ks.HttpError(http_status=status) if status in PASSING:
            return Unanswered(what)
        case ks.HttpError(http_status=status):  # Keystone's
            return Refused(what, status, remedy=_remedy(status, what))
        case ks.ConnectionError() | ks.DiscoveryFailure() | ks.RetriableConnectionFailure() | RequestException():
            return Unanswered(what)
        case ks.EndpointNotFound():
            remedy = "the cloud has no such service, or not in this region: check region_name and interface"
        case _:
            remedy = "check the cloud's entry in clouds.yaml"
    return CloudError(what, remedy=remedy)


def _message(response: Response) -> str:
    """Return the service's own words; each service wraps them its own way."""
    try:
        body: Any = response.json()
    except JSONDecodeError:
        is_html = "html" in response.headers.get("content-type", "")
        return str(response.reason) if is_html or not response.text else _brief(response.text)
    found = _find_message(body)
    return _brief(found) if found else str(response.reason)


def _find_message(body: object) -> str | None:
    """Look for `message` here and one level down: {"badRequest": {"message": ...}}, {"NeutronError": {...}}."""
    if not isinstance(body, dict):
        return None
    for holder in (body, *body.values()):
        if isinstance(holder, dict) and isinstance(holder.get("message"), str):
            return str(holder["message"])
        if holder is not body and isinstance(holder, str):
            return holder
    return None


def _brief(text: str) -> str:
    return " ".join(text.split())


def _request_id(response: Response) -> str:
    for header in ("x-openstack-request-id", "x-compute-request-id"):
        if response.headers.get(header):
            return f", request {response.headers[header]}"
    return ""


def _retry_after_s(response: Response) -> float | None:
    try:
        return min(max(float(response.headers.get("retry-after", "")), 0.0), LONGEST_RETRY_AFTER_S)
    except ValueError:  # absent, or a date, which no OpenStack service sends
        return None


def _remedy(status: int, said: str) -> str:
    lower = said.lower()
    if status == HTTPStatus.UNAUTHORIZED:
        return "check user, password, project and domain of this cloud, or the expiry of its application credential"
    if "locked" in lower:
        return "unlock the server: openstack server unlock"
    if "quota" in lower or status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return "free some of the project's quota, or have it raised"
    if status == HTTPStatus.FORBIDDEN and (right := RIGHT.search(said)):
        return (
            f"the user lacks the right {right[0]}, which takes the role admin unless the cloud's policy says otherwise"
        )
    if status == HTTPStatus.FORBIDDEN:
        return "the user needs a role that may do this in the project, usually member"
    return ""
