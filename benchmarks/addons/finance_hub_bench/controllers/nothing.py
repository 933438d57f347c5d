import json

from odoo import http
from odoo.http import request


class NothingController(http.Controller):
    """The reference of accepting: what Odoo itself needs for a call."""

    @http.route(
        "/finance_hub_bench/nothing",
        type="http",
        auth="none",
        methods=["POST"],
        csrf=False,
        save_session=False,
        readonly=False,
    )
    def nothing(self, **_form):
        return request.make_response(
            json.dumps({"id": "nothing", "duplicate": False}),
            headers=[("Content-Type", "application/json")],
            status=202,
        )
