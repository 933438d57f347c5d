"""What API clients do, and what they are refused."""

from odoo.http import request

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def note_call(client, scope, response, correlation_id):
    """Note a call that was answered, unless it only read.

    :param client: the ``finance.client`` that called
    :param str scope: what it needed for that
    :param response: what it was answered
    """
    http = request.httprequest
    if http.method in SAFE_METHODS:
        return
    client.env["finance.audit.entry"]._note(
        "api.write",
        client,
        client=client,
        correlation_id=correlation_id,
        outcome="done" if response.status_code < 400 else "refused",
        facts={"scope": scope, "status": response.status_code},
    )


def note_refused(env, code, detail, client=None, correlation_id=None):
    """Note a call that was refused; whoever calls this limits how often.

    :param str code: such as ``KEY-UNKNOWN``
    :param str detail: what the caller was told
    """
    env["finance.audit.entry"]._note(
        "access.refused",
        client,
        res_model="finance.client",
        client=client,
        correlation_id=correlation_id,
        outcome="refused",
        facts={"code": code, "refused_because": detail},
    )
