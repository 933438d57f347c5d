from odoo import http
from odoo.http import content_disposition, request

from ..models.access import require_group
from ..models.audit.constants import READERS


class AuditController(http.Controller):
    """Hands signed seals out to those who keep them elsewhere."""

    @http.route(
        "/finance_hub/audit/seals/<int:seal_id>",
        type="http",
        auth="user",
        methods=["GET"],
        readonly=False,
    )
    def seal(self, seal_id):
        """Return a signed seal as a file; who took it is recorded."""
        require_group(request.env, *READERS)
        seal = request.env["finance.audit.seal"].browse(seal_id).exists()
        if not seal:
            return request.not_found()
        seal.check_access("read")
        content = seal.sudo()._exported()
        request.env["finance.audit.entry"]._note("audit.export", seal)
        name = f"finance-hub-seal-{seal.number}.json"
        return request.make_response(
            content,
            headers=[
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(content))),
                ("Content-Disposition", content_disposition(name)),
                ("X-Content-Type-Options", "nosniff"),
                ("Cache-Control", "no-store"),
            ],
        )
