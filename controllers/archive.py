from odoo import http
from odoo.http import content_disposition, request

from ..models.access import require_group
from ..models.insight.finance_archive import READERS


class ArchiveController(http.Controller):
    """Hands archive files out to those who may have them."""

    @http.route(
        "/finance_hub/archives/<int:archive_id>/<any(data,manifest):part>",
        type="http",
        auth="user",
        methods=["GET"],
    )
    def download(self, archive_id, part):
        """Return the file or its manifest; who took it is kept with the archive."""
        require_group(request.env, *READERS)
        archive = request.env["finance.archive"].browse(archive_id).exists()
        if not archive:
            return request.not_found()
        archive.check_access("read")
        trusted = archive.sudo()
        if part == "manifest":
            content = trusted._manifest_json().encode()
            name, mimetype = f"{archive.name}.manifest.json", "application/json"
        else:
            content = trusted._content()
            name, mimetype = archive.name, "application/gzip"
        request.env["finance.audit.entry"]._note("archive.download", archive)
        trusted.message_post(
            body=request.env._("Downloaded: %s", name),
            author_id=request.env.user.partner_id.id,
        )
        return request.make_response(
            content,
            headers=[
                ("Content-Type", mimetype),
                ("Content-Length", str(len(content))),
                ("Content-Disposition", content_disposition(name)),
                ("X-Content-Type-Options", "nosniff"),
                ("Cache-Control", "no-store"),
            ],
        )
