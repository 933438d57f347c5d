from odoo import http

from .problem import json_response


class HealthController(http.Controller):
    @http.route(
        "/finance/v1/health",
        type="http",
        auth="public",
        methods=["GET"],
        csrf=False,
        save_session=False,
    )
    def health(self):
        """Say that the hub answers and reaches its database."""
        http.request.env.cr.execute("SELECT 1")
        return json_response(200, {"status": "ok"}, [("Cache-Control", "no-store")])
