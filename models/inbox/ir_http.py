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
        httprequest = request.httprequest
        limit = httprequest.max_content_length
        # A body without a length is cut off at the limit, so one byte more tells
        # whether there was more.
        httprequest.max_content_length = limit + 1
        try:
            too_large = len(httprequest.get_data(cache=True)) > limit
        except RequestEntityTooLarge:
            too_large = True
        if too_large:
            abort(_too_large(limit))


def _too_large(limit):
    body = problem(
        413,
        "D-SCHEMA",
        "Too large",
        f"A message may have {limit} bytes at most.",
        retryable=False,
        correlation_id=None,
    )
    return request.make_json_response(
        body, headers=[("Content-Type", "application/problem+json")], status=413
    )
