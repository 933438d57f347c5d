from werkzeug.exceptions import RequestEntityTooLarge, abort

from odoo import SUPERUSER_ID, models
from odoo.http import request


class IrHttp(models.AbstractModel):
    _inherit = "ir.http"

    @classmethod
    def _pre_dispatch(cls, rule, args):
        """Keep the raw body of routes that ask for it by ``raw_body=(limit, refuse)``.

        Odoo parses forms before it calls a controller, which empties the stream; a
        signature is over the bytes, whatever their content type says they are.
        ``limit(env, args)`` is the largest body in bytes, no more than that is read,
        and ``refuse(env, args, limit)`` answers a larger one.
        """
        super()._pre_dispatch(rule, args)
        raw_body = rule.endpoint.routing.get("raw_body")
        if not raw_body:
            return
        limit_of, refuse = raw_body
        env = request.env(user=SUPERUSER_ID, su=True)
        httprequest = request.httprequest
        limit = limit_of(env, args)
        # A body without a length is cut off at the limit, so one byte more tells
        # whether there was more.
        httprequest.max_content_length = limit + 1
        try:
            too_large = len(httprequest.get_data(cache=True)) > limit
        except RequestEntityTooLarge:
            too_large = True
        if too_large:
            abort(refuse(env, args, limit))
