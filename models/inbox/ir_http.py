from werkzeug.exceptions import RequestEntityTooLarge, abort

from odoo import models
from odoo.http import request

from ...contracts import problem


class IrHttp(models.AbstractModel):
    _inherit = "ir.http"

    @classmethod
    def _pre_dispatch(cls, rule, args):
        """Keep the raw body of routes that ask for it by ``raw_body=True``.

        Odoo parses forms before it calls a controller, which empties the stream; a
        signature is over the bytes, whatever their content type says they are.
        """
        super()._pre_dispatch(rule, args)
        if not rule.endpoint.routing.get("raw_body"):
            return
        try:
            request.httprequest.get_data(cache=True)
        except RequestEntityTooLarge:
            limit = request.httprequest.max_content_length
            body = problem(
                413,
                "D-SCHEMA",
                "Too large",
                f"A message may have {limit} bytes at most.",
                retryable=False,
                correlation_id=None,
            )
            abort(
                request.make_json_response(
                    body,
                    headers=[("Content-Type", "application/problem+json")],
                    status=413,
                )
            )
